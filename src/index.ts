import { TABLES } from '../schemas/index.ts';
import type { Known } from './api/env.ts';
import { watchSources } from './api/health.ts';
import { watchCatalog } from './api/iceberg.ts';
import { createApi } from './api/router.ts';
import { readSettings } from './config.ts';
import { createLog } from './log.ts';
import { consumeTickets } from './queues/tickets.ts';
import { SOURCES } from './sources/registry.ts';
import { clockPort } from './worker/bindings.ts';
import { loadPort } from './worker/loader.ts';

export { CatalogObject } from './worker/catalog-object.ts';
export { Loader } from './worker/loader.ts';
export { SourceObject } from './worker/source-object.ts';

const known: Known = { sources: SOURCES, tables: TABLES, log: createLog() };
const api = createApi(known);

export default {
  fetch: (request, env) => api.fetch(request, env),
  queue: (batch, env, ctx) => {
    const objectOf = (source: string) => env.SOURCES_NS.getByName(source);
    const { clockAheadMs } = readSettings(env as unknown as Record<string, unknown>);
    return consumeTickets(batch, {
      objectOf,
      loadOf: source => loadPort(ctx.exports.Loader, source),
      clock: clockPort(clockAheadMs),
      log: known.log,
    });
  },
  scheduled: async (_, env) => {
    await Promise.all([watchSources(env, known), watchCatalog(env, known)]);
  },
} satisfies ExportedHandler<Env>;
