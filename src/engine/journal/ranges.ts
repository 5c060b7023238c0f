import type { SqlPort, SqlValue } from '../../ports/sql.ts';

/** `backfill`: a range before the tail's first cursor. `rewind`: a range that the tail has passed. */
export type RangeLane = 'backfill' | 'rewind';

/** A range of the feed that a lane of its own pulls, `from_cursor` excluded, `to_cursor` included. */
export interface Range {
  lane: RangeLane;
  /** Its rows have `_cursor` `<cursor>#<run>`. */
  run: number;
  from_cursor: string;
  to_cursor: string;
  /** Changes are counted before they are loaded, so that the time left is known. */
  phase: 'counting' | 'loading' | 'done' | 'cancelled';
  paused: number;
  /** Changes a second at most. */
  rate: number;
  cursor: string;
  /** Changes counted: all of them once it is loading. */
  counted: number;
  /** Changes accepted. */
  done: number;
  next_ms: number;
  /** When the measurement of its pace began, and `done` at that time. */
  paced_ms: number;
  paced_done: number;
  started_ms: number;
  ended_ms: number | null;
}

/** The ranges in the object's SQLite: the last one of each lane. Callers hold the transaction. */
export class JournalRanges {
  readonly #sql: SqlPort;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  find(lane: RangeLane): Range | null {
    return this.#sql.exec<Range & Record<string, SqlValue>>('SELECT * FROM ranges WHERE lane = ?', lane)[0] ?? null;
  }

  /** Replaces the lane's last range. */
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
