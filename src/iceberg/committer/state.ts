import type { SqlPort } from '../../ports/sql.ts';
import type { CatalogWrite } from '../rest/answer.ts';

/** Raised whenever the tables below change, or the JSON in them. */
const LAYOUT = 3;

/** All that the tables hold can be lost: the committer finds it again in the catalog, the bucket and the sources. */
const TABLES = [
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
    again TEXT,
    fault TEXT
  ) WITHOUT ROWID`,
  // The files that the next commit takes, when each was first listed, and whether it has been copied.
  `CREATE TABLE waiting (
    table_name TEXT NOT NULL,
    first_lsn INTEGER NOT NULL,
    last_lsn INTEGER NOT NULL,
    key TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    etag TEXT NOT NULL,
    seen_ms INTEGER NOT NULL,
    copied INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (table_name, first_lsn)
  ) WITHOUT ROWID`,
  // The writes of the last minute, which count against the catalog's limits.
  `CREATE TABLE writes (
    number INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    operation TEXT NOT NULL,
    table_name TEXT NOT NULL
  )`,
];

/** What the committer stores of a table; null where it is unknown. */
export interface TableState {
  name: string;
  location: string | null;
  committed_lsn: number | null;
  files_waiting: number;
  next_ms: number;
  last_commit: string | null;
  attempt: string | null;
  again: string | null;
  fault: string | null;
}

/** A commit that was sent or is about to be sent. No other commit is sent until the table shows its outcome. */
export interface CommitAttempt {
  tableUuid: string;
  /** The id of the table's snapshot that the commit was planned on; null for a table without one. */
  baseId: string | null;
  snapshotId: string;
  /** The commit request as JSON. */
  body: string;
  committedLsn: number;
  files: number;
  rows: number;
}

/** The last failure of a table. Times are milliseconds since 1970. */
export interface CommitFault {
  kind: string;
  reason: string;
  hint: string;
  stalls: boolean;
  /** How many failures in a row make the table wait longer each time. */
  failures: number;
  /** How many failures in a row were of this kind, this one included. */
  ofKind: number;
  retryMs: number;
  atMs: number;
}

/** Rows that the table lost when it was rolled back: their files are copied again, under names with this mark. */
export interface CommittedAgain {
  toLsn: number;
  mark: string;
}

export interface LastCommit {
  atMs: number;
  snapshot: string;
  files: number;
  rows: number;
}

/** A data file that the next commit takes. `copied` is 1 once its copy is under the table's location. */
export interface WaitingFile {
  first_lsn: number;
  last_lsn: number;
  key: string;
  bytes: number;
  etag: string;
  seen_ms: number;
  copied: number;
}

/** A write that was sent to the catalog. */
export interface SentWrite {
  at_ms: number;
  operation: CatalogWrite['operation'];
  table_name: string;
}

/** The committer's SQLite. */
export class CommitState {
  readonly #sql: SqlPort;

  /** Creates the tables. Those of another layout are dropped first, because they are never worth reading wrongly. */
  constructor(sql: SqlPort, tables: string[]) {
    this.#sql = sql;
    sql.transaction(() => {
      if (layoutOf(sql) !== LAYOUT) {
        for (const statement of TABLES) {
          const [name] = /(?<=CREATE TABLE )\w+/.exec(statement)!;
          sql.exec(`DROP TABLE IF EXISTS ${name}`);
          sql.exec(statement);
        }
        sql.exec('INSERT INTO committer (id, layout) VALUES (1, ?)', LAYOUT);
      }
      for (const table of tables) sql.exec('INSERT INTO tables (name) VALUES (?) ON CONFLICT DO NOTHING', table);
    });
  }

  table(name: string): TableState {
    return this.#sql.exec<TableState>('SELECT * FROM tables WHERE name = ?', name)[0]!;
  }

  attempt(name: string): CommitAttempt | null {
    return fromJson<CommitAttempt>(this.table(name).attempt);
  }

  fault(name: string): CommitFault | null {
    return fromJson<CommitFault>(this.table(name).fault);
  }

  lastCommit(name: string): LastCommit | null {
    return fromJson<LastCommit>(this.table(name).last_commit);
  }

  setAttempt(name: string, attempt: CommitAttempt | null): void {
    this.#sql.exec('UPDATE tables SET attempt = ? WHERE name = ?', toJson(attempt), name);
  }

  committedAgain(name: string): CommittedAgain | null {
    return fromJson<CommittedAgain>(this.table(name).again);
  }

  /** The table was rolled back: an attempt of before is dropped, and no file up to an LSN counts as copied any more. */
  setRolledBack(name: string, again: CommittedAgain): void {
    this.#sql.transaction(() => {
      this.setAttempt(name, null);
      const before = this.committedAgain(name);
      if (before?.mark === again.mark && before.toLsn >= again.toLsn) return;
      const toLsn = Math.max(before?.toLsn ?? 0, again.toLsn);
      this.#sql.exec('UPDATE tables SET again = ? WHERE name = ?', toJson({ ...again, toLsn }), name);
      this.#sql.exec('UPDATE waiting SET copied = 0 WHERE table_name = ? AND first_lsn <= ?', name, toLsn);
    });
  }

  setFault(name: string, fault: CommitFault | null): void {
    this.#sql.exec('UPDATE tables SET fault = ? WHERE name = ?', toJson(fault), name);
  }

  setNextMs(name: string, nextMs: number): void {
    this.#sql.exec('UPDATE tables SET next_ms = ? WHERE name = ?', nextMs, name);
  }

  setFilesWaiting(name: string, files: number): void {
    this.#sql.exec('UPDATE tables SET files_waiting = ? WHERE name = ?', files, name);
  }

  /** Stores what the catalog's table holds, and the attempt that is still open, in one transaction. */
  recordTable(
    name: string,
    {
      location,
      committedLsn,
      attempt,
      lastCommit,
    }: { location: string; committedLsn: number; attempt: CommitAttempt | null; lastCommit: LastCommit | null },
  ): void {
    this.#sql.transaction(() => {
      // Another location is that of another table, which has no copies yet.
      if (this.table(name).location !== location)
        this.#sql.exec('UPDATE waiting SET copied = 0 WHERE table_name = ?', name);
      const isAgain = (this.committedAgain(name)?.toLsn ?? 0) > committedLsn;
      if (!isAgain) this.#sql.exec('UPDATE tables SET again = NULL WHERE name = ?', name);
      const committed = this.waiting(name).filter(file => file.first_lsn <= committedLsn);
      this.#sql.exec(
        `UPDATE tables SET location = ?, committed_lsn = ?, attempt = ?, last_commit = ?,
           files_waiting = max(0, files_waiting - ?) WHERE name = ?`,
        location,
        committedLsn,
        toJson(attempt),
        toJson(lastCommit),
        committed.length,
        name,
      );
      this.#sql.exec('DELETE FROM waiting WHERE table_name = ? AND first_lsn <= ?', name, committedLsn);
    });
  }

  /** The files that the next commit takes, in LSN order. */
  waiting(name: string): WaitingFile[] {
    return this.#sql.exec<WaitingFile>('SELECT * FROM waiting WHERE table_name = ? ORDER BY first_lsn', name);
  }

  /** Replaces the files that the next commit takes. A file that is unchanged stays as it is stored. */
  setWaiting(
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
        // A time in the future comes from a clock that jumped back since.
        if (isSame && known.seen_ms <= nowMs) continue;
        this.#sql.exec(
          `INSERT INTO waiting (table_name, first_lsn, last_lsn, key, bytes, etag, seen_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (table_name, first_lsn) DO UPDATE SET last_lsn = excluded.last_lsn, key = excluded.key,
             bytes = excluded.bytes, etag = excluded.etag, seen_ms = excluded.seen_ms, copied = 0`,
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

  setCopied(name: string, firstLsn: number, isCopied: boolean): void {
    const copied = isCopied ? 1 : 0;
    this.#sql.exec('UPDATE waiting SET copied = ? WHERE table_name = ? AND first_lsn = ?', copied, name, firstLsn);
  }

  /** The time until which the catalog asked for no writes. */
  heldUntilMs(): number {
    return this.#sql.exec<{ held_until_ms: number }>('SELECT held_until_ms FROM committer')[0]!.held_until_ms;
  }

  setHeldUntilMs(untilMs: number): void {
    this.#sql.exec('UPDATE committer SET held_until_ms = ?', untilMs);
  }

  /** The writes sent after a time, in order. Deletes those up to it. */
  writesAfter(atMs: number, nowMs: number): SentWrite[] {
    this.#sql.exec('DELETE FROM writes WHERE at_ms <= ?', atMs);
    // A time in the future comes from a clock that jumped back since: count the write as sent now.
    this.#sql.exec('UPDATE writes SET at_ms = ? WHERE at_ms > ?', nowMs, nowMs);
    return this.#sql.exec<SentWrite>('SELECT at_ms, operation, table_name FROM writes ORDER BY at_ms');
  }

  addWrite({ at_ms, operation, table_name }: SentWrite): void {
    const insert = 'INSERT INTO writes (at_ms, operation, table_name) VALUES (?, ?, ?)';
    this.#sql.exec(insert, at_ms, operation, table_name);
  }
}

function fromJson<T>(json: string | null): T | null {
  return json === null ? null : (JSON.parse(json) as T);
}

function toJson(value: object | null): string | null {
  return value && JSON.stringify(value);
}

/** The layout of the committer's tables; null where there are none. */
function layoutOf(sql: SqlPort): number | null {
  const [exists] = sql.exec("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'committer'");
  return exists ? sql.exec<{ layout: number }>('SELECT layout FROM committer')[0]!.layout : null;
}
