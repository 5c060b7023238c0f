import type { StreamRecord } from '../../schemas/stream.ts';
import type { Table } from '../../schemas/table.ts';
import { type ErrorKind, SettingError, StepError } from '../errors.ts';
import type { StreamPort } from '../ports/platform.ts';

/** The worker's binding of a stream: `send` resolves when the stream has the records, and rejects when it does not. */
export interface StreamBinding {
  send(records: StreamRecord[]): Promise<unknown>;
}

/** Statuses that blame the records: sending them again would fail again. */
const REFUSED = new Set([400, 413, 415, 422]);

/**
 * Binds the streams that the setting STREAMS names. Throws `SettingError` for an unknown table or an absent binding.
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
      throw new SettingError(`STREAMS: expected bindings of streams, got ${binding}, which is ${kindOf(found)}`);
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
 * Classifies an error of a stream's binding. Cloudflare does not document these errors, so `status` and `retryAfter`
 * (seconds) are read only when they are there. The message is left out, because it may hold values of a row.
 */
function streamError(binding: string, error: unknown): StepError {
  const { name = 'a thrown value', status, retryAfter } = (error ?? {}) as Record<string, unknown>;
  const isRefused = REFUSED.has(Number(status)) || name === 'DataCloneError' || name === 'TypeError';
  const kind: ErrorKind = isRefused ? 'stream-refused' : 'stream-failed';
  const waitMs = Number(retryAfter ?? Number.NaN) * 1000;
  const answer = Number.isInteger(status) ? `${name} with status ${status}` : String(name).slice(0, 100);
  return new StepError(kind, `${binding}: expected the records to be taken, got ${answer}`, waitMs > 0 ? waitMs : null);
}

function kindOf(value: unknown): string {
  return value === null || value === undefined ? 'none' : typeof value;
}
