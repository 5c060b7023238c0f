import path from 'node:path';
import { parseArgs } from 'node:util';
import { TABLES } from '../../schemas/index.ts';
import { SettingError } from '../errors.ts';
import { cacheTables, type LakeAddress, localAddress, openLake } from './lake.ts';
import { plainText, runProgram } from './program.ts';
import { startRuntime } from './runtime.ts';
import { DEMO_STATE_DIR, type Environment, readLocalSettings, workerSettings } from './settings.ts';
import { holderOf } from './state-lock.ts';
import { type Answer, openTables, r2SqlPath } from './tables.ts';

export interface SqlOptions {
  query: string;
  json: boolean;
  demo: boolean;
}

/** Cells wider than this are cut in the aligned form. */
const CELL_WIDTH_MAX = 60;
const PROBE_MS_MAX = 2_000;

/**
 * Answers one query over the lake as text: that of `LAKE_S3_URL`, else that of the state folder, whose runtime is
 * started with all sources paused, and stopped afterwards, unless one runs on it already.
 */
export async function runSql(
  { query, json, demo }: SqlOptions,
  { env, signal }: { env: Environment; signal?: AbortSignal },
): Promise<string> {
  const stateDir = demo ? DEMO_STATE_DIR : readLocalSettings(env).stateDir;
  const remote = demo ? null : remoteAddress(env);
  if (remote !== null) return answer({ query, json, address: remote, cacheDir: cacheDirOf(stateDir, remote) });
  const port = await answeringPort({ env, demo, stateDir });
  if (port !== null) return answer({ query, json, address: localAddress(port), cacheDir: cacheDirOf(stateDir) });
  const runtime = await startRuntime({
    stateDir,
    port: 0,
    settings: workerSettings(env),
    paused: true,
    ...(signal && { signal }),
  });
  try {
    return await answer({ query, json, address: localAddress(runtime.port), cacheDir: cacheDirOf(stateDir) });
  } finally {
    await runtime.stop();
  }
}

/** Answers one query over a lake as text, through a cache folder. */
export async function answer(options: {
  query: string;
  json: boolean;
  address: LakeAddress;
  cacheDir: string;
}): Promise<string> {
  const lake = openLake(options.address);
  const files = await cacheTables(lake, { folder: options.cacheDir, tables: TABLES });
  const tables = await openTables({ bucket: lake.bucket, tables: TABLES, files });
  try {
    const found = await tables.query(options.query);
    return options.json ? asJson(found) : asTable(found);
  } finally {
    tables.close();
  }
}

/** The folder of a state folder that keeps data files of a lake; each remote lake has one of its own. */
export function cacheDirOf(stateDir: string, address?: LakeAddress): string {
  const lake = address === undefined ? 'local' : new URL(address.url).href.replace(/\W+/g, '-');
  return path.join(stateDir, 'lake-cache', lake);
}

/** A JSON array of objects, one a row. */
export function asJson({ columns, rows }: Answer): string {
  const objects = rows.map(row => Object.fromEntries(columns.map((column, i) => [column, row[i]])));
  return `[${objects.map(object => `\n  ${JSON.stringify(object)}`).join(',')}\n]\n`;
}

/** Columns one under the other, numbers to the right, and how many rows there are. */
export function asTable({ columns, numeric, rows }: Answer): string {
  const cells = rows.map(row => row.map(cellText));
  const heads = columns.map(cellText);
  const widths = heads.map((head, i) => Math.max(widthOf(head), ...cells.map(row => widthOf(row[i]!))));
  const line = (texts: string[]) =>
    texts
      .map((text, i) => pad(text, widths[i]!, numeric[i]!))
      .join('  ')
      .trimEnd();
  const rule = widths.map(width => '-'.repeat(width)).join('  ');
  const count = rows.length === 1 ? '(1 row)' : `(${rows.length} rows)`;
  return [line(heads), rule, ...cells.map(line), count, ''].join('\n');
}

function remoteAddress(env: Environment): LakeAddress | null {
  const { LAKE_S3_URL: url, LAKE_S3_KEY_ID: keyId, LAKE_S3_SECRET: secret } = env;
  if (!url) return null;
  if (!URL.canParse(url) || !/^https?:/.test(url)) {
    throw new SettingError(`LAKE_S3_URL: expected the http or https URL of a bucket, got ${JSON.stringify(url)}`);
  }
  const local = localAddress(0);
  const here = /^https?:\/\/(?:127\.0\.0\.1|localhost|\[::1\])[:/]/.test(url);
  if (!here && !keyId) throw new SettingError('LAKE_S3_KEY_ID: expected the id of an S3 key of this bucket, got null');
  if (!here && !secret) throw new SettingError('LAKE_S3_SECRET: expected the secret of LAKE_S3_KEY_ID, got null');
  return { url, keyId: keyId || local.keyId, secret: secret || local.secret };
}

/**
 * The port of a runtime that serves this lake: the one that holds the state folder, else whatever answers on `PORT`;
 * with a state folder named and no port, only its holder counts. Null when nothing answers.
 */
async function answeringPort(options: { env: Environment; demo: boolean; stateDir: string }): Promise<number | null> {
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

function cellText(value: unknown): string {
  if (value === null) return 'NULL';
  const text = plainText(typeof value === 'object' ? JSON.stringify(value) : String(value));
  if (widthOf(text) <= CELL_WIDTH_MAX) return text;
  let cut = '';
  for (const { segment } of GRAPHEMES.segment(text)) {
    if (widthOf(cut) + widthOf(segment) >= CELL_WIDTH_MAX) break;
    cut += segment;
  }
  return `${cut}…`;
}

const GRAPHEMES = new Intl.Segmenter('en', { granularity: 'grapheme' });
/** What a terminal shows two cells wide. */
const WIDE =
  /^(?:\p{Emoji_Presentation}|\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|[\u3000-\u303f\uff01-\uff60])/u;

function widthOf(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: most text is ASCII and needs no look at each character.
  if (/^[\x00-\x7f]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of GRAPHEMES.segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}

function pad(text: string, width: number, right: boolean): string {
  const space = ' '.repeat(width - widthOf(text));
  return right ? space + text : text + space;
}

const USAGE = `usage: npm run sql -- "<query>" [--json] [--demo]

Tables: ${TABLES.map(table => table.name).join(', ')};
each with <table>_history, every row with its lineage; r2_sql('${r2SqlPath('data-ingestion', TABLES[0]!)}') works too.
`;

async function main(signal: AbortSignal): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { json: { type: 'boolean', default: false }, demo: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const [query, ...more] = positionals;
  if (!query?.trim() || more.length > 0) {
    process.stderr.write(USAGE);
    return 1;
  }
  process.stdout.write(await runSql({ query, json: values.json, demo: values.demo }, { env: process.env, signal }));
  return 0;
}

if (import.meta.main) await runProgram(main);
