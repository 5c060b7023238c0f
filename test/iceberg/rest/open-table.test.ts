import { describe, expect, it } from 'vitest';
import { githubProfile as table } from '../../../schemas/github_profile.ts';
import { icebergSchema } from '../../../schemas/iceberg.ts';
import { TABLES } from '../../../schemas/index.ts';
import type { Table } from '../../../schemas/table.ts';
import { openTable } from '../../../src/iceberg/rest/open-table.ts';
import { readBack, rowsOf } from '../../parquet/rows.ts';
import { catalogFault } from '../catalog-faults.ts';
import type { Metadata } from '../rest-catalog.ts';
import { CatalogWorld } from '../world.ts';

const operations = (world: CatalogWorld) => world.catalog.requests.map(({ operation }) => operation);

describe('a table in the catalog', () => {
  it.each(TABLES)('$name is created once, with its declared field ids', async table => {
    const world = new CatalogWorld();
    const metadata = await world.open(table);
    expect(metadata.schemas[0]).toEqual(icebergSchema(table));
    expect(metadata).toMatchObject({ 'format-version': 2, 'partition-specs': [{ 'spec-id': 0, fields: [] }] });
    expect(metadata.properties).toMatchObject({ 'tributary.committed_lsn': '0' });
    expect(await world.open(table)).toEqual(metadata);
    expect(operations(world)).toEqual(['config', 'load', 'namespace', 'create-namespace', 'create', 'load']);
  });

  it('is loaded when its creation was answered with an error', async () => {
    const world = new CatalogWorld();
    world.catalog.faults.push(catalogFault.serverError('create-namespace'), catalogFault.serverError('create'));
    await expect(world.open(table)).rejects.toMatchObject({ outcomeUnknown: true });
    await expect(world.open(table)).rejects.toMatchObject({ outcomeUnknown: true });
    await world.open(table);
    expect(operations(world).filter(operation => operation === 'create')).toHaveLength(1);
  });

  it('is loaded when another program creates it at the same moment', async () => {
    const world = new CatalogWorld();
    await world.client.createNamespace();
    world.catalog.faults.push(catalogFault.late('create'));
    await expect(world.open(table)).rejects.toMatchObject({ outcomeUnknown: true });
    const loadTable = world.client.loadTable.bind(world.client);
    // The late request is carried out between the load and the creation.
    world.client.loadTable = async name => {
      const found = await loadTable(name);
      world.catalog.deliverLate();
      return found;
    };
    expect((await openTable(world.client, table)).properties).toMatchObject({ 'tributary.committed_lsn': '0' });
  });

  it('with field ids that the catalog assigned is never committed to', async () => {
    const world = new CatalogWorld();
    world.catalog.assignedId = id => id + 1_000;
    await expect(world.open(table)).rejects.toMatchObject({
      kind: 'table-differs',
      message: 'table github_profile: expected field id 1 of username, got 1001',
      hint: 'The catalog assigned other field ids, and data files cannot be read under them. Drop the table.',
    });
    const file = world.copyFile(table, rowsOf(table, 3));
    const metadata = (await world.client.loadTable(table.name))!;
    await expect(world.plan(table, [file], metadata)).rejects.toMatchObject({ kind: 'table-differs' });
    expect(operations(world)).not.toContain('commit');
  });
});

/** Another program adds a column, at the front as Spark can. */
function addForeign(metadata: Metadata, { required = false, id = table.columns.length + 1, name = 'note' } = {}): void {
  metadata.schemas[0]!.fields.unshift({ id, name, required, type: 'string' } as never);
  metadata['last-column-id'] = Math.max(id, Number(metadata['last-column-id']));
}

