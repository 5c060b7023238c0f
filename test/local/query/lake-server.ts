import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tableNamed } from '../../../schemas/index.ts';
import type { Row, Value } from '../../../schemas/table.ts';
import { rootOf, segmentOf } from '../../../src/lake/catalog/write.ts';
import { dataFileKey, parseDataFileKey, rootKey, segmentKeys } from '../../../src/lake/object-keys.ts';
import type { LakeAddress } from '../../../src/local/query/lake.ts';
import { openDataFile } from '../../../src/parquet/encode.ts';

/** A bucket in memory behind the part of S3 that a lake reader uses. */
export interface LakeServer {
  address: LakeAddress;
  objects: Map<string, Uint8Array>;
  /** Keys fetched so far, in order. */
  fetched: string[];
  /** Called before each answer. */
  beforeGet: ((key: string) => void) | null;
  close(): Promise<void>;
}

export async function startLakeServer(bucket = 'data-ingestion'): Promise<LakeServer> {
  const objects = new Map<string, Uint8Array>();
  const state: Pick<LakeServer, 'fetched' | 'beforeGet'> = { fetched: [], beforeGet: null };
  const server = createServer((request, response) => {
    const url = new URL(request.url!, 'http://lake');
    if (!request.headers.authorization?.startsWith('AWS4-HMAC-SHA256')) return void response.writeHead(403).end();
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

/** One history row: some columns, its operation (by default `upsert`) and its cursor (by default its LSN). */
export interface FileRow {
  row: Row;
  op?: 'upsert' | 'delete';
  cursor?: string;
}

/** Puts a data file with rows numbered from `firstLsn` into the lake and its catalog; gives its key. */
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
  putCatalog({ objects }, name);
  return key;
}

/** Writes a new segment that names all data files of a table in the bucket, then the root that names the segment. */
export function putCatalog({ objects }: Pick<LakeServer, 'objects'>, name: string): void {
  const table = tableNamed(name);
  const files = [...objects]
    .filter(([key]) => parseDataFileKey(key)?.prefix === table.prefix)
    .map(([key, bytes]) => settledFile(key, bytes))
    .sort((a, b) => a.first_lsn - b.first_lsn);
  const root = objects.get(rootKey(name));
  const number = root === undefined ? 1 : JSON.parse(Buffer.from(root).toString()).snapshot + 1;
  const [first, last] = [files[0]!, files.at(-1)!];
  const sum = (fact: 'rows' | 'bytes') => files.reduce((total, file) => total + file[fact], 0);
  const facts = { number, files: files.length, rows: sum('rows'), bytes: sum('bytes'), settled_ms: last.settled_ms };
  const named = { first_lsn: first.first_lsn, last_lsn: last.last_lsn, ...facts };
  const { segment } = segmentKeys(name, { firstLsn: named.first_lsn, lastLsn: named.last_lsn, number });
  objects.set(segment, Buffer.from(JSON.stringify(segmentOf(table, { files, cursorFrom: null }))));
  objects.set(rootKey(name), Buffer.from(JSON.stringify(rootOf(table, { snapshot: number, segments: [named] }))));
}

function settledFile(key: string, bytes: Uint8Array) {
  const { firstLsn, lastLsn } = parseDataFileKey(key)!;
  return {
    key,
    first_lsn: firstLsn,
    last_lsn: lastLsn,
    rows: lastLsn - firstLsn + 1,
    bytes: bytes.length,
    etag: createHash('md5').update(bytes).digest('hex'),
    cursor: String(lastLsn),
    settled_ms: 0,
    facts: null,
  };
}
