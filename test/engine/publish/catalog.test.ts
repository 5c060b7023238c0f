import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/config.ts';
import { JournalCatalog, type SegmentRow } from '../../../src/engine/journal/catalog.ts';
import { CATALOG_RETENTION_MS } from '../../../src/engine/publish/catalog.ts';
import { filesHolding } from '../../../src/lake/catalog/read.ts';
import { rootKey, schemaKey } from '../../../src/lake/object-keys.ts';
import { CatalogReader } from '../../simulation/oracle/catalog-reader.ts';
import { expectProof } from '../../simulation/oracle/proof.ts';
import { fillFiles } from '../../simulation/schedules/catalog-scenario.ts';
import { expectCatalog, readCatalog, readIndexes } from '../../simulation/world/catalog.ts';
import { followed, nextRun, pass, runUntil, startedWorld, type World } from '../../simulation/world/world.ts';

const MINUTE = 60_000;
const TABLE = 'npm_package';
const ROOT = rootKey(TABLE);
const ROOT_PUT = new RegExp(`^bucket\\.put ${ROOT}`);

async function publish(world: World, ...keys: string[]): Promise<void> {
  for (const key of keys) world.upstream.publish(key);
  await followed(world);
}

const catalogOf = (world: World) => readCatalog(world.bucket, TABLE)!;
const objectsOf = (world: World) =>
  ['partitions', 'indexes'].flatMap(kind => world.bucket.keys(`catalog/${kind}/${TABLE}/`));

describe('the catalog of a table', () => {
  it('does not exist before the first file, and names every file after it', async () => {
    const world = await startedWorld();
    await followed(world);
    expect(world.bucket.keys('catalog/')).toEqual([]);
    await publish(world, 'a', 'b');
    await publish(world, 'c');
    const { root, files } = catalogOf(world);
    expect(root).toMatchObject({ snapshot: 2, totals: { files: 2, rows: 3, last_lsn: 3 } });
    expect(files.map(({ first_lsn, last_lsn }) => [first_lsn, last_lsn])).toEqual([
      [1, 2],
      [3, 3],
    ]);
    expect(files[1]).toMatchObject({ year: 2026, month: 11, cursor_from: files[0]!.cursor_to });
    expect(files[0]!.columns).toMatchObject({ name: { min: 'a', max: 'b', nulls: 0 }, updated_at: { nulls: 0 } });
    await expectProof(world);
  });

  it('says which files can hold a key', async () => {
    const world = await startedWorld();
    await publish(world, 'a', 'm', 'z');
    await publish(world, 'b', 'y');
    const indexes = readIndexes(world.bucket, catalogOf(world).root);
    const [first, second] = world.files.map(({ key }) => key);
    expect(['a', 'm', 'y', 'c'].map(key => filesHolding(indexes, [key]))).toEqual([[first], [first], [second], []]);
  });

  it('publishes the columns of the table once, and again when they changed', async () => {
    const world = await startedWorld();
    await publish(world, 'a');
    const schema = () => Buffer.from(world.bucket.objects.get(schemaKey(TABLE))!.bytes).toString();
    const before = schema();
    expect(JSON.parse(before)).toMatchObject({ table: TABLE, schema_version: 1, key: ['name'] });
    await publish(world, 'b');
    expect(world.calls.count(new RegExp(`^bucket\\.put ${schemaKey(TABLE)}`))).toBe(1);
    new JournalCatalog(world.storage.sql).saveSchemaDigest(TABLE, 'that of an earlier version');
    await nextRun(world);
    expect(world.calls.count(new RegExp(`^bucket\\.put ${schemaKey(TABLE)}`))).toBe(2);
    expect(schema()).toBe(before);
  });

  it('costs three puts a flush', async () => {
    const world = await startedWorld();
    await publish(world, 'a');
    const before = world.calls.made.length;
    await publish(world, 'b');
    const calls = world.calls.made.slice(before).filter(call => call.includes(' catalog/'));
    const kind = (call: string) => call.replace(/[\d-]+\.json$/, '');
    expect(calls.map(kind)).toEqual([
      `bucket.put catalog/partitions/${TABLE}/`,
      `bucket.put catalog/indexes/${TABLE}/`,
      `bucket.put ${ROOT}`,
    ]);
  });

  it('removes what no root has named for an hour, and nothing before', async () => {
    const world = await startedWorld();
    const reader = new CatalogReader(world);
    for (const key of ['a', 'b', 'c']) await publish(world, key);
    expect(objectsOf(world)).toHaveLength(6);
    await pass(world, CATALOG_RETENTION_MS - 3 * MINUTE);
    await publish(world, 'd');
    expect(objectsOf(world)).toHaveLength(8);
    await pass(world, 3 * MINUTE);
    await publish(world, 'e');
    expect(objectsOf(world)).toHaveLength(6);
    reader.check();
    await expectProof(world);
  });

  it('leaves segments that cannot be removed to the next root', async () => {
    const world = await startedWorld();
    await publish(world, 'a');
    await publish(world, 'b');
    await pass(world, CATALOG_RETENTION_MS);
    world.calls.fail(/^bucket\.remove/, { times: 1 });
    await publish(world, 'c');
    expect(world.state).toBe('following');
    expect(world.log.filter(({ event }) => event === 'catalog_left')).toHaveLength(1);
    expect(objectsOf(world)).toHaveLength(6);
    await publish(world, 'd');
    expect(objectsOf(world)).toHaveLength(6);
    await expectProof(world);
  });
});

