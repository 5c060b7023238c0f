import { describe, expect, it } from 'vitest';
import { githubProfile as table } from '../../schemas/github_profile.ts';
import { exactJson, parseExactJson } from '../../src/exact-json.ts';
import { planAppend } from '../../src/iceberg/append/append.ts';
import { newSnapshotId } from '../../src/iceberg/append/snapshot.ts';
import type { AvroRecord } from '../../src/iceberg/format/avro.ts';
import { required } from '../../src/iceberg/format/avro.ts';
import { readAvro } from '../../src/iceberg/format/avro-read.ts';
import { writeAvro } from '../../src/iceberg/format/avro-write.ts';
import { copyUri, objectKey } from '../../src/iceberg/format/location.ts';
import { readManifest } from '../../src/iceberg/format/manifest.ts';
import { readManifestList } from '../../src/iceberg/format/manifest-list.ts';
import { RestCatalog } from '../../src/iceberg/rest/client.ts';
import { openTable } from '../../src/iceberg/rest/open-table.ts';
import { readFacts } from '../../src/parquet/footer.ts';
import { zstdFrame } from '../../src/parquet/zstd.ts';
import type { DataFileFacts } from '../../src/ports/data-file.ts';
import { BUCKET, MemoryCatalog, TOKEN, URI, WAREHOUSE } from '../iceberg/rest-catalog.ts';
import { encode, rowsOf } from '../parquet/rows.ts';

const clock = { now: () => Date.now(), within: <T>(work: Promise<T>) => work };

function bytesAt(catalog: MemoryCatalog, uri: string): Uint8Array {
  return catalog.bucket.objects.get(objectKey(uri, BUCKET))!.bytes;
}

async function append(catalog: MemoryCatalog, client: RestCatalog, firstLsn: number): Promise<void> {
  const metadata = await openTable(client, table);
  const bytes = encode(table, rowsOf(table, 2, { firstLsn }), { firstLsn });
  const facts = readFacts(bytes) as DataFileFacts;
  const files = [{ path: copyUri(metadata.location, facts), bytes: bytes.length, facts }];
  const request = { table, metadata, files, snapshotId: newSnapshotId(), nowMs: clock.now() };
  const plan = await planAppend(request, async uri => bytesAt(catalog, uri));
  for (const file of plan.metadataFiles) catalog.bucket.store(objectKey(file.uri, BUCKET), file.bytes);
  await client.commit(table.name, plan.commit);
}

describe('in the worker’s runtime', () => {
  it('a table is created, appended to and merged', async () => {
    const catalog = new MemoryCatalog();
    const options = { uri: URI, warehouse: WAREHOUSE, namespace: 'tributary', token: TOKEN };
    const client = new RestCatalog({ ...options, fetch: catalog.fetch, clock });
    for (let i = 0; i < 103; i++) await append(catalog, client, 2 * i + 1);
    const metadata = (await client.loadTable(table.name))!;
    const list = readManifestList(bytesAt(catalog, metadata.snapshots[0]!['manifest-list']!));
    const files = list.flatMap(({ manifest_path }) => [...readManifest(bytesAt(catalog, manifest_path))]);
    expect(list).toHaveLength(3);
    expect(new Set(files.map(({ data_file }) => data_file.file_path)).size).toBe(103);
    expect(metadata.properties).toMatchObject({ 'tributary.committed_lsn': '206' });
  });

  it('JSON preserves whole numbers of 63 bits', () => {
    const text = '{"snapshot-id":3051729675574597004}';
    expect(exactJson(parseExactJson(text))).toBe(text);
  });

  it.each([0, 1, 40_950, 40_960, 40_970, 65_536, 81_920, 1_000_000])('a block of %i bytes is read', size => {
    const schema: AvroRecord = { type: 'record', name: 'sample', fields: [required(1, 'bytes', 'bytes')] };
    const bytes = new Uint8Array(size).map((_, i) => (i * 2_654_435_761) >>> 13);
    const deflated = writeAvro({ schema, metadata: {}, records: [{ bytes }] });
    expect([...readAvro(deflated, schema).records]).toEqual([{ bytes }]);
    expect([...readAvro(zstdFile(schema, bytes), schema).records]).toEqual([{ bytes }]);
  });
});

/** An Avro file as other writers make it: its one block, with one field of bytes, is a zstd frame. */
function zstdFile(schema: AvroRecord, bytes: Uint8Array): Uint8Array {
  const plain = writeAvro({ schema, metadata: {}, records: [], codec: 'null' });
  const header = Buffer.from(
    Buffer.from(plain.subarray(0, -16)).toString('latin1').replace('\u0008null', '\u0012zstandard'),
    'latin1',
  );
  const sync = plain.subarray(-16);
  const frame = zstdFrame(Buffer.concat([zigzag(bytes.length), bytes]));
  return Buffer.concat([header, sync, zigzag(1), zigzag(frame.length), frame, sync]);
}

function zigzag(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value * 2;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Uint8Array.from([...bytes, rest]);
}
