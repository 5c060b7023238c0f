import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { build, type Plugin } from 'esbuild';
// Miniflare and esbuild are what `wrangler dev` is made of, in the same versions. Wrangler itself would cost four times
// the CPU time a start, and would take the connection to the runtime's inspector back.
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type V4MiniflareOptions } from 'miniflare';
import { unstable_getMiniflareWorkerOptions, unstable_readConfig, unstable_splitSqlQuery } from 'wrangler';
import { listProcesses, type Process } from '../../src/local/runtime/processes.ts';
import { PROJECT } from '../../src/local/runtime/wrangler.ts';
import { connectInspector, heapWithoutGarbageOf, type Inspector } from './inspector.ts';

const CONFIG = path.join(PROJECT, 'wrangler.jsonc');
const MIGRATIONS = path.join(PROJECT, 'migrations');
/** A local runtime does not fire cron triggers, so their path is called each minute, as `wrangler.jsonc` asks. */
const CRON_PATH = '/cdn-cgi/local/scheduled';
const CRON_MS = 60_000;

/** The token of the workers that benches start. */
export const BENCH_TOKEN = 'token-of-the-benches';

/** A worker in a runtime of this machine. */
export interface BenchWorker {
  /** Without a slash at the end. */
  url: string;
  /** What the worker logged so far. */
  logLines: string[];
  /** The process that runs the worker now; after a kill Miniflare starts another. */
  workerd(): Process;
  /** The SQLite file of an object, to be read or written when the worker is stopped. */
  objectFile(object: { binding: string; className: string; name: string }): Promise<string>;
  /** Opens a connection to the inspector of the worker's isolate. */
  inspect(): Promise<Inspector>;
  stop(): Promise<void>;
}

/** A worker that a bench brings itself. */
export interface Script {
  name: string;
  /** One JavaScript module. */
  script: string;
  /** Classes of Durable Objects, by the names of their bindings. */
  objects: Record<string, string>;
  /** Bindings of operational databases, each with its tables. */
  databases?: string[];
}

const bundles = new Map<string, Promise<string>>();

type WorkerOptions = Extract<V4MiniflareOptions, { script?: string }>;

/** Starts Tributary's worker on a state folder. `paused`: no source runs. */
export async function startTributary({
  stateDir,
  settings,
  paused = false,
}: {
  stateDir: string;
  settings: Record<string, string>;
  paused?: boolean;
}): Promise<BenchWorker> {
  const config = unstable_readConfig({ config: CONFIG }, { hideWarnings: true });
  const { compatibilityDate, durableObjects, r2Buckets, d1Databases, queueProducers, queueConsumers } =
    unstable_getMiniflareWorkerOptions(config).workerOptions;
  // An empty SOURCES would mean the default; a lone comma names no source.
  const bindings = paused ? { ...settings, SOURCES: ',' } : settings;
  const script = await bundle(path.join(PROJECT, 'src/index.ts'));
  const configured = { compatibilityDate, durableObjects, r2Buckets, d1Databases, queueProducers, queueConsumers };
  const own = { name: 'tributary', modules: true, script, bindings, unsafeTriggerHandlers: true };
  const worker = await start({ ...configured, ...own } as WorkerOptions, { stateDir, databases: ['DB'] });
  try {
    await callCron(worker.url);
  } catch (error) {
    await worker.stop();
    throw error;
  }
  // A call that meets a killed runtime fails; the next one comes in a minute.
  const cron = setInterval(() => void callCron(worker.url).catch(() => {}), CRON_MS).unref();
  return {
    ...worker,
    stop: () => {
      clearInterval(cron);
      return worker.stop();
    },
  };
}

/** Starts a worker of a bench on a state folder. */
export function startScript(
  { name, script, objects, databases = [] }: Script,
  { stateDir }: { stateDir: string },
): Promise<BenchWorker> {
  const durableObjects = Object.entries(objects).map(
    ([binding, className]) => [binding, { className, useSQLite: true }] as const,
  );
  const options = {
    name,
    modules: true,
    script,
    compatibilityDate: '2026-11-01',
    durableObjects: Object.fromEntries(durableObjects),
    d1Databases: Object.fromEntries(databases.map(database => [database, database])),
  };
  return start(options as WorkerOptions, { stateDir, databases });
}