describe('an optional column that another program added', () => {
  it('stays, and is null in our rows', async () => {
    const world = new CatalogWorld();
    await world.open(table);
    const rows = rowsOf(table, 6);
    await world.append(table, [world.copyFile(table, rows.slice(0, 3))]);
    world.catalog.change(table.name, metadata => addForeign(metadata));
    await world.append(table, [world.copyFile(table, rows.slice(3), { firstLsn: 4 })]);
    expect(world.catalog.metadata(table.name).schemas).toMatchObject([{ fields: { 0: { name: 'note' } } }]);
    const note = { ...table.columns[0]!, name: 'note', required: false };
    const read = await world.rows({ ...table, columns: [...table.columns, note] });
    expect(read).toEqual(readBack(table, rows).map(row => [...row, null]));
  });

  it.each([
    ['nested', { type: { type: 'struct', fields: [] } }],
    ['with null for what it has not', { type: 'string', doc: null, 'initial-default': null }],
  ])('may be %s', async (_, facts) => {
    const world = new CatalogWorld();
    await world.open(table);
    world.catalog.change(table.name, ({ schemas }) => {
      schemas[0]!.fields.push({ id: 99, name: 'note', required: false, ...facts } as never);
    });
    await world.open(table);
    expect(operations(world)).not.toContain('commit');
  });

  it('may have any place among ours, which are found by their ids', async () => {
    const world = new CatalogWorld();
    await world.open(table);
    world.catalog.change(table.name, metadata => {
      addForeign(metadata);
      metadata.schemas[0]!.fields.reverse();
    });
    const rows = rowsOf(table, 3);
    await world.append(table, [world.copyFile(table, rows)]);
    expect(await world.rows(table)).toEqual(readBack(table, rows));
  });
});

describe('a column added to a declaration', () => {
  const newer: Table = {
    ...table,
    version: table.version + 1,
    columns: [
      ...table.columns,
      { name: 'added', type: 'utf8', required: false, description: 'Newer.', fieldId: table.columns.length + 1 },
    ],
  };

  it('is added to its table, and is null in old rows', async () => {
    const world = new CatalogWorld();
    await world.open(table);
    const old = rowsOf(table, 3);
    await world.append(table, [world.copyFile(table, old)]);
    const metadata = await world.open(newer);
    expect(metadata['current-schema-id']).toBe(1);
    expect(metadata.schemas.map(({ fields }) => fields.length)).toEqual([table.columns.length, newer.columns.length]);
    expect(await world.open(newer)).toEqual(metadata);
    const rows = rowsOf(newer, 3, { firstLsn: 4 });
    await world.append(newer, [world.copyFile(newer, rows, { firstLsn: 4 })]);
    expect(await world.rows(newer)).toEqual(readBack(newer, [...old.map(row => [...row, null]), ...rows]));
    expect(world.catalog.metadata(table.name).snapshots[1]).toMatchObject({ 'schema-id': 1 });
  });

  it.each([
    ['its id', { name: 'note' }, 'expected added string optional, got note string optional'],
    ['its name', { name: 'added', id: 1_000 }, /^table \w+: expected field id \d+ of added, got 1000$/],
  ])('is refused where a column of another program has %s', async (_, foreign, message) => {
    const world = new CatalogWorld();
    await world.open(table);
    world.catalog.change(table.name, metadata => addForeign(metadata, foreign));
    await expect(world.open(newer)).rejects.toThrow(message);
    expect(operations(world)).not.toContain('commit');
  });

  it('is added beside a column of another program', async () => {
    const newest: Table = {
      ...newer,
      columns: newer.columns.map(column => (column.name === 'added' ? { ...column, fieldId: 1_000 } : column)),
    };
    const world = new CatalogWorld();
    await world.open(table);
    world.catalog.change(table.name, metadata => addForeign(metadata));
    const metadata = await world.open(newest);
    expect(metadata.schemas[1]!.fields.map(({ name }) => name)).toEqual([
      'note',
      ...newest.columns.map(({ name }) => name),
    ]);
    const rows = rowsOf(newest, 3);
    await world.append(newest, [world.copyFile(newest, rows)]);
    expect(await world.rows(newest)).toEqual(readBack(newest, rows));
  });

  it('is not added when the rest of the table differs', async () => {
    const world = new CatalogWorld();
    await world.open(table);
    world.catalog.change(table.name, ({ schemas }) => Object.assign(schemas[0]!.fields[0]!, { type: 'long' }));
    await expect(world.open(newer)).rejects.toMatchObject({ kind: 'table-differs' });
    expect(operations(world)).not.toContain('commit');
  });

  it('is added once by two requests at the same time', async () => {
    const world = new CatalogWorld();
    await world.open(table);
    world.catalog.faults.push(catalogFault.late('commit'));
    await expect(world.open(newer)).rejects.toMatchObject({ kind: 'unanswered', outcomeUnknown: true });
    await world.open(newer);
    world.catalog.deliverLate();
    expect(world.catalog.metadata(table.name).schemas).toHaveLength(2);
  });

  it('throws when it was dropped from the table, because data files have values under its id', async () => {
    const world = new CatalogWorld();
    await world.open(table);
    world.catalog.change(table.name, ({ schemas }) => void schemas[0]!.fields.pop());
    await expect(world.open(table)).rejects.toMatchObject({ kind: 'table-differs' });
  });
});

