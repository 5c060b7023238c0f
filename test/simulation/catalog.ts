import assert from 'node:assert/strict';
import { type CatalogFile, type CatalogRoot, indexForm, type KeyIndex, type Segment } from '../../src/catalog/forms.ts';
import { filesOf, readRoot, readSegment } from '../../src/catalog/read.ts';
import { rootKey } from '../../src/lake/keys.ts';
import type { MemoryBucket } from './bucket.ts';
import type { World } from './world.ts';

/** What a reader of the lake finds who begins at the root. */
export interface ReadCatalog {
  root: CatalogRoot;
  segments: Segment[];
  files: CatalogFile[];
}

/** Reads a table's catalog through its root; null where none stands. Throws when it is not whole. */
export function readCatalog(bucket: MemoryBucket, table: string): ReadCatalog | null {
  const text = textOf(bucket, rootKey(table));
  return text === null ? null : readCatalogAt(bucket, text);
}

/** Reads on from a root that was read, now or before. */
export function readCatalogAt(bucket: MemoryBucket, text: string): ReadCatalog {
  const root = readRoot(text);
  const segments = root.segments.map(({ key }) => readSegment(textOf(bucket, key) ?? assert.fail(`${key} is gone`)));
  return { root, segments, files: filesOf(root, segments) };
}

/** The indexes a root names. */
export function readIndexes(bucket: MemoryBucket, { segments }: CatalogRoot): KeyIndex[] {
  return segments.map(({ index }) =>
    indexForm.parse(JSON.parse(textOf(bucket, index) ?? assert.fail(`${index} is gone`))),
  );
}

/** Each table's catalog names the journal's files, neither more nor fewer, and what it names stands in the lake. */
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

function textOf(bucket: MemoryBucket, key: string): string | null {
  const object = bucket.objects.get(key);
  return object ? Buffer.from(object.bytes).toString() : null;
}
