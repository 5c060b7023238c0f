import type { StreamRecord } from '../../schemas/stream.ts';
import type { Table } from '../../schemas/table.ts';
import { type ErrorKind, SettingError, StepError } from '../errors.ts';
import type { StreamPort } from '../ports/platform.ts';

/** A stream as the worker is bound to it: ends when the stream has the records, throws when it has not. */
export interface StreamBinding {
  send(records: StreamRecord[]): Promise<unknown>;
}

/** Answers that say it is the records: they would be the same next time. */
const REFUSED = new Set([400, 413, 415, 422]);

/**
 * Binds the streams that the setting STREAMS names. Throws `SettingError` for a table that is not known, and a binding
 * that is not there.
 */
export function streamPort({
  streams,
  tables,
  env,
}: {
  streams: Record<string, string>;
  tables: readonly Table[];
  env: Record<string, unknown>;
}): StreamPort {
  const bindings = new Map<string, StreamBinding>();
  for (const [table, binding] of Object.entries(streams)) {
    if (!tables.some(({ name }) => name === table))
      throw new SettingError(`STREAMS: expected tables out of ${tables.map(({ name }) => name)}, got ${table}`);
    const found = (Object.hasOwn(env, binding) ? env[binding] : null) as StreamBinding | string | null;
    if (typeof found !== 'object' || typeof found?.send !== 'function')
      throw new SettingError(`STREAMS: expected ${binding} to be the binding of a stream, got ${kindOf(found)}`);
    bindings.set(binding, found);
  }
  return {
    async send(binding, records) {
      try {
        await bindings.get(binding)!.send(records);
      } catch (error) {
        throw streamError(binding, error);
      }
    },
  };
}

/**
 * What a stream's error means. Which errors its binding throws is not documented: a status and the seconds to wait are
 * read where it has them. Its text is not told, as it may hold values of a row.
 */
function streamError(binding: string, error: unknown): StepError {
  const { name = 'something thrown', status, retryAfter } = (error ?? {}) as Record<string, unknown>;
  const isRefused = REFUSED.has(Number(status)) || name === 'DataCloneError' || name === 'TypeError';
  const kind: ErrorKind = isRefused ? 'stream-refused' : 'stream-failed';
  const waitMs = Number(retryAfter ?? Number.NaN) * 1000;
  const answer = Number.isInteger(status) ? `${name} with status ${status}` : String(name).slice(0, 100);
  return new StepError(kind, `${binding}: expected the records to be taken, got ${answer}`, waitMs > 0 ? waitMs : null);
}

function kindOf(value: unknown): string {
  return value === null || value === undefined ? 'none' : typeof value;
}
