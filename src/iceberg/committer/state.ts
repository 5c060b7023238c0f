import type { SqlPort } from '../../ports/sql.ts';

/** The committer's own tables. What it forgets it finds again: in the catalog, the bucket and the sources. */
const LAYOUT = [
  `CREATE TABLE committer (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    layout INTEGER NOT NULL,
    held_until_ms INTEGER NOT NULL DEFAULT 0
  )`,
  `CREATE TABLE tables (
    name TEXT PRIMARY KEY,
    location TEXT,
    committed_lsn INTEGER,
    files_waiting INTEGER NOT NULL DEFAULT 0,
    next_ms INTEGER NOT NULL DEFAULT 0,
    last_commit TEXT,
    attempt TEXT,
    fault TEXT
  ) WITHOUT ROWID`,
  // The files that come next, with when each was first seen, and whether its copy lies under the table's location.
  `CREATE TABLE waiting (
    table_name TEXT NOT NULL,
    first_lsn INTEGER NOT NULL,
    last_lsn INTEGER NOT NULL,
    key TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    etag TEXT NOT NULL,
    seen_ms INTEGER NOT NULL,
    placed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (table_name, first_lsn)
  ) WITHOUT ROWID`,
  // Of the last minute: what counts against the catalog's limits.
  `CREATE TABLE writes (
    number INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    operation TEXT NOT NULL,
    table_name TEXT NOT NULL
  )`,
];
const VERSION = 1;

/** What the committer remembers of a table; null where it does not know. */
export interface TableState {
  name: string;
  location: string | null;
  committed_lsn: number | null;
  files_waiting: number;
  next_ms: number;
  last_commit: string | null;
  attempt: string | null;
  fault: string | null;
}

/** A commit that was sent, or is about to be: until the table shows what became of it, nothing else is. */
export interface Attempt {
  tableUuid: string;
  /** The table's current snapshot it was made for, as text; null of a table without one. */
  baseId: string | null;
  snapshotId: string;
  /** The commit's request as JSON. */
  body: string;
  committedLsn: number;
  files: number;
  rows: number;
}

/** Times are milliseconds since 1970. */
export interface CommitFault {
  kind: string;
  reason: string;
  hint: string;
  stalls: boolean;
  failures: number;
  retryMs: number;
  atMs: number;
}

export interface LastCommit {
  atMs: number;
  snapshot: string;
  files: number;
  rows: number;
}

/** A data file that comes next. */
export interface WaitingFile {
  first_lsn: number;
  last_lsn: number;
  key: string;
  bytes: number;
  etag: string;
  seen_ms: number;
  placed: number;
}

export interface Write {
  at_ms: number;
  operation: string;
  table_name: string;
}

/** The committer's SQLite. */
export class CommitState {
  readonly #sql: SqlPort;

  /** Makes the tables, or takes those that are there. Throws where a later version made them. */
  constructor(sql: SqlPort, tables: string[]) {
    this.#sql = sql;
    sql.transaction(() => {
      const [exists] = sql.exec("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'committer'");
      if (!exists) {
        for (const statement of LAYOUT) sql.exec(statement);
        sql.exec('INSERT INTO committer (id, layout) VALUES (1, ?)', VERSION);
      }
      const { layout } = sql.exec<{ layout: number }>('SELECT layout FROM committer')[0]!;
      if (layout !== VERSION) throw new Error(`committer: expected layout ${VERSION}, got ${layout}`);
      for (const table of tables) sql.exec('INSERT INTO tables (name) VALUES (?) ON CONFLICT DO NOTHING', table);
    });
  }

  table(name: string): TableState {
    return this.#sql.exec<TableState>('SELECT * FROM tables WHERE name = ?', name)[0]!;
  }

  attempt(name: string): Attempt | null {
    return read<Attempt>(this.table(name).attempt);
  }

  fault(name: string): CommitFault | null {
    return read<CommitFault>(this.table(name).fault);
  }

  lastCommit(name: string): LastCommit | null {
    return read<LastCommit>(this.table(name).last_commit);
  }

  setAttempt(name: string, attempt: Attempt | null): void {
    this.#sql.exec('UPDATE tables SET attempt = ? WHERE name = ?', written(attempt), name);
  }

  setFault(name: string, fault: CommitFault | null): void {
    this.#sql.exec('UPDATE tables SET fault = ? WHERE name = ?', written(fault), name);
  }

  setNext(name: string, nextMs: number): void {
    this.#sql.exec('UPDATE tables SET next_ms = ? WHERE name = ?', nextMs, name);
  }