/** A worker's code and all it imports as one module; built once, because the benches start it many times. */
export function bundle(file: string): Promise<string> {
  const bundled = bundles.get(file) ?? buildModule(file);
  bundles.set(file, bundled);
  return bundled;
}

async function buildModule(file: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [file],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['node:*', 'cloudflare:*'],
    plugins: [nodeBuffer],
    keepNames: true,
    logLevel: 'silent',
  });
  return outputFiles[0]!.text;
}

/** Wrangler gives packages that ask for `buffer` the runtime's own. */
const nodeBuffer: Plugin = {
  name: 'buffer',
  setup(bundle) {
    bundle.onResolve({ filter: /^buffer$/ }, ({ path: name }) => ({ path: name, namespace: 'node' }));
    bundle.onLoad({ filter: /.*/, namespace: 'node' }, ({ path: name }) => ({
      contents: `export * from 'node:${name}';`,
    }));
  },
};

/**
 * What the isolate of a worker holds when it has nothing to do, garbage collected, in bytes. The inspector is closed at
 * once, because an isolate that is inspected works several times slower.
 */
export async function heapAtRest(worker: BenchWorker): Promise<number> {
  const inspector = await worker.inspect();
  try {
    return await heapWithoutGarbageOf(inspector, worker);
  } finally {
    inspector.close();
  }
}

async function start(
  options: WorkerOptions,
  { stateDir, databases }: { stateDir: string; databases: string[] },
): Promise<BenchWorker> {
  const isNew = !existsSync(path.join(stateDir, 'd1'));
  const logLines: string[] = [];
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      ...options,
      host: '127.0.0.1',
      port: 0,
      inspectorPort: 0,
      resourcePersistencePath: stateDir,
      // Without these Miniflare would ask hosts of the network.
      cf: false,
      telemetry: { enabled: false },
      log: new Log(LogLevel.ERROR),
      handleStructuredLogs: ({ message }: { message: string }) => logLines.push(message),
    } as V4MiniflareOptions),
  );
  try {
    const { origin } = await miniflare.ready;
    if (isNew) for (const database of databases) await migrate(await miniflare.getD1Database(database));
    return {
      url: origin,
      logLines,
      workerd,
      objectFile: async ({ binding, className, name }) => {
        const namespace: unknown = await miniflare.getDurableObjectNamespace(binding);
        const id = (namespace as { idFromName(name: string): { toString(): string } }).idFromName(name);
        return path.join(stateDir, 'do', `${options.name}-${className}`, `${id}.sqlite`);
      },
      inspect: async () => connectInspector(await miniflare.getInspectorURL()),
      stop: () => miniflare.dispose(),
    };
  } catch (error) {
    await miniflare.dispose();
    throw error;
  }
}

function workerd(): Process {
  const found = listProcesses().filter(
    ({ parent, command }) => parent === process.pid && /\bworkerd serve\b/.test(command),
  );
  if (found.length !== 1) throw new Error(`runtime: expected one workerd process, got ${found.length}`);
  return found[0]!;
}

async function migrate(database: Awaited<ReturnType<Miniflare['getD1Database']>>): Promise<void> {
  for (const name of readdirSync(MIGRATIONS).sort()) {
    const text = readFileSync(path.join(MIGRATIONS, name), 'utf8');
    for (const statement of unstable_splitSqlQuery(text)) await database.prepare(statement).run();
  }
}

async function callCron(url: string): Promise<void> {
  const response = await fetch(`${url}${CRON_PATH}`);
  const answer = await response.text();
  if (!response.ok) throw new Error(`cron: expected status 200, got ${response.status}: ${answer.slice(0, 300)}`);
}
