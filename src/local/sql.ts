import { TABLES } from '../../schemas/index.ts';
import { SettingError } from '../errors.ts';
import { r2SqlPath } from '../sql/names.ts';
import { runProgram } from './program.ts';
import { asCsv, asJson, asTable } from './query/answer-text.ts';
import { cacheDirOf, type LakeAddress, localAddress, openLake } from './query/lake.ts';
import { asUserError, queryLake, tablesOf, watchLake } from './query/query.ts';
import { openBucket } from './runtime/bucket.ts';
import { holderOf } from './runtime/state-lock.ts';
import { DEMO_STATE_DIR, type Environment, readLocalSettings } from './settings.ts';

/** `watch`: answers the query again when rows have arrived, and prints each answer that differs from the last. */
export interface SqlOptions {
  query: string;
  format: keyof typeof FORMATS;
  demo: boolean;
  watch: boolean;
}

const FORMATS = { table: asTable, json: asJson, csv: asCsv };
const PROBE_MS_MAX = 2_000;

/** Where a lake is, and the folder that caches its data files. */
interface LakeLocation {
  address: LakeAddress;
  cacheDir: string;
}

/**
 * Answers one query as text, over the lake at `LAKE_S3_URL`, else over that of the state folder. Where no runtime runs
 * on the folder, it opens the folder's bucket itself.
 */
export async function runSql(
  { query, format, demo, watch }: SqlOptions,
  { env, signal, write }: { env: Environment; signal: AbortSignal; write: (text: string) => void },
): Promise<void> {
  const asText = FORMATS[format];
  async function answer({ address, cacheDir }: LakeLocation): Promise<void> {
    const lake = openLake(address);
    if (watch) await watchLake(lake, { query, cacheDir, signal, onAnswer: found => write(asText(found)) });
    else write(asText(await queryLake(lake, { query, cacheDir, signal })));
  }
  try {
    const remote = demo ? null : remoteAddress(env);
    // Refuse a wrong query before a bucket is opened for it.
    tablesOf(openLake(remote ?? localAddress(0)), { query });
    await withLake(answer, { env, remote, demo, watch, signal });
  } catch (error) {
    throw asUserError(error, query);
  }
}

/** Finds the lake of an environment for `work`, and closes its bucket where it had to open it. */
async function withLake(
  work: (location: LakeLocation) => Promise<void>,
  options: { env: Environment; remote: LakeAddress | null; demo: boolean; watch: boolean; signal: AbortSignal },
): Promise<void> {
  const { env, remote, demo, watch, signal } = options;
  const stateDir = demo ? DEMO_STATE_DIR : readLocalSettings(env).stateDir;
  if (remote !== null) return work({ address: remote, cacheDir: cacheDirOf(stateDir, remote) });
  const port = await runningPort({ env, demo, stateDir });
  if (port !== null) return work({ address: localAddress(port), cacheDir: cacheDirOf(stateDir) });
  if (watch) throw new Error(`--watch: expected npm start to run on ${stateDir}, got no runtime; start it first`);
  const { url, keyId, secret } = localAddress(0);
  const bucket = await openBucket({ stateDir, bucket: url.slice(url.lastIndexOf('/') + 1), keyId, secret });
  try {
    signal.throwIfAborted();
    await work({ address: localAddress(bucket.port), cacheDir: cacheDirOf(stateDir) });
  } finally {
    await bucket.close();
  }
}

function remoteAddress(env: Environment): LakeAddress | null {
  const { LAKE_S3_URL: url, LAKE_S3_KEY_ID: keyId, LAKE_S3_SECRET: secret } = env;
  if (!url) return null;
  if (!URL.canParse(url) || !/^https?:/.test(url)) {
    throw new SettingError(`LAKE_S3_URL: expected the http or https URL of a bucket, got ${JSON.stringify(url)}`);
  }
  const local = localAddress(0);
  const isLocal = /^https?:\/\/(?:127\.0\.0\.1|localhost|\[::1\])[:/]/.test(url);
  if (!isLocal && !keyId)
    throw new SettingError('LAKE_S3_KEY_ID: expected the id of an S3 key of this bucket, got null');
  if (!isLocal && !secret) throw new SettingError('LAKE_S3_SECRET: expected the secret of LAKE_S3_KEY_ID, got null');
  return { url, keyId: keyId || local.keyId, secret: secret || local.secret };
}

/**
 * The port of a runtime that serves this lake: that of the state folder's holder, else `PORT` where a runtime answers
 * there. Where the environment names a state folder and no port, only the holder counts. Null when none runs.
 */
async function runningPort(options: { env: Environment; demo: boolean; stateDir: string }): Promise<number | null> {
  const { env, demo, stateDir } = options;
  const holder = holderOf(stateDir);
  if (holder !== null) return holder.port;
  if (demo || (env.STATE_DIR && !env.PORT)) return null;
  const { port } = readLocalSettings(env);
  try {
    const response = await fetch(localAddress(port).url, { signal: AbortSignal.timeout(PROBE_MS_MAX) });
    await response.arrayBuffer();
    return port;
  } catch {
    return null;
  }
}

const OPTIONS = ['--json', '--csv', '--watch', '--demo'];

const USAGE = `usage: npm run sql -- "<query>" [--json | --csv] [--watch] [--demo]

Tables: ${TABLES.map(table => table.name).join(', ')};
each with <table>_history, every row with its lineage; r2_sql('${r2SqlPath('data-ingestion', TABLES[0]!)}') works too.
--watch answers again when rows arrive, and prints each answer that differs from the last.
`;

async function main(signal: AbortSignal): Promise<number> {
  const args = process.argv.slice(2);
  // A query may begin with a comment, so not everything that begins with `--` is an option.
  const flags = args.filter(arg => /^--?[\w-]+$/.test(arg));
  const [query, ...more] = args.filter(arg => !flags.includes(arg));
  const [json, csv, watch, demo] = OPTIONS.map(flag => flags.includes(flag));
  const unknown = flags.find(flag => !OPTIONS.includes(flag));
  if (!query?.trim() || more.length > 0 || (json && csv) || unknown !== undefined) {
    process.stderr.write(USAGE);
    return 1;
  }
  const format = json ? 'json' : csv ? 'csv' : 'table';
  const write = (text: string) => void process.stdout.write(text);
  await runSql({ query, format, demo: demo === true, watch: watch === true }, { env: process.env, signal, write });
  return 0;
}

if (import.meta.main) await runProgram(main);
