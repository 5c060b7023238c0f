import type { Fault } from '../../alarm/steps.ts';
import type { Reading } from '../../errors.ts';
import type { HostTally } from '../../ports/hosts.ts';
import type { SqlPort, SqlValue } from '../../ports/sql.ts';
import { countReadings, LOAD_SECONDS, withRequests, withTime } from './counts.ts';

/** The row of `source`. Times are milliseconds since 1970. */
export interface SourceRow {
  /** The watchdog starts a source that the settings name once; afterwards only controls change `paused`. */
  started: number;
  paused: number;
  lake_checked: number;
  flush_requested: number;
  change_number: number;
  append_number: number;
  last_run: number;
  /** The stamp of the last append. Stamps never go back, whatever the clock does. */
  stamp_ms: number;
  /** Rises with every change of evidence. */
  evidence_version: number;
  /** Changes accepted, and parked, since the last append that wrote an entry. */
  uncounted_changes: number;
  uncounted_parked: number;
  /** The durable cursor that the operational database has, and the stamp it was published with. */
  published_cursor: string | null;
  published_ms: number;
  /** When a run last ended without a failed step. */
  last_success_ms: number | null;
  last_flush: string | null;
  requests: number;
  not_modified: number;
  throttled: number;
  errors: number;
  /** Attempts at parked changes. */
  attempts: number;
  statuses: string;
  load_times: string;
  flush_times: string;
}

/** A puller and its cursor. */
export interface Lane {
  lane: string;
  /** The first cursor it had; null before it began. */
  first_cursor: string | null;
  cursor: string | null;
  head: string | null;
  at_head: number;
  /** Pulls so far. */
  polls: number;
  next_pull_ms: number;
  /** JSON list of the changes that wait for their settle time. */
  unsettled: string | null;
  lag_changes: number | null;
  reached_head_ms: number | null;
  page_accepted_ms: number | null;
  reset_readings: number;
  reset_first_ms: number | null;
  /** Changes of `page` that are staged. */
  page_done: number;
  /** The page being staged, packed; null when there is none. */
  page: Uint8Array | null;
  /** The number of the last pull that reached the head. */
  head_poll: number | null;
}

export interface HostState {
  host: string;
  rate: number;
  next_slot_ms: number;
  blocked_until_ms: number;
  strikes: number;
}

