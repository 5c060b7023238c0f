import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AwsClient } from 'aws4fetch';
import type { Table } from '../../../schemas/table.ts';
import { messageOf } from '../../errors.ts';
import type { CatalogFile, CatalogRoot } from '../../lake/catalog/forms.ts';
import { filesOf, readRoot, readSegment } from '../../lake/catalog/read.ts';
import { rootKey } from '../../lake/object-keys.ts';

/** Where a bucket answers over S3, and with which credentials. */
export interface LakeAddress {
  /** The bucket's own URL, without a slash at the end. */
  url: string;
  keyId: string;
  secret: string;
}

/** A bucket over S3. */
export interface Lake {
  bucket: string;
  /** The object's bytes; null when there is none. */
  get(key: string): Promise<Uint8Array | null>;
}

/** By table, its data files in the cache folder, in the order of their rows. */
export type CachedFiles = Map<string, string[]>;

const FETCHES_AT_ONCE = 8;
const CALL_MS_MAX = 60_000;
/** How often a root is read: a file that it names may have been merged into another meanwhile. */
const ROOT_READS_MAX = 3;
/** A cached file stays this long after the lake dropped it, because a running query may still read it. */
const PRUNE_AGE_MS = 60 * 60_000;

/** The lake's bucket in a local runtime. */
export const BUCKET = 'data-ingestion';

/** The bucket of the local runtime on this port, which has keys of its own. */
export function localAddress(port: number, { keyId, secret }: Pick<LakeAddress, 'keyId' | 'secret'>): LakeAddress {
  return { url: `http://127.0.0.1:${port}/cdn-cgi/local/r2/s3/${BUCKET}`, keyId, secret };
}

/** A lake at its address, without a call. Each later call throws with the address when it cannot be reached. */
export function openLake({ url, keyId, secret }: LakeAddress): Lake {
  const client = new AwsClient({
    accessKeyId: keyId,
    secretAccessKey: secret,
    service: 's3',
    region: 'auto',
    retries: 3,
  });
  const base = url.replace(/\/+$/, '');
  async function call(address: string): Promise<Response> {
    try {
      return await client.fetch(address, { signal: AbortSignal.timeout(CALL_MS_MAX) });
    } catch (error) {
      const { cause } = error as Error;
      throw new Error(`lake ${base}: cannot be reached (${messageOf(cause ?? error)})`);
    }
  }
  return {
    bucket: base.slice(base.lastIndexOf('/') + 1),
    async get(key) {
      const response = await call(`${base}/${key.split('/').map(encodeURIComponent).join('/')}`);
      if (response.status === 404) return null;
      if (!response.ok) throw new Error(`lake ${base}: expected ${key}, got status ${response.status}`);
      return new Uint8Array(await response.arrayBuffer());
    },
  };
}

/**
 * Fetches the data files that the lake's catalog names for these tables into the cache folder, and gives their paths. A
 * file that is cached with its etag and size is not fetched again; a file gets its name only when it is whole.
 */
export async function cacheTables(
  lake: Lake,
  { folder, tables }: { folder: string; tables: readonly Table[] },
): Promise<CachedFiles> {
  const cached: CachedFiles = new Map();
  for (const table of tables) cached.set(table.name, await cacheTable(lake, path.join(folder, table.name), table));
  return cached;
}

/** The current roots of these tables as one text: when it changes, rows have arrived. */
export async function rootsText(lake: Lake, tables: readonly Table[]): Promise<string> {
  const roots = await inParallel([...tables], async table => textOf(await lake.get(rootKey(table.name))));
  return JSON.stringify(roots);
}

/**
 * The live data files of a table at one moment, in LSN order: those that the root of its catalog names through its
 * segments. A table without a root has none. Null when a segment is gone, because a newer root replaced the one read.
 */
export async function liveFiles(lake: Lake, table: Table): Promise<CatalogFile[] | null> {
  const key = rootKey(table.name);
  const root = readForm(lake, { key, text: textOf(await lake.get(key)), read: readRoot });
  if (root === null) return [];
  const segments = await inParallel(root.segments, async ({ key: segment }) =>
    readForm(lake, { key: segment, text: textOf(await lake.get(segment)), read: readSegment }),
  );
  const present = segments.filter(segment => segment !== null);
  return present.length < segments.length ? null : filesOf(root satisfies CatalogRoot, present);
}

/** The last LSN of a table in the catalog; 0 where it has no root. */
export async function lastLsnOf(lake: Lake, table: Table): Promise<number> {
  return (await liveFiles(lake, table))?.at(-1)?.last_lsn ?? 0;
}

async function cacheTable(lake: Lake, folder: string, table: Table): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  for (let reading = 1; reading <= ROOT_READS_MAX; reading++) {
    const live = await liveFiles(lake, table);
    if (live === null) continue;
    const files = live.map(file => path.resolve(folder, cacheName(file)));
    const present = await inParallel(live, (file, i) => fetchInto(lake, file, files[i]!));
    if (present.every(Boolean)) {
      await prune(folder, new Set(files));
      return files;
    }
  }
  throw new Error(
    `lake ${lake.bucket}: expected all files that the catalog names for ${table.name}, got missing ones; ` +
      `the audit of its source says which: POST /v1/sources/<source>/audit {"self_check": true}`,
  );
}

function readForm<T>(
  lake: Lake,
  { key, text, read }: { key: string; text: string | null; read: (text: string) => T },
): T | null {
  if (text === null) return null;
  try {
    return read(text);
  } catch (error) {
    const reason = messageOf(error).replace(/\s+/g, ' ').slice(0, 200);
    throw new Error(
      `lake ${lake.bucket}: expected ${key} in a form that this version of Tributary reads, got ${reason}`,
    );
  }
}

function textOf(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : new TextDecoder().decode(bytes);
}

/** The key's partition and name with the etag: another object under the same key is another file. */
function cacheName({ key, etag }: CatalogFile): string {
  const [year = '', month = '', name = ''] = key.split('/').slice(-3);
  return `${year}-${month}-${name.replace(/\.parquet$/, '')}-${etag}.parquet`.replace(/[^\w.=-]/g, '_');
}

/** False when the lake no longer has the object. */
async function fetchInto(lake: Lake, { key, bytes }: CatalogFile, file: string): Promise<boolean> {
  const existing = await stat(file).catch(() => null);
  if (existing?.size === bytes) return true;
  const body = await lake.get(key);
  if (body === null) return false;
  if (body.byteLength !== bytes) throw new Error(`lake: expected ${bytes} bytes of ${key}, got ${body.byteLength}`);
  const draft = `${file}.${randomUUID()}.draft`;
  await writeFile(draft, body);
  await rename(draft, file);
  return true;
}

async function prune(folder: string, wanted: Set<string>): Promise<void> {
  for (const name of await readdir(folder)) {
    const file = path.join(folder, name);
    if (wanted.has(file)) continue;
    const found = await stat(file).catch(() => null);
    if (found !== null && Date.now() - found.mtimeMs > PRUNE_AGE_MS) await rm(file, { force: true });
  }
}

async function inParallel<T, R>(items: T[], work: (item: T, index: number) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  async function worker(): Promise<void> {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index]!, index);
    }
  }
  await Promise.all(Array.from({ length: Math.min(FETCHES_AT_ONCE, items.length) }, worker));
  return results;
}

/** The folder below a state folder that caches data files of a lake; each remote lake has another. */
export function cacheDirOf(stateDir: string, address?: LakeAddress): string {
  const lake = address === undefined ? 'local' : new URL(address.url).href.replace(/\W+/g, '-');
  return path.join(stateDir, 'lake-cache', lake);
}
