import type { StreamRecord } from '../../schemas/stream.ts';
import type { LogEvent, LogFields } from '../log.ts';
import type { SqlValue } from './sql.ts';

/** The operational database: statements run as one transaction. Gives each one's rows. */
export interface D1Port {
  batch(statements: { sql: string; params: SqlValue[] }[]): Promise<Record<string, SqlValue>[][]>;
}

export interface ClockPort {
  now(): number;
  /** The promise's outcome, or an `StepError` of kind `deadline` after `ms`; what was begun may still end later. */
  within<T>(work: Promise<T>, ms: number, subject: string): Promise<T>;
  /** Lets whoever waits for this object have a turn. */
  turn(): Promise<void>;
}

/** The object's one alarm. */
export interface WakePort {
  get(): Promise<number | null>;
  /** Null takes the alarm away. */
  set(atMs: number | null): Promise<void>;
}

/**
 * The streams that tables are sent to, by the name of their binding. Throws `StepError`: `stream-refused` where the stream
 * takes no such record, `stream-failed` for anything else, with the wait it asked for.
 */
export interface StreamPort {
  /** Ends when the stream has the records. */
  send(binding: string, records: StreamRecord[]): Promise<void>;
}

export type LogPort = (event: LogEvent, fields: LogFields) => void;
