import type { StreamRecord } from '../../schemas/stream.ts';
import type { LogEvent, LogFields } from '../log.ts';
import type { SqlValue } from './sql.ts';

/** The operational database. Throws `StepError` `database-failed`. */
export interface D1Port {
  /** Runs statements in one transaction and returns the rows of each. */
  batch(statements: { sql: string; params: SqlValue[] }[]): Promise<Record<string, SqlValue>[][]>;
}

/** The clock. Times are milliseconds since 1970. */
export interface ClockPort {
  now(): number;
  /** The promise's outcome, or a `StepError` `deadline` after `ms`. The work itself may still end later. */
  within<T>(work: Promise<T>, ms: number, subject: string): Promise<T>;
  /** Lets other calls of this object run. */
  turn(): Promise<void>;
}

/** The object's only alarm. Times are milliseconds since 1970. */
export interface WakePort {
  /** Null when no alarm is set. */
  get(): Promise<number | null>;
  /** Null removes the alarm. */
  set(atMs: number | null): Promise<void>;
}

/**
 * The streams that get the rows of tables, by the name of their binding. Throws `StepError`: `stream-refused` when the
 * stream rejects a record, `stream-failed` for anything else, with the wait that the stream asked for.
 */
export interface StreamPort {
  /** Resolves when the stream has confirmed the records. */
  send(binding: string, records: StreamRecord[]): Promise<void>;
}

/** Writes one line to the log. Never throws. */
export type LogPort = (event: LogEvent, fields: LogFields) => void;
