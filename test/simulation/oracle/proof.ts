import assert from 'node:assert/strict';
import { npmPackage } from '../../../schemas/npm_package.ts';
import type { Row, Table, Value } from '../../../schemas/table.ts';
import { keyOf } from '../../../schemas/table.ts';
import { parseDataFileKey, partitionsPrefix } from '../../../src/lake/object-keys.ts';
import { expectCatalog } from '../world/catalog.ts';
import { repositoryOf } from '../world/sources.ts';
import type { World } from '../world/world.ts';

/** Decoded rows by the bytes of their file, because a proof reads each file several times. */
const decoded = new WeakMap<Uint8Array, Value[][]>();

async function decode({ encoding }: World, table: Table, bytes: Uint8Array): Promise<Value[][]> {
  const rows = decoded.get(bytes) ?? (await encoding.decode(table, bytes));
  decoded.set(bytes, rows);
  return rows;
}

/** All rows of a table's data files in the bucket, in LSN order. */
export async function lakeRows(world: World, table: Table = world.engine.source.tables[0]!): Promise<Row[]> {
  const rows: Row[] = [];
  for (const key of world.bucket.keys(partitionsPrefix(table))) {
    const { bytes } = world.bucket.objects.get(key)!;
    for (const values of await decode(world, table, bytes))
      rows.push(Object.fromEntries(table.columns.map(({ name }, index) => [name, values[index] ?? null])));
  }
  return rows.sort((a, b) => Number(a._lsn) - Number(b._lsn));
}

/** The rows of a table that were not pushed. */
async function upstreamRows(world: World, table?: Table): Promise<Row[]> {
  return (await lakeRows(world, table)).filter(row => !String(row._cursor).startsWith('push/'));
}

/**
 * The bucket has each LSN, and each key and cursor, once and in order, an immutable table has each key once, and each
 * file has one month; also when stalled.
 */
export async function expectOnce(world: World): Promise<void> {
  for (const table of world.engine.source.tables) {
    const rows = await lakeRows(world, table);
    assert.deepEqual(
      rows.map(row => row._lsn),
      rows.map((_, index) => index + 1),
      `${table.name}: expected each LSN once`,
    );
    const changes = rows.map(row => JSON.stringify([keyOf(table, row), row._cursor]));
    assert.equal(new Set(changes).size, changes.length, `${table.name}: expected each key and cursor once`);
    const keys = new Set(rows.map(row => keyOf(table, row)));
    if (table.immutable) assert.equal(rows.length, keys.size, `${table.name}: expected each key once`);
    if (!table.columns.some(({ name }) => name === 'updated_at')) continue;
    const times = rows.map(row => String(row.updated_at));
    assert.deepEqual(times, [...times].sort(), `${table.name}: expected LSN order to be time order`);
    for (const key of world.bucket.keys(partitionsPrefix(table))) {
      const { firstLsn, lastLsn, year, month } = parseDataFileKey(key)!;
      const months = new Set(times.slice(firstLsn - 1, lastLsn).map(time => time.slice(0, 7)));
      const expected = new Date(Date.UTC(year, month - 1)).toISOString().slice(0, 7);
      assert.deepEqual([...months], [expected], `${key}: expected rows of its month`);
    }
  }
}

/** Checks the bucket, and that journal, database, catalog and balance agree with it. */
export async function expectProof(world: World): Promise<void> {
  const { engine, database, bucket, lane, balance } = world;
  await expectOnce(world);
  const files = engine.source.tables.flatMap(table => bucket.keys(partitionsPrefix(table)));
  assert.equal(engine.files.backlog().rows, 0, 'journal: expected no row left');
  const runs = database.runs().map(run => String(JSON.parse(String(run.data)).key));
  assert.deepEqual(runs.sort(), files.sort(), 'ingestion_runs: expected one a file');
  assert.equal(database.lastSequence(engine.source.id), lane.cursor, 'sync_state: expected the accepted cursor');
  assert.equal(engine.files.durableCursor(), lane.cursor, 'durable: expected the accepted cursor');
  assert.ok(balance.balanced, `balance: expected each change once, got ${JSON.stringify(balance)}`);
  expectCatalog(world);
}

/** The balance counts the rows of the lake, and the cursor of each row was shown, pushed, or found by a sweep. */
export async function expectAccounted(
  world: World,
  {
    shown,
    pushed = new Set(),
    isMissed = () => false,
  }: { shown: Pick<ReadonlySet<string>, 'has'>; pushed?: ReadonlySet<string>; isMissed?: (key: string) => boolean },
): Promise<void> {
  const rows: Row[] = [];
  for (const table of world.engine.source.tables)
    for (const row of await lakeRows(world, table)) {
      const [cursor, run] = String(row._cursor).split('#') as [string, string?];
      const key = changeKeyOf(table, row);
      const isShown = pushed.has(cursor) || shown.has(`${key}@${cursor}`);
      assert.ok(isShown || (run !== undefined && isMissed(key)), `${row._cursor}: expected a cursor the feed showed`);
      rows.push(row);
    }
  const changesOf = (op: string) => new Set(rows.filter(row => row._op === op).map(row => row._cursor)).size;
  const { rows: upserts, tombstones } = world.balance;
  assert.deepEqual({ upserts, tombstones }, { upserts: changesOf('upsert'), tombstones: changesOf('delete') });
}

