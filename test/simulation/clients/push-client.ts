import assert from 'node:assert/strict';
import { tableNamed } from '../../../schemas/index.ts';
import { keyOf, type Row, type Table } from '../../../schemas/table.ts';
import type { PushPart } from '../../../src/contract/push.ts';
import { takePush } from '../../../src/engine/controls/push.ts';
import { PUSH_RETENTION_MS } from '../../../src/engine/journal/pushes.ts';
import { lakeRows } from '../oracle/proof.ts';
import { pick, type Random } from '../world/faults.ts';
import { agenda, pages, repositoryOf, rowOf } from '../world/sources.ts';
import type { World } from '../world/world.ts';
import { AGENDA_KEYS } from './agenda-client.ts';
import type { ClientAction } from './clients.ts';

/** The number of a request's first line. The object marks lines in blocks, and some requests are in two blocks. */
const FIRST_LINES = [1, 8_189];

interface Request {
  part: PushPart;
  /** Lines that were ever answered as accepted. */
  accepted: Set<number>;
  startedMs: number;
  /** It is older, by any time the clock showed, than the object remembers its lines. */
  isExpired: boolean;
}

/** Pushes rows in parts and repeats requests in other parts; a request stops at its first part that fails. */
export class PushClient {
  readonly requests: Request[] = [];
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  draw(random: Random): ClientAction {
    const size = 1 + Math.floor(random() * 4);
    const repeated = random() < 0.5 ? this.requests[Math.floor(random() * this.requests.length)] : undefined;
    if (repeated) return { kind: 'push repeated', run: () => this.#send(repeated, size) };
    const request = this.#request(random);
    const run = () => {
      this.requests.push(request);
      return this.#send(request, size);
    };
    return { kind: 'pushed', run };
  }

  /** Repeats every request whole. */
  async finish(): Promise<void> {
    for (const request of this.requests) await this.#send(request, 3).catch(() => undefined);
  }

  /** The cursors of all lines that were ever pushed. */
  get cursors(): Set<string> {
    const cursorsOf = ({ part }: Request) => part.rows.map(({ line }) => `push/${part.identity}/${line}`);
    return new Set(this.requests.flatMap(cursorsOf));
  }

  /** Whether a row of a key was pushed. */
  has(key: string): boolean {
    return this.requests.some(({ part }) => part.rows.some(({ row }) => keyOf(tableNamed(part.table), row) === key));
  }

  /** Every line that was answered as accepted has one row, or an immutable table has a row of its key. */
  async expect(): Promise<void> {
    const rows = new Map<string, number>();
    const keys = new Set<string>();
    for (const table of this.#world.engine.source.tables)
      for (const row of await lakeRows(this.#world, table)) {
        const [cursor] = String(row._cursor).split('#');
        rows.set(cursor!, (rows.get(cursor!) ?? 0) + 1);
        if (table.immutable) keys.add(keyOf(table, row));
      }
    for (const { part, accepted } of this.requests)
      for (const { line, row } of part.rows.filter(({ line }) => accepted.has(line))) {
        const cursor = `push/${part.identity}/${line}`;
        const isKnown = keys.has(keyOf(tableNamed(part.table), row));
        const expected = rows.get(cursor) === undefined && isKnown ? 0 : 1;
        assert.equal(rows.get(cursor) ?? 0, expected, `${cursor}: expected the row of an accepted line once`);
      }
  }

  #request(random: Random): Request {
    const { kind, engine, clock } = this.#world;
    const table = kind === pages ? pick(random, engine.source.tables) : engine.source.tables[0]!;
    const first = pick(random, FIRST_LINES);
    const parked = engine.journal.parked.due(Number.MAX_SAFE_INTEGER, 10).map(({ key }) => key);
    const rows = Array.from({ length: 1 + Math.floor(random() * 8) }, (_, index) => {
      const number = Math.floor(random() * 30);
      const shown =
        kind === agenda
          ? AGENDA_KEYS[number % AGENDA_KEYS.length]!
          : kind === pages
            ? `user-${number}`
            : `package-${number}`;
      const key = pick(random, [`pushed-${number}`, shown, parked[0] ?? shown]);
      return { line: first + index, row: pushedRow(table, { key, number }) };
    });
    const part = { identity: `request-${this.requests.length}`, table: table.name, rows };
    return { part, accepted: new Set(), startedMs: clock.now(), isExpired: false };
  }

  async #send(request: Request, size: number): Promise<void> {
    const { part, accepted } = request;
    for (let first = 0; first < part.rows.length; first += size) {
      const rows = part.rows.slice(first, first + size);
      const isAccepted = await this.#world.ask('object.push', async engine => {
        this.#expire();
        return !request.isExpired && (await takePush(engine, { ...part, rows })).refused === null;
      });
      if (isAccepted) for (const { line } of rows) accepted.add(line);
    }
  }

  #expire(): void {
    const oldMs = this.#world.clock.now() - PUSH_RETENTION_MS;
    for (const request of this.requests) request.isExpired ||= request.startedMs <= oldMs;
  }
}

/** A row of a key; of an immutable table often one that changes of the upstream give too. */
function pushedRow(table: Table, { key, number }: { key: string; number: number }): Row {
  if (!table.immutable) return rowOf(table, { [table.key[0]!]: key });
  const sha = number % 2 === 0 ? String(number % 5) : 'first';
  return rowOf(table, { repo: repositoryOf(key), sha, message: key });
}
