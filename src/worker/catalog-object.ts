import { DurableObject } from 'cloudflare:workers';
import { readSettings } from '../config.ts';
import type { IcebergStatus } from '../contract/iceberg.ts';
import type { CatalogStub } from '../contract/objects.ts';
import { messageOf, StepError } from '../errors.ts';
import { newSnapshotId } from '../iceberg/append/snapshot.ts';
import { Committer } from '../iceberg/committer/committer.ts';
import type { CommitterPorts } from '../iceberg/committer/ports.ts';
import { statusOf } from '../iceberg/committer/status.ts';
import { createLog } from '../log.ts';
import { readFacts } from '../parquet/footer.ts';
import { SOURCES } from '../sources/registry.ts';
import { clockPort, objectSql, wakePort } from './bindings.ts';
import { bucketPort } from './r2.ts';

/** The Durable Object of the Iceberg catalog: binds the committer to the platform. Its alarm does all the work. */
export class CatalogObject extends DurableObject<Env> implements CatalogStub {
  /** Null when the settings name no catalog. */
  readonly #committer: Committer | null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const { catalog, sources, clockAheadMs } = readSettings(env as unknown as Record<string, unknown>);
    const ports: CommitterPorts = {
      sql: objectSql(ctx.storage),
      bucket: bucketPort(env.LAKE),
      files: filesPort(env.SOURCES_NS),
      fetch: (url, init) => fetch(url, init),
      clock: clockPort(clockAheadMs),
      wake: wakePort(ctx.storage, clockAheadMs),
      readFacts,
      newSnapshotId,
      log: createLog(),
    };
    const enabled = SOURCES.filter(({ id }) => sources.includes(id));
    const tables = enabled.flatMap(source => source.tables.map(table => ({ table, source: source.id })));
    this.#committer = catalog && new Committer({ ports, tables, settings: catalog });
  }

  /** Without a catalog in the settings, an alarm that was set before does nothing and sets no next one. */
  override async alarm(): Promise<void> {
    await this.#committer?.wake();
  }

  async status(): Promise<IcebergStatus> {
    return this.#committer ? statusOf(this.#committer) : { enabled: false, tables: [], next_wake_at: null };
  }

  async watch(): Promise<void> {
    await this.#committer?.watch();
  }
}

function filesPort(sources: Env['SOURCES_NS']): CommitterPorts['files'] {
  return {
    async liveFiles(source, { table, after, limit }) {
      try {
        return await sources.getByName(source).liveFiles(table, after, limit);
      } catch (error) {
        throw new StepError('source-failed', `files of ${source}: expected an answer, got ${messageOf(error)}`);
      }
    },
  };
}