describe('the catalog while the bucket refuses it', () => {
  it('delays nothing, and is complete afterwards', async () => {
    const world = await startedWorld();
    const repair = world.calls.fail(/^bucket\.put catalog/);
    for (const key of ['a', 'b', 'c']) {
      world.upstream.publish(key);
      await runUntil(world, { until: () => world.files.at(-1)?.cursor === String(world.upstream.seq) });
    }
    expect(world.database.runs().length).toBeGreaterThanOrEqual(2);
    expect(world.fault(`catalog:${TABLE}`)).toMatchObject({ kind: 'bucket-failed' });
    expect(readCatalog(world.bucket, TABLE)).toBeNull();
    repair();
    await runUntil(world, { until: () => world.isFollowed, withinMs: 6 * MINUTE });
    await expectProof(world);
  });

  it.each(['segment', 'index', 'root'])('writes no second %s when the answer to its put was lost', async what => {
    const world = await startedWorld();
    await publish(world, 'a');
    const key = { segment: `catalog/partitions/${TABLE}/`, index: `catalog/indexes/${TABLE}/`, root: ROOT }[what]!;
    world.calls.fail(new RegExp(`^bucket\\.put ${key}`), { times: 1, answer: 'lost' });
    await publish(world, 'b');
    expect(catalogOf(world).root.snapshot).toBe(2);
    expect(objectsOf(world)).toHaveLength(4);
    await expectProof(world);
  });
});

describe('a root that lands late', () => {
  it.each([
    ['of a dead instance', true],
    ['of a call that was given up', false],
  ])('%s overwrites nothing', async (_, isKilled) => {
    const world = await startedWorld();
    const reader = new CatalogReader(world);
    await publish(world, 'a');
    world.upstream.publish('b');
    const old = world.calls.hold(ROOT_PUT);
    if (isKilled) void old.made.then(() => world.kill());
    await followed(world);
    await publish(world, 'c');
    const { root } = catalogOf(world);
    expect(root.totals.last_lsn).toBe(3);
    old.release();
    await pass(world, MINUTE);
    expect(catalogOf(world).root).toEqual(root);
    reader.check();
    await expectProof(world);
  });

  it('of a dead instance, before the next one puts one, is replaced by the next', async () => {
    const world = await startedWorld();
    const reader = new CatalogReader(world);
    await publish(world, 'a');
    world.upstream.publish('b');
    const old = world.calls.hold(ROOT_PUT);
    void old.made.then(() => world.kill());
    const next = world.calls.hold(/^bucket\.put catalog\/partitions/);
    await runUntil(world, { until: () => world.files.length === 2 });
    old.release();
    await pass(world, 1_000);
    expect(catalogOf(world).root.snapshot).toBe(2);
    next.release();
    await publish(world, 'c');
    expect(catalogOf(world).root.totals.last_lsn).toBe(3);
    reader.check();
    await expectProof(world);
  });
});

