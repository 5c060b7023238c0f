import assert from 'node:assert/strict';
import { keyOf } from '../../../schemas/table.ts';
import { controlRange, rangeOf, startRange } from '../../../src/engine/controls/ranges.ts';
import type { RangeLane } from '../../../src/engine/journal/ranges.ts';
import { lakeRows } from '../oracle/proof.ts';
import { pick, type Random } from '../world/faults.ts';
import { pages } from '../world/sources.ts';
import type { World } from '../world/world.ts';
import type { ClientAction } from './clients.ts';

const LANES: RangeLane[] = ['backfill', 'rewind'];

/** A change that upstream shows, and the cursor right after it. */
interface Shown {
  key: string;
  cursor: string;
  after: number;
}

/** Starts, pauses, resumes and cancels ranges, and checks the rows they must have given. */
export class RangeClient {
  readonly #world: World;
  /** The table's newest LSN when a run was started, and when it was cancelled, by run. */
  readonly #started = new Map<number, number>();
  readonly #cancelled = new Map<number, number>();

  constructor(world: World) {
    this.#world = world;
  }

  draw(random: Random): ClientAction | null {
    const { engine, lane: tail } = this.#world;
    const lane = pick(random, LANES);
    if (tail.cursor === null) return null;
    const request = this.#request(lane, random);
    if (!this.#isUnderWay(lane)) return { kind: `${lane} started`, run: () => this.#start(lane, request) };
    if (rangeOf(engine, lane)!.state === 'paused') return { kind: `${lane} resumed`, run: () => this.#resume(lane) };
    const chance = random();
    if (chance < 0.4) return { kind: `${lane} paused`, run: () => this.#control(lane, 'pause') };
    if (chance < 0.6) return { kind: `${lane} cancelled`, run: () => this.#control(lane, 'cancel') };
    const { from, to } = rangeOf(engine, lane)!;
    const same = lane === 'rewind' ? { to: from } : { from, to };
    const run = async () => {
      await this.#control(lane, 'cancel');
      await this.#start(lane, chance < 0.9 ? { ...same, rate: request.rate } : request);
    };
    return { kind: `${lane} restarted`, run };
  }

  get areDone(): boolean {
    return !LANES.some(lane => this.#isUnderWay(lane));
  }

  /** Resumes paused ranges, and mostly starts a backfill of all before the tail's first cursor. */
  async finish(random: Random): Promise<void> {
    for (const lane of LANES) if (this.#isUnderWay(lane)) await this.#resume(lane);
    const { first_cursor: to } = this.#world.lane;
    if (!this.#isUnderWay('backfill') && Number(to) > 0 && random() < 0.7)
      await this.#start('backfill', { from: '0', to: to!, rate: 1_000 });
  }

  /** Without its storage the object may give the same run numbers again. */
  onStorageLost(): void {
    this.#started.clear();
    this.#cancelled.clear();
  }

  /** Changes before the tail's first cursor that no finished backfill covers, as `<key>@<cursor>`. */
  unrequested(): string[] {
    const { engine, firstCursor } = this.#world;
    const backfill = rangeOf(engine, 'backfill');
    const isCovered = ({ after }: Shown) => backfill?.state === 'done' && isIn(backfill, after);
    const early = this.#shown().filter(shown => shown.after <= Number(firstCursor) && !isCovered(shown));
    return early.map(({ key, cursor }) => `${key}@${cursor}`);
  }

  /** A finished range has a row of each key it covers; a cancelled one has given no row since. */
  async expect(dismissed: ReadonlySet<string>): Promise<void> {
    const [table] = this.#world.engine.source.tables;
    const rows = (await lakeRows(this.#world)).filter(row => !String(row._cursor).startsWith('push/'));
    for (const { _cursor, _lsn } of rows) {
      const endLsn = this.#cancelled.get(Number(String(_cursor).split('#')[1]));
      assert.ok(endLsn === undefined || Number(_lsn) <= endLsn, `${_cursor}: expected no row of a cancelled range`);
    }
    const newest = new Map(rows.map(row => [keyOf(table!, row), row]));
    for (const lane of LANES) {
      const range = rangeOf(this.#world.engine, lane);
      if (!range) continue;
      const isCancelled = this.#cancelled.has(range.run);
      assert.ok(!isCancelled || range.state === 'cancelled', `${lane}: expected it cancelled, got ${range.state}`);
      const startLsn = this.#started.get(range.run);
      assert.ok(startLsn !== undefined, `${lane}: expected a run that was started, got ${range.run}`);
      for (const { key, cursor, after } of range.state === 'done' ? this.#shown() : []) {
        if (!isIn(range, after) || dismissed.has(`${key}@${cursor}`)) continue;
        const lsn = Number(newest.get(key)?._lsn ?? 0);
        assert.ok(lsn > startLsn, `${lane} ${range.run}: expected a row of ${key}@${cursor} since its start, got none`);
      }
    }
  }

  #shown(): Shown[] {
    const { kind, upstream } = this.#world;
    if (kind === pages)
      return upstream.pages.flatMap((keys, page) =>
        keys.map((key, index) => ({ key, cursor: `${page}:${index}`, after: page + 1 })),
      );
    const isShown = ({ key }: { key: string }) => !key.startsWith('internal:') && !upstream.silent.has(key);
    const items = [...upstream.items.values()].filter(isShown);
    return items.map(({ key, seq }) => ({ key, cursor: String(seq), after: seq }));
  }

  #isUnderWay(lane: RangeLane): boolean {
    const state = rangeOf(this.#world.engine, lane)?.state ?? 'done';
    return state !== 'done' && state !== 'cancelled';
  }

  #request(lane: RangeLane, random: Random): { from?: string; to: string; rate: number } {
    const { cursor, first_cursor: first } = this.#world.lane;
    const rate = pick(random, [0.5, 5, 1_000]);
    const share = random() < 0.5 ? 0 : random();
    if (lane === 'rewind') return { to: String(Math.floor(share * Number(cursor))), rate };
    return { from: String(Math.floor(share * Number(first))), to: first ?? '0', rate };
  }

  #start(lane: RangeLane, request: { from?: string; to: string; rate: number }): Promise<unknown> {
    return this.#world.ask('object.range', async engine => {
      const lastLsn = lastLsnOf(engine);
      const answer = startRange(engine, lane, request);
      const range = rangeOf(engine, lane);
      if (range && !this.#started.has(range.run)) this.#started.set(range.run, lastLsn);
      await answer;
    });
  }

  #resume(lane: RangeLane): Promise<unknown> {
    return this.#control(lane, 'resume');
  }

  async #control(lane: RangeLane, action: 'pause' | 'resume' | 'cancel'): Promise<void> {
    const { answer, lastLsn, run } = await this.#world.ask('object.range', async engine => {
      const lastLsn = lastLsnOf(engine);
      // Read before the call, because another run may be in the lane when it answers.
      const run = rangeOf(engine, lane)?.run;
      return { answer: await controlRange(engine, lane, action), lastLsn, run };
    });
    if (action === 'cancel' && 'changed' in answer && answer.changed) this.#cancelled.set(run!, lastLsn);
  }
}

/** The newest LSN of the first table. */
function lastLsnOf({ source, ports }: World['engine']): number {
  const [table] = source.tables;
  const [row] = ports.sql.exec<{ last: number }>('SELECT last_lsn AS last FROM tables WHERE name = ?', table!.name);
  return row!.last;
}

function isIn({ from, to }: { from: string; to: string }, cursor: number): boolean {
  return cursor > Number(from) && cursor <= Number(to);
}
