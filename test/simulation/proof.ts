import { expect } from 'vitest';
import type { Row, Table } from '../../schemas/table.ts';
import { keyOf } from '../../schemas/table.ts';
import { partitionsPrefix } from '../../src/lake/keys.ts';
import type { World } from './world.ts';

/** All rows of a table, as a reader of the bucket finds them, in LSN order. */
export async function lakeRows(world: World, table: Table = world.engine.source.tables[0]!): Promise<Row[]> {
  const rows: Row[] = [];
  for (const key of world.bucket.keys(partitionsPrefix(table))) {
    const { bytes } = world.bucket.objects.get(key)!;
    for (const values of await world.encoding.decode(table, bytes))
      rows.push(Object.fromEntries(table.columns.map(({ name }, index) => [name, values[index] ?? null])));
  }
  return rows.sort((a, b) => Number(a._lsn) - Number(b._lsn));
}

/** Both halves of the proof on what is in the bucket, and that journal, database and balance agree with it. */
export async function expectProof(world: World): Promise<void> {
  const { engine, database } = world;
  const files: string[] = [];
  for (const table of engine.source.tables) {
    const rows = await lakeRows(world, table);
    expect(rows.map(row => row._lsn)).toEqual(rows.map((_, index) => index + 1));
    const places = rows.map(row => JSON.stringify([keyOf(table, row), row._cursor]));
    expect(places.length - new Set(places).size, `rows of ${table.name} that are there twice`).toBe(0);
    const times = rows.map(row => String(row.updated_at));
    expect(times).toEqual([...times].sort());
    files.push(...world.bucket.keys(partitionsPrefix(table)));
  }
  expect(engine.files.backlog().rows).toBe(0);
  expect(
    database
      .runs()
      .map(run => JSON.parse(String(run.data)).key)
      .sort(),
  ).toEqual(files.sort());
  expect(database.lastSequence(engine.source.id)).toBe(world.lane.cursor);
  expect(engine.files.durableCursor()).toBe(world.lane.cursor);
  expect(world.balance).toMatchObject({ balanced: true });
}

/** The newest row of every key says what the upstream says now. */
export async function expectNewest(world: World): Promise<void> {
  const newest = new Map<string, string>();
  for (const row of await lakeRows(world))
    newest.set(String(row.name), row._op === 'delete' ? 'deleted' : `revision ${row.version}`);
  const items = [...world.upstream.items.values()].filter(({ key }) => !key.startsWith('internal:'));
  const expected = items.map(({ key, deleted, revision }) => [key, deleted ? 'deleted' : `revision ${revision}`]);
  expect(Object.fromEntries(newest)).toEqual(Object.fromEntries(expected));
}