describe('a catalog that was lost', () => {
  it('is written anew when its root is gone', async () => {
    const world = await startedWorld();
    for (const key of ['a', 'b']) await publish(world, key);
    for (const key of world.bucket.keys('catalog/partitions/')) world.bucket.objects.delete(key);
    await publish(world, 'c');
    expect(catalogOf(world).root.snapshot).toBeGreaterThan(2);
    await expectProof(world);
  });

  it('is written anew with its full segments when all but the indexes are gone', async () => {
    const world = await startedWorld();
    fillFiles(world, LIMITS.catalogSegmentFilesMax);
    await runUntil(world, { until: () => world.isFollowed });
    for (const key of world.bucket.keys('catalog/partitions/')) world.bucket.objects.delete(key);
    await publish(world, 'a');
    expectCatalog(world);
  });

  it('is written anew when its root is further ahead than a dead instance can have put it', async () => {
    const world = await startedWorld();
    fillFiles(world, LIMITS.catalogSegmentFilesMax);
    await runUntil(world, { until: () => world.isFollowed });
    const { root } = catalogOf(world);
    const { metadata } = world.bucket.objects.get(ROOT)!.head;
    // A lost journal put it, and removed a segment that this journal still knows.
    const later = { ...root, snapshot: root.snapshot + 5 };
    const facts = { ...metadata, digest: 'former', snapshot: String(later.snapshot) };
    world.bucket.store(ROOT, Buffer.from(JSON.stringify(later)), facts);
    world.bucket.objects.delete(root.segments[0]!.key);
    await publish(world, 'a');
    expect(catalogOf(world).root.snapshot).toBe(later.snapshot + 1);
    expectCatalog(world);
  });

  it('ignores an older root that landed', async () => {
    const world = await startedWorld();
    for (const key of ['a', 'b']) await publish(world, key);
    const catalog = new JournalCatalog(world.storage.sql);
    const segments = () => world.storage.sql.exec<SegmentRow>('SELECT * FROM segments ORDER BY number');
    const [state, rows] = [catalog.state(TABLE), segments()];
    catalog.saveOwnRoot(TABLE, { snapshot: 1, etag: 'older', segments: rows.slice(0, 1), nowMs: world.clock.now() });
    expect([catalog.state(TABLE), segments()]).toEqual([state, rows]);
  });

  it('is written anew, and replaces the root in the lake, when the journal does not know it', async () => {
    const world = await startedWorld();
    const reader = new CatalogReader(world);
    for (const key of ['a', 'b', 'c']) await publish(world, key);
    for (const table of ['catalogs', 'segments']) world.storage.sql.exec(`DELETE FROM ${table}`);
    world.kill({ lose: false });
    await nextRun(world);
    await followed(world);
    expect(catalogOf(world).root.snapshot).toBeGreaterThan(3);
    reader.check();
    await expectProof(world);
  });

  it.each(['partitions', 'indexes'])('writes a lost object of its %s anew, and nothing else', async kind => {
    const world = await startedWorld();
    fillFiles(world, 3 * LIMITS.catalogSegmentFilesMax);
    await runUntil(world, { until: () => world.isFollowed });
    const [, gone] = catalogOf(world).root.segments;
    world.bucket.objects.delete(kind === 'indexes' ? gone!.index : gone!.key);
    const before = objectsOf(world);
    for (let n = 0; n < 6; n++) await publish(world, `package-${n}`);
    const { segments } = catalogOf(world).root;
    const fresh = segments.filter(({ key }) => !before.includes(key));
    expect(fresh.map(({ first_lsn }) => first_lsn)).toEqual([gone!.first_lsn, segments.at(-1)!.first_lsn]);
    expectCatalog(world);
  });

  it('takes another name where another object has a segment’s name', async () => {
    const world = await startedWorld();
    await publish(world, 'a');
    world.upstream.publish('b');
    const put = world.calls.hold(/^bucket\.put catalog\/indexes/);
    await Promise.all([
      put.made.then(() => {
        const key = world.calls.made.findLast(call => call.startsWith('bucket.put catalog/indexes'))!.split(' ')[1]!;
        world.bucket.store(key, Buffer.from('{}'));
        put.release();
      }),
      followed(world),
    ]);
    expect(catalogOf(world).root.totals.last_lsn).toBe(2);
    await expectProof(world);
  });
});

describe('a journal that was restored to an earlier time', () => {
  it('puts no root over one that names more rows than it has', async () => {
    const world = await startedWorld();
    await publish(world, 'a');
    const earlier = world.storage.copy();
    await publish(world, 'b');
    const { root } = catalogOf(world);
    world.kill();
    world.storage.restore(earlier);
    // Remove what it knows of its root too, so that there is something to write.
    world.storage.sql.exec('DELETE FROM catalogs');
    world.kill({ lose: false });
    await world.engine.watch();
    await pass(world, 2 * MINUTE);
    expect(world.fault(`catalog:${TABLE}`)).toMatchObject({ kind: 'catalog-ahead', stalls: 1 });
    expect(world.state).toBe('stalled');
    expect(catalogOf(world).root).toEqual(root);
  });
});

describe('segments', () => {
  it('are not written again once they are full', async () => {
    const world = await startedWorld();
    fillFiles(world, LIMITS.catalogSegmentFilesMax - 2);
    for (const key of ['a', 'b', 'c', 'd']) await publish(world, key);
    const { root } = catalogOf(world);
    expect(root.segments.map(({ files }) => files)).toEqual([LIMITS.catalogSegmentFilesMax, 2]);
  });
});