  setFilesWaiting(name: string, files: number): void {
    this.#sql.exec('UPDATE tables SET files_waiting = ? WHERE name = ?', files, name);
  }

  /** Notes what the table in the catalog says, and what became of the attempt, in one. */
  found(
    name: string,
    {
      location,
      committedLsn,
      attempt,
      lastCommit,
    }: { location: string; committedLsn: number; attempt: Attempt | null; lastCommit: LastCommit | null },
  ): void {
    this.#sql.transaction(() => {
      // Another place: it is another table, and has no copy yet.
      if (this.table(name).location !== location)
        this.#sql.exec('UPDATE waiting SET placed = 0 WHERE table_name = ?', name);
      const done = this.waiting(name).filter(file => file.first_lsn <= committedLsn);
      this.#sql.exec(
        `UPDATE tables SET location = ?, committed_lsn = ?, attempt = ?, last_commit = ?,
           files_waiting = max(0, files_waiting - ?) WHERE name = ?`,
        location,
        committedLsn,
        written(attempt),
        written(lastCommit),
        done.length,
        name,
      );
      this.#sql.exec('DELETE FROM waiting WHERE table_name = ? AND first_lsn <= ?', name, committedLsn);
    });
  }

  /** The files that come next, in order. */
  waiting(name: string): WaitingFile[] {
    return this.#sql.exec<WaitingFile>('SELECT * FROM waiting WHERE table_name = ? ORDER BY first_lsn', name);
  }

  /** Keeps these files, in order, and no others. One that is another than before is new. */
  keepWaiting(
    name: string,
    files: Pick<WaitingFile, 'first_lsn' | 'last_lsn' | 'key' | 'bytes' | 'etag'>[],
    nowMs: number,
  ): void {
    const before = new Map(this.waiting(name).map(file => [file.first_lsn, file]));
    this.#sql.transaction(() => {
      for (const { first_lsn, last_lsn, key, bytes, etag } of files) {
        const known = before.get(first_lsn);
        before.delete(first_lsn);
        const isSame = known?.last_lsn === last_lsn && known.etag === etag && known.key === key;
        // First seen in the future: by a clock that has jumped back since.
        if (isSame && known.seen_ms <= nowMs) continue;
        this.#sql.exec(
          `INSERT INTO waiting (table_name, first_lsn, last_lsn, key, bytes, etag, seen_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (table_name, first_lsn) DO UPDATE SET last_lsn = excluded.last_lsn, key = excluded.key,
             bytes = excluded.bytes, etag = excluded.etag, seen_ms = excluded.seen_ms, placed = 0`,
          name,
          first_lsn,
          last_lsn,
          key,
          bytes,
          etag,
          Math.min(known?.seen_ms ?? nowMs, nowMs),
        );
      }
      for (const firstLsn of before.keys())
        this.#sql.exec('DELETE FROM waiting WHERE table_name = ? AND first_lsn = ?', name, firstLsn);
    });
  }

  setPlaced(name: string, firstLsn: number, placed: boolean): void {
    const value = placed ? 1 : 0;
    this.#sql.exec('UPDATE waiting SET placed = ? WHERE table_name = ? AND first_lsn = ?', value, name, firstLsn);
  }

  /** Until when the catalog wants to be asked for no change. */
  heldUntilMs(): number {
    return this.#sql.exec<{ held_until_ms: number }>('SELECT held_until_ms FROM committer')[0]!.held_until_ms;
  }

  hold(untilMs: number): void {
    this.#sql.exec('UPDATE committer SET held_until_ms = ?', untilMs);
  }

  /** Changes asked of the catalog after a time, in order; those before it are forgotten. */
  writesAfter(atMs: number, nowMs: number): Write[] {
    this.#sql.exec('DELETE FROM writes WHERE at_ms <= ?', atMs);
    // Noted by a clock that has jumped back since.
    this.#sql.exec('UPDATE writes SET at_ms = ? WHERE at_ms > ?', nowMs, nowMs);
    return this.#sql.exec<Write>('SELECT at_ms, operation, table_name FROM writes ORDER BY at_ms');
  }

  noteWrite({ at_ms, operation, table_name }: Write): void {
    const insert = 'INSERT INTO writes (at_ms, operation, table_name) VALUES (?, ?, ?)';
    this.#sql.exec(insert, at_ms, operation, table_name);
  }
}

function read<T>(json: string | null): T | null {
  return json === null ? null : (JSON.parse(json) as T);
}

function written(value: object | null): string | null {
  return value && JSON.stringify(value);
}
