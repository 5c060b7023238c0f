import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { messageOf, StepError } from '../errors.ts';
import { openDataFile } from '../parquet/encode.ts';
import { readFooter } from '../parquet/footer.ts';
import { openRows } from '../parquet/read.ts';
import type { EncodePort } from '../ports/data-file.ts';
import type { FeedingPort } from '../ports/inlet.ts';
import type { ClockPort, D1Port, WakePort } from '../ports/platform.ts';
import type { TicketPort } from '../ports/queues.ts';
import type { SqlPort, SqlValue } from '../ports/sql.ts';
import { guardSql } from '../ports/sql-guard.ts';
import { within } from '../time.ts';

/** The clock of an object: the machine's clock plus `aheadMs`. */
export const clockPort = (aheadMs: number): ClockPort => ({
  now: () => Date.now() + aheadMs,
  within: (work, ms, subject) =>
    within(work, ms, () => new StepError('deadline', `${subject}: expected a result within ${ms} ms, got none`)),
  turn: () => scheduler.wait(0),
});

/** An object's alarm. Alarms follow the machine's clock, so `aheadMs` is added to their times and subtracted again. */
export function wakePort(storage: DurableObjectStorage, aheadMs: number): WakePort {
  return {
    async get() {
      const atMs = await storage.getAlarm();
      return atMs === null ? null : atMs + aheadMs;
    },
    set: atMs => (atMs === null ? storage.deleteAlarm() : storage.setAlarm(atMs - aheadMs)),
  };
}

/** The part of `DurableObjectStorage` that the SQL port uses. */
export interface ObjectStorage {
  sql: {
    databaseSize: number;
    exec(statement: string, ...params: SqlValue[]): { toArray(): Record<string, unknown>[] };
  };
  transactionSync<T>(work: () => T): T;
}

/** The SQLite of a Durable Object. */
export function objectSql(storage: ObjectStorage): SqlPort {
  return guardSql({
    exec: (statement, params) => storage.sql.exec(statement, ...params).toArray(),
    transaction: work => storage.transactionSync(work),
    // The runtime leaves free pages out.
    bytes: () => storage.sql.databaseSize,
  });
}

export const ENCODE: EncodePort = {
  open: openDataFile,
  footer: readFooter,
  reader: openRows,
  // Not zstd, because the runtime cannot decompress texts of a multiple of 40 KiB (seen with workerd 1.20261102).
  pack: text => deflateRawSync(text, { level: 1 }),
  unpack: bytes => inflateRawSync(bytes).toString(),
};

export function d1Port(db: D1Database): D1Port {
  return {
    async batch(statements) {
      try {
        const bound = statements.map(({ sql, params }) => db.prepare(sql).bind(...params));
        const answers = await db.batch<Record<string, SqlValue>>(bound);
        return answers.map(answer => answer.results);
      } catch (error) {
        throw new StepError('database-failed', `database batch: expected an answer, got ${messageOf(error)}`);
      }
    },
  };
}

export function ticketPort(queue: Queue, source: string): TicketPort {
  return {
    async send(tickets) {
      try {
        await queue.sendBatch(tickets.map(ticket => ({ body: { source, ...ticket } })));
      } catch (error) {
        throw new StepError('queue-failed', `queue send: expected an answer, got ${messageOf(error)}`);
      }
    },
  };
}

/** The objects of other sources. A call of one that another version wrote, or that is gone, fails. */
export function feedingPort(sources: Env['SOURCES_NS']): FeedingPort {
  return {
    async settledFiles(source, query) {
      try {
        return await sources.getByName(source).settledFiles(query);
      } catch (error) {
        throw new StepError('source-failed', `files of ${source}: expected an answer, got ${messageOf(error)}`);
      }
    },
  };
}