/** The key of the change that gave a row. */
function changeKeyOf(table: Table, row: Row): string {
  return table.immutable ? String(row.message) : keyOf(table, row);
}

/** The newest row of every key is what the upstream says now. Changes in `excused`, `<key>@<cursor>`, are left out. */
export async function expectNewest(world: World, excused: ReadonlySet<string> = new Set()): Promise<void> {
  const newest = new Map<string, string>();
  for (const row of await upstreamRows(world))
    newest.set(String(row.name), row._op === 'delete' ? 'deleted' : `revision ${row.version}`);
  const isExpected = ({ key, seq }: { key: string; seq: number }) =>
    !key.startsWith('internal:') && !excused.has(`${key}@${seq}`);
  const items = [...world.upstream.items.values()].filter(isExpected);
  for (const { key, seq } of world.upstream.items.values()) if (excused.has(`${key}@${seq}`)) newest.delete(key);
  const expected = items.map(({ key, deleted, revision }) => [key, deleted ? 'deleted' : `revision ${revision}`]);
  const byKey = (entries: string[][]) => Object.fromEntries(entries.sort(([a], [b]) => (a! < b! ? -1 : 1)));
  assert.deepEqual(byKey([...newest]), byKey(expected as string[][]), 'newest rows: expected what the upstream says');
}

/**
 * The newest row of every key that the upstream holds has its status, and a key that is gone has no facts here. Changes in
 * `excused`, `<key>@<cursor>`, are left out.
 */
export async function expectStatuses(world: World, excused: ReadonlySet<string> = new Set()): Promise<void> {
  const { items, statuses } = world.upstream;
  const found = new Map((await upstreamRows(world)).map(({ name, license }) => [String(name), license]));
  const isChecked = ({ key, seq, deleted }: { key: string; seq: number; deleted: boolean }) =>
    !deleted && found.has(key) && !excused.has(`${key}@${seq}`);
  const keys = [...items.values()].filter(isChecked).map(({ key }) => key);
  assert.deepEqual(
    keys.map(key => [key, found.get(key)]),
    keys.map(key => [key, statuses.get(key) ?? null]),
    'statuses: expected those of the upstream',
  );
  const kept = world.storage.sql.exec<{ key: string }>(
    'SELECT key FROM key_facts WHERE (SELECT min(deleted) FROM keys WHERE keys.key = key_facts.key) = 1',
  );
  assert.deepEqual(kept, [], 'facts: expected none of a key whose newest row is a deletion');
}

/** The rows of a key never go back to an older revision, unless its upstream did. Pushed rows are left out. */
export async function expectInOrder(world: World): Promise<void> {
  const [table] = world.engine.source.tables;
  const column = world.engine.source.tables[0] === npmPackage ? 'version' : 'bio';
  const revisions = new Map<string, number>();
  for (const row of await upstreamRows(world)) {
    const key = keyOf(table!, row);
    if (row._op === 'delete' || world.upstream.lagged.has(key)) continue;
    const before = revisions.get(key) ?? 0;
    const revision = Number(row[column]);
    assert.ok(revision >= before, `${key}: expected at least revision ${before} at LSN ${row._lsn}, got ${revision}`);
    revisions.set(key, revision);
  }
}

/** Every key of every page has a row in each of its tables. Changes in `excused`, `<key>@<cursor>`, are left out. */
export async function expectPages(world: World, excused: ReadonlySet<string> = new Set()): Promise<void> {
  const { tables } = world.engine.source;
  const pages = world.upstream.pages.map((keys, page) =>
    keys.filter((key, index) => !excused.has(`${key}@${page}:${index}`)),
  );
  const shown = [...new Set(pages.flat())].sort();
  for (const [index, table] of tables.entries()) {
    // A row that was pushed first takes the place of the upstream's in an immutable table.
    const rows = table.immutable ? await lakeRows(world, table) : await upstreamRows(world, table);
    const keys = new Set(rows.map(row => String(row[table.key[0]!])));
    const expected = table.immutable ? shown.map(repositoryOf) : shown.filter(key => index === 0 || key.endsWith('+'));
    const missing = expected.filter(key => !keys.has(key));
    assert.deepEqual(missing, [], `${table.name}: expected the keys of all pages`);
  }
}

/** Encoding the rows of each data file again gives the same bytes. */
export async function expectSameBytes(world: World): Promise<void> {
  const { engine, bucket, encoding } = world;
  for (const table of engine.source.tables)
    for (const file of engine.files.files({ table: table.name, afterLsn: 0, limit: 1_000 })) {
      const { first_lsn: firstLsn, last_lsn: lastLsn, cursor } = file;
      const { bytes } = bucket.objects.get(file.key)!;
      const lsnIndex = table.columns.findIndex(({ name }) => name === '_lsn');
      const rows = [...(await decode(world, table, bytes))];
      const again = encoding.port.open({ source: engine.source.id, table, firstLsn });
      for (const values of rows.sort((a, b) => Number(a[lsnIndex]) - Number(b[lsnIndex]))) again.append(values);
      const encoded = Buffer.concat(again.finish({ lastLsn, cursor }));
      assert.equal(Buffer.compare(encoded, bytes), 0, `${file.key}: expected the same bytes again`);
    }
}
