import type { SqlPort, SqlValue } from '../../ports/sql.ts';

/** Lanes beside the tail: a stretch before its first cursor, and one it has been through already. */
export type RangeLane = 'backfill' | 'rewind';

/** A stretch of the feed that is pulled beside the tail, `from` excluded, `to` included. Times are milliseconds. */
export interface Range {
  lane: RangeLane;
  /** Stands behind the place of each of its rows: `<place>#<run>`. */
  run: number;
  from_cursor: string;
  to_cursor: string;
  /** Its ids are counted first, so that the time left is known. */
  phase: 'counting' | 'loading' | 'done' | 'cancelled';
  paused: number;
  /** Changes a second at most. */
  rate: number;
  cursor: string;
  /** Changes in it; of those read so far while it is being counted. */
  counted: number;
  /** Changes accepted. */
  done: number;
  next_ms: number;
  /** Since when, and from how many on, its pace is measured. */
  paced_ms: number;
  paced_done: number;
  started_ms: number;
  ended_ms: number | null;
}

/** The object's ranges: at most one a lane, the last one until another is started. Callers hold the transaction. */
export class JournalRanges {
  readonly #sql: SqlPort;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  find(lane: RangeLane): Range | null {
    return this.#sql.exec<Range & Record<string, SqlValue>>('SELECT * FROM ranges WHERE lane = ?', lane)[0] ?? null;
  }

  /** Puts a range in the place of the lane's last one. */
  start(
    range: Pick<Range, 'lane' | 'from_cursor' | 'to_cursor' | 'rate' | 'cursor' | 'started_ms'>,
    run: number,
  ): void {
    const { lane, from_cursor, to_cursor, rate, cursor, started_ms } = range;
    this.#sql.exec(
      `INSERT OR REPLACE INTO ranges (lane, run, from_cursor, to_cursor, phase, rate, cursor, started_ms)
       VALUES (?, ?, ?, ?, 'counting', ?, ?, ?)`,
      lane,
      run,
      from_cursor,
      to_cursor,
      rate,
      cursor,
      started_ms,
    );
  }

  update(lane: RangeLane, patch: Partial<Omit<Range, 'lane' | 'run'>>): void {
    const columns = Object.keys(patch);
    const assignments = columns.map(column => `${column} = ?`).join(', ');
    const values = Object.values(patch) as SqlValue[];
    this.#sql.exec(`UPDATE ranges SET ${assignments} WHERE lane = ?`, ...values, lane);
  }
}
