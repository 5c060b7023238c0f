import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AwsClient } from 'aws4fetch';
import type { Table } from '../../schemas/table.ts';
import { messageOf } from '../errors.ts';
import { partitionsPrefix } from '../lake/keys.ts';

/** Where a bucket answers over S3, and with which credentials. */
export interface LakeAddress {
  /** The bucket's own URL, without a slash at the end. */
  url: string;
  keyId: string;
  secret: string;
}

export interface LakeObject {
  key: string;
  bytes: number;
  etag: string;
}

/** A bucket over S3. */
export interface Lake {
  bucket: string;
  /** Every object under a prefix, in key order. */
  list(prefix: string): Promise<LakeObject[]>;
  /** The object's bytes; null when there is none. */
  get(key: string): Promise<Uint8Array | null>;
}

/** Files of a table in the cache folder, in the order of their rows. */
export type CachedFiles = Map<string, string[]>;

const FETCHES_AT_ONCE = 8;
const CALL_MS_MAX = 60_000;
/** A file that is listed and then gone was merged into another meanwhile: the listing is read again. */
const LISTINGS_MAX = 3;
/** A query that runs now may still read what the lake no longer holds. */
const PRUNE_AGE_MS = 60 * 60_000;

/** Where the local runtime on this port serves its bucket, with the credentials of `wrangler.jsonc`. */
export function localAddress(port: number): LakeAddress {
  const url = `http://127.0.0.1:${port}/cdn-cgi/local/r2/s3/data-ingestion`;
  return { url, keyId: 'local', secret: 'local-secret' };
}

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
    async list(prefix) {
      const objects: LakeObject[] = [];
      let next: string | null = null;
      do {
        const query = new URLSearchParams({
          'list-type': '2',
          prefix,
          ...(next !== null && { 'continuation-token': next }),
        });
        // A space must be %20 in what is signed.
        const page = await call(`${base}?${query.toString().replaceAll('+', '%20')}`);
        const text = await page.text();
        if (!page.ok)
          throw new Error(
            `lake ${base}: expected a listing of ${prefix}, got status ${page.status}: ${text.slice(0, 300)}`,
          );
        objects.push(...readListing(text));
        next = textOf(text, 'NextContinuationToken');
      } while (next !== null);
      return objects;
    },
    async get(key) {
      const response = await call(`${base}/${key.split('/').map(encodeURIComponent).join('/')}`);
      if (response.status === 404) return null;
      if (!response.ok) throw new Error(`lake ${base}: expected ${key}, got status ${response.status}`);
      return new Uint8Array(await response.arrayBuffer());
    },
  };
}

/**
 * Brings the cache folder up to what the lake holds of these tables and gives their files. What is there with the
 * lake's etag and size is not fetched again; a file appears under its name only when it is whole.
 */
export async function cacheTables(
  lake: Lake,
  { folder, tables }: { folder: string; tables: readonly Table[] },
): Promise<CachedFiles> {
  const cached: CachedFiles = new Map();
  for (const table of tables) cached.set(table.name, await cacheTable(lake, path.join(folder, table.name), table));
  return cached;
}

async function cacheTable(lake: Lake, folder: string, table: Table): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  for (let listing = 1; listing <= LISTINGS_MAX; listing++) {
    const objects = (await lake.list(partitionsPrefix(table))).filter(({ key }) => key.endsWith('.parquet'));
    const files = objects.map(object => path.join(folder, cacheName(object)));
    const present = await inParallel(objects, (object, i) => fetchInto(lake, object, files[i]!));
    if (present.every(Boolean)) {
      await prune(folder, new Set(files));
      return files;
    }
  }
  throw new Error(`lake: data files of ${table.name} kept disappearing while they were fetched; try again`);
}

/** The key's partition and name with the etag: another object under the same key is another file. */
function cacheName({ key, etag }: LakeObject): string {
  const [year = '', month = '', name = ''] = key.split('/').slice(-3);
  return `${year}-${month}-${name.replace(/\.parquet$/, '')}-${etag}.parquet`.replace(/[^\w.=-]/g, '_');
}

/** False when the lake no longer has the object. */
async function fetchInto(lake: Lake, { key, bytes }: LakeObject, file: string): Promise<boolean> {
  const existing = await stat(file).catch(() => null);
  if (existing?.size === bytes) return true;
  const body = await lake.get(key);
  if (body === null) return false;
  if (body.byteLength !== bytes) throw new Error(`lake: expected ${bytes} bytes of ${key}, got ${body.byteLength}`);
  const draft = `${file}.${process.pid}.draft`;
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

function readListing(xml: string): LakeObject[] {
  return [...xml.matchAll(/<Contents>(.*?)<\/Contents>/gs)].map(([, entry = '']) => ({
    key: textOf(entry, 'Key') ?? '',
    bytes: Number(textOf(entry, 'Size')),
    etag: (textOf(entry, 'ETag') ?? '').replaceAll('"', ''),
  }));
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** The text of the first element of this name; null when there is none. */
function textOf(xml: string, name: string): string | null {
  const match = new RegExp(`<${name}>(.*?)</${name}>`, 's').exec(xml);
  if (match === null) return null;
  return match[1]!.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (entity, hex, decimal, named) => {
    if (hex) return String.fromCodePoint(Number.parseInt(hex, 16));
    return decimal ? String.fromCodePoint(Number(decimal)) : (ENTITIES[named] ?? entity);
  });
}
