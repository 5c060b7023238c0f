import { icebergRead } from 'icebird';
import { vi } from 'vitest';
import type { Table, Value } from '../../schemas/table.ts';
import { exactJson } from '../../src/exact-json.ts';
import { type Append, planAppend } from '../../src/iceberg/append/append.ts';
import type { CopiedFile } from '../../src/iceberg/append/data-file.ts';
import { copyUri, objectKey } from '../../src/iceberg/format/location.ts';
import type { TableMetadata } from '../../src/iceberg/format/table-metadata.ts';
import { RestCatalog } from '../../src/iceberg/rest/client.ts';
import { openTable } from '../../src/iceberg/rest/open-table.ts';
import { readFacts } from '../../src/parquet/footer.ts';
import type { DataFileFacts } from '../../src/ports/data-file.ts';
import { encode } from '../parquet/rows.ts';
import { VirtualClock } from '../simulation/world/clock.ts';
import { BUCKET, MemoryCatalog, TOKEN, URI, WAREHOUSE } from './rest-catalog.ts';

/** An in-memory catalog, its bucket and a client. */
export class CatalogWorld {
  readonly catalog = new MemoryCatalog();
  readonly clock = new VirtualClock();
  readonly client: RestCatalog;
  /** How many metadata files were read and written, and their bytes. */
  read = { requests: 0, bytes: 0 };
  written = { requests: 0, bytes: 0 };
  #ids = 0n;

  constructor({ token = TOKEN, uri = URI } = {}) {
    this.client = new RestCatalog({
      uri,
      token,
      warehouse: WAREHOUSE,
      namespace: 'tributary',
      fetch: this.catalog.fetch,
      clock: this.clock,
    });
  }

  /** Creates the table, or loads it. */
  open(table: Table): Promise<TableMetadata> {
    return openTable(this.client, table);
  }

  /** Puts a data file with these rows under the table's location. */
  copyFile(table: Table, rows: Value[][], { firstLsn = 1 } = {}): CopiedFile {
    const bytes = encode(table, rows, { firstLsn });
    const facts = readFacts(bytes) as DataFileFacts;
    const path = copyUri(this.catalog.metadata(table.name).location, facts);
    this.catalog.bucket.store(objectKey(path, BUCKET), bytes);
    return { path, bytes: bytes.length, facts };
  }

  /** Plans an append to the current table, or to `known` metadata, and writes the metadata files. */
  async plan(table: Table, files: CopiedFile[], known?: TableMetadata): Promise<Append> {
    const metadata = known ?? (await openTable(this.client, table));
    this.#ids += 1n;
    const request = { table, metadata, files, snapshotId: this.#ids, nowMs: this.clock.now() };
    const append = await planAppend(request, uri => this.readFile(uri));
    for (const { uri, bytes } of append.metadataFiles) this.#writeFile(uri, bytes);
    return append;
  }

  async append(table: Table, files: CopiedFile[]): Promise<Append> {
    const append = await this.plan(table, files);
    await this.client.commit(table.name, append.commit);
    return append;
  }

  async readFile(uri: string): Promise<Uint8Array | null> {
    const bytes = this.catalog.bucket.objects.get(objectKey(uri, BUCKET))?.bytes ?? null;
    this.read = { requests: this.read.requests + 1, bytes: this.read.bytes + (bytes?.length ?? 0) };
    return bytes;
  }

  #writeFile(uri: string, bytes: Uint8Array): void {
    this.written = { requests: this.written.requests + 1, bytes: this.written.bytes + bytes.length };
    this.catalog.bucket.store(objectKey(uri, BUCKET), bytes);
  }

  /** The table's rows as icebird reads them from the bucket, sorted by `_lsn`. */
  async rows(table: Table): Promise<Value[][]> {
    vi.stubGlobal('fetch', (url: string, init?: RequestInit) => this.#serve(url, init));
    try {
      const known = this.catalog.metadata(table.name);
      // Leave only the current snapshot, because icebird reads ids as floats and could confuse two of them.
      const snapshots = known.snapshots.filter(({ 'snapshot-id': id }) => id === known['current-snapshot-id']);
      const metadata = JSON.parse(exactJson({ ...known, snapshots }));
      const rows = await icebergRead({ tableUrl: metadata.location, metadata });
      const plain = (value: unknown) => (typeof value === 'bigint' ? Number(value) : (value ?? null)) as Value;
      const lsnIndex = table.columns.findIndex(({ name }) => name === '_lsn');
      return rows
        .map(row => table.columns.map(({ name }) => plain(row[name])))
        .sort((a, b) => Number(a[lsnIndex]) - Number(b[lsnIndex]));
    } finally {
      vi.unstubAllGlobals();
    }
  }

  async #serve(url: string, init?: RequestInit): Promise<Response> {
    const { hostname, pathname } = new URL(url);
    const key = decodeURIComponent(pathname.slice(1));
    const object = hostname === `${BUCKET}.s3.amazonaws.com` ? this.catalog.bucket.objects.get(key) : undefined;
    if (!object) return new Response('not found', { status: 404 });
    const range = new Headers(init?.headers).get('range');
    const [, start, end] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
    if (start === undefined) return new Response(new Uint8Array(object.bytes));
    const part = object.bytes.slice(Number(start), end ? Number(end) + 1 : undefined);
    return new Response(part, { status: 206 });
  }
}
