import assert from 'node:assert/strict';
import {
  type CatalogFile,
  type CatalogRoot,
  indexForm,
  type KeyIndex,
  type Segment,
} from '../../../src/lake/catalog/forms.ts';
import { filesOf, readRoot, readSegment } from '../../../src/lake/catalog/read.ts';
import { rootKey } from '../../../src/lake/object-keys.ts';
import type { MemoryBucket } from './bucket.ts';
import type { World } from './world.ts';

/** A table's root, and the files that its segments name. */
export interface ReadCatalog {
  root: CatalogRoot;
  files: CatalogFile[];
}

/** Parsed segments by their bytes, which never change, because each is read many times. */
const parsed = new WeakMap<Uint8Array, Segment>();

/** Reads a table's catalog from its root on; null when there is no root. Throws when an object is missing. */
export function readCatalog(bucket: MemoryBucket, table: string): ReadCatalog | null {
  const bytes = bucket.objects.get(rootKey(table))?.bytes;
  if (!bytes) return null;
  const root = readRoot(textOf(bytes));
  return {
    root,
    files: filesOf(
      root,
      root.segments.map(({ key }) => segmentAt(bucket, key)),
    ),
  };
}

/** The indexes that a root names. */
export function readIndexes(bucket: MemoryBucket, { segments }: CatalogRoot): KeyIndex[] {
  return segments.map(({ index }) => indexForm.parse(JSON.parse(textOf(bytesAt(bucket, index)))));
}

/** Each table's catalog names exactly the journal's files, and every object it names is in the lake. */
export function expectCatalog({ engine, bucket }: World): void {
  for (const { name } of engine.source.tables) {
    const settled = engine.files.files({ table: name, afterLsn: 0, limit: 100_000 });
    const read = readCatalog(bucket, name);
    if (settled.length === 0) {
      assert.equal(read, null, `catalog of ${name}: expected none of a table without files`);
      continue;
    }
    assert.ok(read, `catalog of ${name}: expected a root, got none`);
    const factsOf = ({ key, rows, bytes, etag, first_lsn, last_lsn }: Omit<CatalogFile, 'columns'>) =>
      `${key} ${rows} ${bytes} ${etag} ${first_lsn} ${last_lsn}`;
    assert.deepEqual(
      read.files.map(factsOf),
      settled.map(file => factsOf(file as unknown as CatalogFile)),
      `catalog of ${name}: expected the journal's files`,
    );
    const [facts] = engine.journal.state.tables().filter(table => table.name === name);
    const { files, rows, bytes, last_lsn } = read.root.totals;
    assert.deepEqual({ files, rows, bytes }, { files: facts!.files, rows: facts!.rows, bytes: facts!.bytes });
    assert.equal(last_lsn, rows, `catalog of ${name}: expected as many rows as LSNs`);
    const indexed = readIndexes(bucket, read.root).flatMap(index => index.files.map(({ key }) => key));
    assert.deepEqual(
      indexed,
      settled.map(({ key }) => key),
      `catalog of ${name}: expected each file in an index`,
    );
  }
}

function segmentAt(bucket: MemoryBucket, key: string): Segment {
  const bytes = bytesAt(bucket, key);
  const segment = parsed.get(bytes) ?? readSegment(textOf(bytes));
  parsed.set(bytes, segment);
  return segment;
}

function bytesAt(bucket: MemoryBucket, key: string): Uint8Array {
  return bucket.objects.get(key)?.bytes ?? assert.fail(`${key}: expected what a root names, got nothing`);
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}
