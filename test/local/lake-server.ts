import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tableNamed } from '../../schemas/index.ts';
import type { Row, Value } from '../../schemas/table.ts';
import { dataFileKey } from '../../src/lake/keys.ts';
import type { LakeAddress } from '../../src/local/lake.ts';
import { openDataFile } from '../../src/parquet/encode.ts';

/** A bucket in memory that answers the part of S3 a lake reader uses, a few keys a page. */
export interface LakeServer {
  address: LakeAddress;
  objects: Map<string, Uint8Array>;
  /** Keys fetched so far, in order. */
  fetched: string[];
  /** Called before an object is answered. */
  beforeGet: ((key: string) => void) | null;
  close(): Promise<void>;
}

const KEYS_A_PAGE = 2;

export async function startLakeServer(bucket = 'data-ingestion'): Promise<LakeServer> {
  const objects = new Map<string, Uint8Array>();
  const state: Pick<LakeServer, 'fetched' | 'beforeGet'> = { fetched: [], beforeGet: null };
  const server = createServer((request, response) => {
    const url = new URL(request.url!, 'http://lake');
    if (!request.headers.authorization?.startsWith('AWS4-HMAC-SHA256')) return void response.writeHead(403).end();
    if (url.searchParams.get('list-type') === '2') return void response.end(listing(objects, url.searchParams));
    const key = decodeURIComponent(url.pathname.slice(bucket.length + 2));
    state.beforeGet?.(key);
    state.fetched.push(key);
    const found = objects.get(key);
    if (found === undefined) return void response.writeHead(404).end();
    response.end(found);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/${bucket}`;
  return Object.assign(state, {
    address: { url, keyId: 'local', secret: 'local-secret' },
    objects,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  });
}

/** One history row: the columns it names, its operation (`upsert` unless told) and its place in the feed. */
export interface FileRow {
  row: Row;
  op?: 'upsert' | 'delete';
  cursor?: string;
}

/** Puts a data file with rows numbered from `firstLsn` into the lake, as the worker does; gives its key. */
export function putDataFile(
  { objects }: Pick<LakeServer, 'objects'>,
  { table: name, firstLsn, rows }: { table: string; firstLsn: number; rows: FileRow[] },
): string {
  const table = tableNamed(name);
  const encoder = openDataFile({ source: 'test', table, firstLsn });
  for (const [i, { row, op = 'upsert', cursor }] of rows.entries()) {
    const lineage = { _lsn: firstLsn + i, _op: op, _cursor: cursor ?? String(firstLsn + i) };
    const values: Record<string, Value> = { ...row, ...lineage };
    encoder.append(table.columns.map(column => values[column.name] ?? null));
  }
  const lastLsn = firstLsn + rows.length - 1;
  const key = dataFileKey(table, { stampMs: Date.UTC(2026, 10, 24), firstLsn, lastLsn });
  objects.set(key, Buffer.concat(encoder.finish({ lastLsn, cursor: String(lastLsn) })));
  return key;
}

function listing(objects: Map<string, Uint8Array>, query: URLSearchParams): string {
  const after = query.get('continuation-token') ?? '';
  const prefix = query.get('prefix') ?? '';
  const keys = [...objects.keys()].filter(key => key.startsWith(prefix) && key > after).sort();
  const page = keys.slice(0, KEYS_A_PAGE);
  const contents = page.map(key => {
    const bytes = objects.get(key)!;
    const etag = createHash('md5').update(bytes).digest('hex');
    return `<Contents><Key>${escapeXml(key)}</Key><Size>${bytes.length}</Size><ETag>&quot;${etag}&quot;</ETag></Contents>`;
  });
  const more = keys.length > page.length;
  const next = more ? `<NextContinuationToken>${escapeXml(page.at(-1)!)}</NextContinuationToken>` : '';
  return `<ListBucketResult><IsTruncated>${more}</IsTruncated>${next}${contents.join('')}</ListBucketResult>`;
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`);
}
