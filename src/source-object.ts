import { DurableObject } from 'cloudflare:workers';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { ControlAction, ControlResult, LiveFile, SourceHealth, SourceStatus, TableFacts } from './api/forms.ts';
import { readSettings } from './config.ts';
import { Engine } from './engine/engine.ts';
import { journalSource } from './engine/journal-schema.ts';
import type {
  ClockPort,
  D1Port,
  EncodePort,
  EngineSource,
  LoadPort,
  Ports,
  SqlValue,
  WakePort,
} from './engine/ports.ts';
import { objectSql } from './engine/sql.ts';
import { healthOf, liveFilesOf, stateOf, statusOf, tablesOf } from './engine/status.ts';
import { OwnError } from './errors.ts';
import { bucketPort } from './lake/bucket.ts';
import { createLog } from './log.ts';
import { openDataFile } from './parquet/encode.ts';
import { sourceNamed } from './sources/registry.ts';

/** One source: binds the engine to the platform. Its alarm does all the work. */
export class SourceObject extends DurableObject<Env> {
  readonly #engine: Engine;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const sql = objectSql(ctx.storage);
    // An alarm does not always tell the name; the journal does.
    const id = ctx.id.name ?? journalSource(sql);
    if (!id) throw new Error('source object: expected to be addressed by the name of a source');
    const settings = readSettings(env as unknown as Record<string, unknown>);
    const source = engineSource(id, env);
    const ports: Ports = {
      ...{ sql, bucket: bucketPort(env.LAKE), d1: d1Port(env.DB), load: loadPort(ctx, id), encode: ENCODE },
      ...{ clock: CLOCK, wake: wakePort(ctx.storage), log: createLog() },
    };
    this.#engine = new Engine({ ports, source, options: { ...settings, enabled: settings.sources.includes(id) } });
  }

  override async alarm(): Promise<void> {
    await this.#engine.wake();
  }

  status(): Promise<SourceStatus> {
    return statusOf(this.#engine);
  }

  async control(action: ControlAction): Promise<ControlResult> {
    const changed = await this.#engine.control(action);
    return { source: this.#engine.source.id, action, changed, state: stateOf(this.#engine) };
  }

  tables(): TableFacts[] {
    return tablesOf(this.#engine);
  }

  liveFiles(table: string, after: number, limit: number): LiveFile[] {
    return liveFilesOf(this.#engine, { table, after, limit });
  }

  health(): SourceHealth {
    return healthOf(this.#engine);
  }

  watch(): Promise<void> {
    return this.#engine.watch();
  }
}

function engineSource(id: string, env: Env): EngineSource {
  const source = sourceNamed(id);
  const settings = source.settings(env as unknown as Record<string, unknown>);
  const { tables, resumable, compare } = source;
  const requests: EngineSource['requests'] = (step, changes) => source.requests(step, changes, settings);
  return { id, tables, resumable, compare, requests, ...source.pace(settings), prepares: source.prepare !== undefined };
}

const ENCODE: EncodePort = {
  open: openDataFile,
  // Not zstd: the runtime fails to decompress what is a multiple of 40 KiB (seen with workerd 1.20261102).
  pack: text => deflateRawSync(text, { level: 1 }),
  unpack: bytes => inflateRawSync(bytes).toString(),
};

const CLOCK: ClockPort = {
  now: Date.now,
  within(work, ms, subject) {
    let timer: ReturnType<typeof setTimeout>;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new OwnError('deadline', `${subject}: expected an end within ${ms} ms`)), ms);
    });
    return Promise.race([work, late]).finally(() => clearTimeout(timer));
  },
  turn: () => scheduler.wait(0),
};

function d1Port(db: D1Database): D1Port {
  return {
    async batch(statements) {
      try {
        const bound = statements.map(({ sql, params }) => db.prepare(sql).bind(...params));
        const answers = await db.batch<Record<string, SqlValue>>(bound);
        return answers.map(answer => answer.results);
      } catch (error) {
        throw new OwnError(
          'database-failed',
          `database batch: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
    },
  };
}

/** Loopback calls: each may run in an isolate of its own. */
function loadPort(ctx: DurableObjectState, source: string): LoadPort {
  const loader = ctx.exports.Loader;
  return {
    start: permits => loader.start(source, permits),
    pull: (request, permits) => loader.pull(source, request, permits),
    prepare: (changes, permits) => loader.prepare(source, changes, permits),
    load: request => loader.load(source, request),
    ping: async () => loader.ping(),
  };
}

function wakePort(storage: DurableObjectStorage): WakePort {
  return {
    get: () => storage.getAlarm(),
    set: atMs => (atMs === null ? storage.deleteAlarm() : storage.setAlarm(atMs)),
  };
}
