import { TABLES } from '../schemas/index.ts';
import type { Known } from './api/forms.ts';
import { watchSources } from './api/health.ts';
import { createApi } from './api/router.ts';
import { createLog } from './log.ts';
import { SOURCES } from './sources/registry.ts';

export { Loader } from './loader.ts';
export { SourceObject } from './source-object.ts';

const known: Known = { sources: SOURCES, tables: TABLES, log: createLog() };
const api = createApi(known);

export default {
  fetch: (request, env) => api.fetch(request, env),
  scheduled: (_, env) => watchSources(env, known),
} satisfies ExportedHandler<Env>;
