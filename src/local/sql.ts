import { TABLES } from '../../schemas/index.ts';
import { refuseCredentials } from '../config.ts';
import { SettingError } from '../errors.ts';
import { r2SqlPath } from '../sql/names.ts';
import { runProgram } from './program.ts';
import { asCsv, asJson, asTable } from './query/answer-text.ts';
import { BUCKET, cacheDirOf, type LakeAddress, localAddress, openLake } from './query/lake.ts';
import { asUserError, queryLake, tablesOf, watchLake } from './query/query.ts';
import { openBucket } from './runtime/bucket.ts';
import { newS3Keys } from './runtime/s3-keys.ts';
import { makeStateFolder } from './runtime/state-folder.ts';
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

/** In place of the local lake until its runtime is found: only the bucket's name is read. */
const NO_LAKE = localAddress(0, { keyId: 'none', secret: 'none' });

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
    tablesOf({ bucket: openLake(remote ?? NO_LAKE).bucket }, { query });
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
  // The cache holds rows of the lake, so other users may not read it.
  makeStateFolder(stateDir);
  if (remote !== null) return work({ address: remote, cacheDir: cacheDirOf(stateDir, remote) });
  const holder = holderOf(stateDir);
  if (holder?.s3Keys)
    return work({ address: localAddress(holder.port, holder.s3Keys), cacheDir: cacheDirOf(stateDir) });
  if (watch) throw new Error(`--watch: expected npm start to run on ${stateDir}, got no runtime; start it first`);
  const s3Keys = newS3Keys();
  const bucket = await openBucket({ stateDir, bucket: BUCKET, s3Keys });
  try {
    signal.throwIfAborted();
    await work({ address: localAddress(bucket.port, s3Keys), cacheDir: cacheDirOf(stateDir) });
  } finally {
    await bucket.close();
  }
}

function remoteAddress(env: Environment): LakeAddress | null {
  const { LAKE_S3_URL: url, LAKE_S3_KEY_ID: keyId, LAKE_S3_SECRET: secret } = env;
  if (!url) return null;
  refuseCredentials('LAKE_S3_URL', url);
  if (!URL.canParse(url) || !/^https?:/.test(url)) {
    throw new SettingError(`LAKE_S3_URL: expected the http or https URL of a bucket, got ${JSON.stringify(url)}`);
  }
  if (!keyId) throw new SettingError('LAKE_S3_KEY_ID: expected the id of an S3 key of this bucket, got null');
  if (!secret) throw new SettingError('LAKE_S3_SECRET: expected the secret of LAKE_S3_KEY_ID, got null');
  return { url, keyId, secret };
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