describe('a table that differs from its declaration', () => {
  const CHANGES: [string, (metadata: Metadata) => void, unknown][] = [
    [
      'of another format',
      metadata => Object.assign(metadata, { 'format-version': 3 }),
      'expected format version 2, got 3',
    ],
    [
      'with partitions',
      metadata => Object.assign(metadata, { 'partition-specs': [{ 'spec-id': 0, fields: [{ name: 'username' }] }] }),
      'expected no partition fields, got 1',
    ],
    [
      'with a column of another type',
      ({ schemas }) => Object.assign(schemas[0]!.fields[0]!, { type: 'long' }),
      'expected username string required, got username long required',
    ],
    [
      'with a column of a nested type',
      ({ schemas }) => Object.assign(schemas[0]!.fields[0]!, { type: { type: 'struct', fields: [] } }),
      'expected username string required, got username of a nested type required',
    ],
    [
      'with a column that may be null',
      ({ schemas }) => Object.assign(schemas[0]!.fields[0]!, { required: false }),
      'expected username string required, got username string optional',
    ],
    [
      'with one column less',
      ({ schemas }) => void schemas[0]!.fields.pop(),
      'expected github_id string required, got no column',
    ],
    [
      'with a renamed column',
      ({ schemas }) => Object.assign(schemas[0]!.fields[1]!, { name: 'renamed' }),
      expect.stringMatching(/^table github_profile: expected (\w+) (\w+) (\w+), got renamed \2 \3$/),
    ],
    [
      'with a column that was dropped and added again under another id',
      ({ schemas }) => Object.assign(schemas[0]!.fields[0]!, { id: 99 }),
      'expected field id 1 of username, got 99',
    ],
    [
      'with a required column of another program',
      metadata => addForeign(metadata, { required: true }),
      'expected no required column of another program, got note string required',
    ],
  ];

  it.each(CHANGES)('%s throws table-differs', async (_, change, message) => {
    const world = new CatalogWorld();
    await world.open(table);
    world.catalog.change(table.name, metadata => void change(metadata));
    await expect(world.open(table)).rejects.toMatchObject({
      kind: 'table-differs',
      message: typeof message === 'string' ? `table github_profile: ${message}` : message,
    });
  });

  it.each(['', '-1', '1.5', '1e3', '99999999999999999', 'x'])(
    'with the property "%s" throws table-differs',
    async text => {
      const world = new CatalogWorld();
      await world.open(table);
      const file = world.copyFile(table, rowsOf(table, 3));
      world.catalog.change(table.name, ({ properties }) =>
        Object.assign(properties, { 'tributary.committed_lsn': text }),
      );
      await expect(world.plan(table, [file])).rejects.toMatchObject({ kind: 'table-differs' });
    },
  );
});
