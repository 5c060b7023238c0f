import { tableNamed } from '../../../schemas/index.ts';
import type { Row } from '../../../schemas/table.ts';
import { agendaOf, type JournalAgenda } from '../../../src/engine/journal/agenda.ts';
import { type Accepted, TAIL } from '../../../src/engine/journal/changes.ts';
import { LINEAGE_COLUMNS } from '../../../src/engine/journal/entries.ts';
import { Journal } from '../../../src/engine/journal/journal.ts';
import { openJournal } from '../../../src/engine/journal/open.ts';
import { type PushedLine, pushDigest } from '../../../src/engine/journal/pushes.ts';
import type { LoadedRow, Seen } from '../../../src/ports/change.ts';
import type { SqlPort } from '../../../src/ports/sql.ts';
import { JSON_LINES } from '../../simulation/world/encode.ts';
import { nodeSql } from '../../simulation/world/node-sql.ts';
import { rowOf } from '../../simulation/world/sources.ts';

const TABLES = ['github_repo', 'github_profile', 'github_commit'];
const NOW_MS = Date.UTC(2026, 10, 20);

/**
 * The journal of a toy source with an agenda: keys such as `repo:a` give rows of several tables and keys, and those of
 * one table are immutable.
 */
export class ToyJournal {
  readonly sql: SqlPort = nodeSql();
  readonly journal: Journal;
  readonly agenda: JournalAgenda;
  #visits = 0;
  #pushes = 0;

  constructor() {
    openJournal(this.sql, 'toy', TABLES);
    const pace = { waitMs: 10_000, attemptsMax: 20, leaseMs: 300_000 };
    const rules = {
      read: (key: string) => ({ key, space: 'toy' }),
      next: ({ nowMs }: { nowMs: number }) => ({ atMs: nowMs + 3_600_000, reason: 'found' }),
    };
    this.journal = new Journal(this.sql, JSON_LINES.port, { pace, agenda: rules });
    this.agenda = agendaOf(this.journal);
    this.journal.state.lane(TAIL);
    this.journal.state.updateLane(TAIL, { cursor: '0' });
  }

  watch(...keys: string[]): void {
    for (const key of keys) this.agenda.add({ key, space: 'toy' }, NOW_MS);
  }

  /** A visit of each key in one slice; each gives its rows, and its digest is over them. `more` is what else they saw. */
  visit(found: Record<string, LoadedRow[]>, more: Partial<Seen> = {}): void {
    const cursorBefore = String(this.#visits);
    const accepted = Object.entries(found).map(([key, rows]): Accepted => {
      const change = { key, cursor: String(++this.#visits), deleted: false, revision: null, skip: null };
      return {
        change,
        outcome: { kind: 'rows', rows, revision: null, documentBytes: 10, seen: { ...seenOf(rows), ...more } },
      };
    });
    const cursorAfter = String(this.#visits);
    if (!this.journal.append({ lane: TAIL, cursorBefore, cursorAfter, accepted, nowMs: NOW_MS }))
      throw new Error(`toy: expected the lane at ${cursorBefore}`);
  }

  /** One request that pushes rows. */
  push(...rows: LoadedRow[]): void {
    const identity = `request-${++this.#pushes}`;
    const lines = rows.map((row, index): Accepted & PushedLine => {
      const key = keyTextOf(row);
      const change = { key, cursor: `push/${identity}/${index + 1}`, deleted: false, revision: null, skip: null };
      const outcome = { kind: 'rows' as const, rows: [row], revision: null, documentBytes: 0 };
      return { line: index + 1, digest: pushDigest(row.table, row.row), change, outcome };
    });
    this.journal.appendPush(identity, { lines, nowMs: NOW_MS });
  }

  /** The values of a column of all rows of a table, in LSN order. */
  values(table: string, column: string): unknown[] {
    const { columns, lineageAt } = tableNamed(table);
    const own = columns.map(({ name }) => name).toSpliced(lineageAt, LINEAGE_COLUMNS);
    return this.#rows(table).map(([, , ...values]) => values[own.indexOf(column)]);
  }

  /** The operations of all rows of a table, in LSN order. */
  ops(table: string): unknown[] {
    return this.#rows(table).map(([op]) => op);
  }

  #rows(table: string): unknown[][] {
    const entries = this.sql.exec<{ body: Uint8Array }>(
      'SELECT body FROM entries WHERE table_name = ? ORDER BY first_lsn',
      table,
    );
    return entries.flatMap(({ body }) => JSON.parse(JSON_LINES.port.unpack(body)) as unknown[][]);
  }

  outcomes(): Record<string, number> {
    return Object.fromEntries(this.journal.state.outcomes().map(({ outcome, changes }) => [outcome, changes]));
  }

  knownRows(table = 'github_commit'): number {
    return this.journal.state.tables().find(({ name }) => name === table)!.known_rows;
  }
}

export function repo(name: string, description: string, op: LoadedRow['op'] = 'upsert'): LoadedRow {
  return loaded('github_repo', op, { full_name: name, description });
}

export function profile(name: string, bio: string): LoadedRow {
  return loaded('github_profile', 'upsert', { username: name, bio });
}

export function commit(repository: string, sha: string): LoadedRow {
  return loaded('github_commit', 'upsert', { repo: repository, sha });
}

function loaded(table: string, op: LoadedRow['op'], values: Row): LoadedRow {
  return { table, op, row: rowOf(tableNamed(table), values) };
}

function keyTextOf({ table, row }: LoadedRow): string {
  const values = tableNamed(table).key.map(column => row[column]);
  return values.length === 1 ? String(values[0]) : JSON.stringify(values);
}

function seenOf(rows: LoadedRow[]) {
  const digests: Record<string, string> = {};
  for (const row of rows) digests[row.table] = (digests[row.table] ?? '') + JSON.stringify(row);
  const mainDigest = JSON.stringify(rows);
  const found = rows.some(({ op }) => op === 'upsert');
  return { found, always: false, partial: false, digests, mainDigest, moreHosts: [], facts: {} };
}