/** The small state in the object's SQLite: source, lanes, faults, hosts, suspects, counts. */
export class JournalState {
  readonly #sql: SqlPort;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  source(): SourceRow {
    return this.#sql.exec<SourceRow>('SELECT * FROM source')[0]!;
  }

  updateSource(patch: Partial<SourceRow>): void {
    const { assignments, values } = assign(patch);
    this.#sql.exec(`UPDATE source SET ${assignments}`, ...values);
  }

  lane(lane: string): Lane {
    this.#sql.exec('INSERT INTO lanes (lane) VALUES (?) ON CONFLICT DO NOTHING', lane);
    return this.#sql.exec<Lane & Record<string, SqlValue>>('SELECT * FROM lanes WHERE lane = ?', lane)[0]!;
  }

  updateLane(lane: string, patch: Partial<Omit<Lane, 'lane'>>): void {
    const { assignments, values } = assign(patch);
    this.#sql.exec(`UPDATE lanes SET ${assignments} WHERE lane = ?`, ...values, lane);
  }

  appends(): number {
    return this.source().append_number;
  }

  faults(): Fault[] {
    return this.#sql.exec<Fault>('SELECT * FROM faults ORDER BY at_ms DESC, step');
  }

  fault(step: string): Fault | null {
    return this.#sql.exec<Fault>('SELECT * FROM faults WHERE step = ?', step)[0] ?? null;
  }

  setFault({ step, kind, reason, stalls, failures, retry_ms, at_ms }: Fault): void {
    this.#sql.exec(
      `INSERT INTO faults (step, kind, reason, stalls, failures, retry_ms, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (step) DO UPDATE SET kind = excluded.kind, reason = excluded.reason, stalls = excluded.stalls,
         failures = excluded.failures, retry_ms = excluded.retry_ms, at_ms = excluded.at_ms`,
      step,
      kind,
      reason,
      stalls,
      failures,
      retry_ms,
      at_ms,
    );
  }

  clearFault(step: string): void {
    this.#sql.exec('DELETE FROM faults WHERE step = ?', step);
  }

  host(host: string): HostState | null {
    return this.#sql.exec<HostState>('SELECT * FROM hosts WHERE host = ?', host)[0] ?? null;
  }

  /** The known ones of these hosts. */
  hosts(names: string[]): HostState[] {
    const statement = 'SELECT * FROM hosts WHERE host IN (SELECT value FROM json_each(?))';
    return this.#sql.exec<HostState>(statement, JSON.stringify(names));
  }

  saveHost({ host, rate, next_slot_ms, blocked_until_ms, strikes }: HostState): void {
    this.#sql.exec(
      `INSERT INTO hosts (host, rate, next_slot_ms, blocked_until_ms, strikes) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (host) DO UPDATE SET rate = excluded.rate, next_slot_ms = excluded.next_slot_ms,
         blocked_until_ms = excluded.blocked_until_ms, strikes = excluded.strikes`,
      host,
      rate,
      next_slot_ms,
      blocked_until_ms,
      strikes,
    );
  }

  /** Forgets hosts whose last slot and block were before a time, except those that the settings name. */
  pruneHosts(beforeMs: number, kept: string[]): void {
    this.#sql.exec(
      'DELETE FROM hosts WHERE next_slot_ms < ?1 AND blocked_until_ms < ?1 AND host NOT IN (SELECT value FROM json_each(?2))',
      beforeMs,
      JSON.stringify(kept),
    );
  }

  /** Counts the requests of a Loader call and, where it loads changes, its time. */
  countCall({ hosts, loadMs }: { hosts: HostTally[]; loadMs: number | null }): void {
    if (hosts.length === 0 && loadMs === null) return;
    countReadings(this.#sql, hosts);
    const { requests, not_modified, throttled, errors, statuses, load_times } = this.source();
    const sum = (count: (host: HostTally) => number) => hosts.reduce((total, host) => total + count(host), 0);
    this.updateSource({
      requests: requests + sum(host => host.requests),
      not_modified: not_modified + sum(host => host.notModified),
      throttled: throttled + sum(host => host.throttled),
      errors: errors + sum(host => host.errors),
      statuses: withRequests(statuses, hosts),
      ...(loadMs === null ? {} : { load_times: withTime(load_times, { ms: loadMs, bounds: LOAD_SECONDS }) }),
    });
  }

  suspect(cursor: string): { deaths: number; throttled: number } | null {
    return (
      this.#sql.exec<{ deaths: number; throttled: number }>(
        'SELECT deaths, throttled FROM suspects WHERE cursor = ?',
        cursor,
      )[0] ?? null
    );
  }

  /**
   * Counts deaths of a change's Loader, and waits of its host. A change that has a row here is loaded alone, also with
   * zero of both.
   */
  suspectChange(cursor: string, { deaths, throttled }: { deaths: number; throttled: number }): void {
    this.#sql.exec(
      `INSERT INTO suspects (cursor, deaths, throttled) VALUES (?, ?, ?)
       ON CONFLICT (cursor) DO UPDATE SET deaths = deaths + excluded.deaths, throttled = throttled + excluded.throttled`,
      cursor,
      deaths,
      throttled,
    );
  }

  /** Counts what was accepted in the present minute. */
  countMinute({
    rows,
    changes,
    parked,
    nowMs,
  }: {
    rows: number;
    changes: number;
    parked: number;
    nowMs: number;
  }): void {
    const minute = Math.floor(nowMs / 60_000);
    this.#sql.exec(
      `INSERT INTO minutes (minute, rows, changes, parked) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET
         rows = rows + excluded.rows, changes = changes + excluded.changes, parked = parked + excluded.parked`,
      minute,
      rows,
      changes,
      parked,
    );
    // The status asks for an hour at most.
    this.#sql.exec('DELETE FROM minutes WHERE minute < ?', minute - 60);
  }

  /** Rows accepted since the start of a minute (minutes since 1970). */
  rowsSince(minute: number): number {
    return this.#sql.exec<{ rows: number }>(
      'SELECT coalesce(sum(rows), 0) AS rows FROM minutes WHERE minute >= ?',
      minute,
    )[0]!.rows;
  }

  /** Changes accepted since the start of a minute (minutes since 1970), and how many of them were parked. */
  changesSince(minute: number): { changes: number; parked: number } {
    return this.#sql.exec<{ changes: number; parked: number }>(
      'SELECT coalesce(sum(changes), 0) AS changes, coalesce(sum(parked), 0) AS parked FROM minutes WHERE minute >= ?',
      minute,
    )[0]!;
  }

  /**
   * The sum of the LSNs of a key's newest row in each table, 0 when it has no row. It rises with each of its rows; the
   * largest of them would not, because each table counts from 1.
   */
  lastLsnOf(key: string): number {
    return (
      this.#sql.exec<{ lsn: number | null }>('SELECT sum(last_lsn) AS lsn FROM keys WHERE key = ?', key)[0]!.lsn ?? 0
    );
  }

  /** The sum of all tables' last LSNs, which rises with every row. */
  lastLsn(): number {
    return this.tables().reduce((sum, table) => sum + table.last_lsn, 0);
  }

  /** The newest revision of a key that has a row. */
  revisionOf(key: string): number | null {
    return this.#sql.exec<{ revision: number | null }>(
      'SELECT max(revision) AS revision FROM keys WHERE key = ?',
      key,
    )[0]!.revision;
  }

  /** The size of a key's last document; null where none is known. */
  documentBytesOf(key: string): number | null {
    return this.#sql.exec<{ bytes: number | null }>(
      'SELECT max(document_bytes) AS bytes FROM keys WHERE key = ?',
      key,
    )[0]!.bytes;
  }

  /** Compressed bytes of entries and staged slices. */
  packedBytes(): number {
    const [entries] = this.#sql.exec<{ bytes: number }>('SELECT coalesce(sum(packed_bytes), 0) AS bytes FROM entries');
    const [staged] = this.#sql.exec<{ bytes: number }>('SELECT coalesce(sum(length(body)), 0) AS bytes FROM staged');
    return entries!.bytes + staged!.bytes;
  }

  /** Answers by server and by what the source made of them, by server's name. */
  readings(): { server: string; reading: Reading; answers: number }[] {
    return this.#sql.exec('SELECT server, reading, answers FROM readings ORDER BY server, reading');
  }

  outcomes(): { outcome: string; changes: number }[] {
    return this.#sql.exec<{ outcome: string; changes: number }>(
      'SELECT outcome, changes FROM outcomes ORDER BY outcome',
    );
  }

  tables(): { name: string; last_lsn: number; known_rows: number; rows: number; files: number; bytes: number }[] {
    return this.#sql.exec('SELECT name, last_lsn, known_rows, rows, files, bytes FROM tables ORDER BY name');
  }
}

function assign(patch: Record<string, SqlValue | undefined>): { assignments: string; values: SqlValue[] } {
  const columns = Object.entries(patch).filter((entry): entry is [string, SqlValue] => entry[1] !== undefined);
  return {
    assignments: columns.map(([column]) => `${column} = ?`).join(', '),
    values: columns.map(([, value]) => value),
  };
}
