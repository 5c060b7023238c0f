import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/config.ts';
import { statusOf } from '../../../src/iceberg/committer/status.ts';
import { CommitOracle } from '../../simulation/oracle/commit-oracle.ts';
import { CommitWorld, table } from '../../simulation/world/commit-world.ts';
import { ForeignWriter } from '../foreign-writer.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

const statusIn = async ({ instance }: CommitWorld) => (await statusOf(instance.committer)).tables[0]!;

/** The LSNs of the files in the catalog's table. */
const filesIn = (world: CommitWorld) =>
  new ForeignWriter(world.catalog)
    .liveFiles(table.name)
    .map(({ entry }) => /lsn-(\d+-\d+)/.exec(entry.data_file.file_path)![1])
    .sort();

const setProperty = (world: CommitWorld, name: string, value: string) =>
  world.catalog.change(table.name, ({ properties }) => void Object.assign(properties, { [name]: value }));

/** A table with commits up to LSN 1, 3 and 4, rolled back to LSN 3, and a file more that is due. */
async function rolledBackWorld({ compacted = false, filtersSnapshots = true } = {}): Promise<CommitWorld> {
  const world = new CommitWorld({ commitMs: SECOND });
  world.catalog.filtersSnapshots = filtersSnapshots;
  for (let file = 0; file < 3; file++) {
    world.settle(1);
    await world.pass(10 * MINUTE, () => world.committedLsn === world.lastLsn);
  }
  const person = new ForeignWriter(world.catalog);
  expect(person.rollBack(table.name)).toBe('3');
  if (compacted) await person.compact(table);
  world.settle(1);
  await world.pass(2 * MINUTE);
  return world;
}

describe('a table that a person rolled back', () => {
  it.each([
    ['to one of ours', { compacted: false, filtersSnapshots: true }],
    ['before it was compacted', { compacted: true, filtersSnapshots: true }],
    ['in a catalog that answers with all snapshots', { compacted: true, filtersSnapshots: false }],
  ])('%s gets no further rows, and says which property brings or gives up those that it lost', async (_, options) => {
    const world = await rolledBackWorld(options);
    expect(await statusIn(world)).toMatchObject({
      state: 'stalled',
      last_error: {
        kind: 'rolled-back',
        reason: 'table email_pattern: expected its newest snapshot of Tributary to name LSN 4, got 3',
        hint: expect.stringMatching(
          /set its property tributary.committed_lsn to 3\. .* tributary.accepted_gap to 3-4\.$/,
        ),
      },
    });
    // Probes change nothing, even after the object has lost its state.
    world.loseStorage();
    await world.pass(3 * LIMITS.probeMs);
    expect(await statusIn(world)).toMatchObject({ state: 'stalled', last_error: { kind: 'rolled-back' } });
    expect(world.committedLsn).toBe(4);
  });

  it('gets its rows again once its property is set back, under copies of their own', async () => {
    const world = await rolledBackWorld();
    setProperty(world, 'tributary.committed_lsn', '3');
    await world.pass(LIMITS.probeMs + MINUTE, () => world.committedLsn === 6);
    expect(filesIn(world)).toEqual(['1-1', '2-3', '4-4', '5-6']);
    expect(await statusIn(world)).toMatchObject({ state: 'committed', committed_lsn: 6, last_error: { kind: null } });
    // The snapshot of before may expire, with the copies that only it names.
    const names = world.bucket.keys().filter(key => key.includes('/data/lsn-4-4'));
    expect(names.map(name => name.replace(/^.*\//, ''))).toEqual(['lsn-4-4-again-3.parquet', 'lsn-4-4.parquet']);
    new ForeignWriter(world.catalog).expire(table.name);
    expect(world.bucket.keys().filter(key => key.includes('/data/lsn-4-4'))).toEqual([names[0]]);
    new CommitOracle(world).check();
    // Later rows have plain names again.
    world.settle(1);
    await world.pass(10 * MINUTE, () => world.committedLsn === 7);
    expect(world.bucket.keys().some(key => key.endsWith('/data/lsn-7-7.parquet'))).toBe(true);
  });

  it('gets its rows again without a failure when the property is set back at once', async () => {
    const world = new CommitWorld({ commitMs: SECOND });
    for (const lsn of [1, 3, 4]) {
      world.settle(1);
      await world.pass(10 * MINUTE, () => world.committedLsn === lsn);
    }
    new ForeignWriter(world.catalog).rollBack(table.name);
    setProperty(world, 'tributary.committed_lsn', '3');
    world.settle(1);
    await world.pass(10 * MINUTE, () => world.committedLsn === 6);
    expect(filesIn(world)).toEqual(['1-1', '2-3', '4-4', '5-6']);
    expect(world.bucket.keys().some(key => key.endsWith('/data/lsn-4-4-again-3.parquet'))).toBe(true);
    expect(world.log.filter(({ event }) => event === 'catalog_failed')).toEqual([]);
  });

  it('goes on with its gap once that is accepted, and notices the next time', async () => {
    const world = await rolledBackWorld();
    setProperty(world, 'tributary.accepted_gap', '3-4');
    await world.pass(LIMITS.probeMs + MINUTE, () => world.committedLsn === 6);
    expect(filesIn(world)).toEqual(['1-1', '2-3', '5-6']);
    world.settle(1);
    await world.pass(10 * MINUTE, () => world.committedLsn === 7);
    expect(filesIn(world)).toEqual(['1-1', '2-3', '5-6', '7-7']);
    expect(new ForeignWriter(world.catalog).rollBack(table.name)).toBe('6');
    world.settle(1);
    await world.pass(2 * MINUTE);
    expect(await statusIn(world)).toMatchObject({ state: 'stalled', last_error: { kind: 'rolled-back' } });
  });

  it('is committed to again when the person rolls it forward', async () => {
    const world = await rolledBackWorld();
    world.catalog.change(table.name, changed => {
      const { 'snapshot-id': id } = changed.snapshots.at(-1)!;
      Object.assign(changed, { 'current-snapshot-id': id, refs: { main: { 'snapshot-id': id, type: 'branch' } } });
    });
    await world.pass(LIMITS.probeMs + MINUTE, () => world.committedLsn === 6);
    expect(filesIn(world)).toEqual(['1-1', '2-3', '4-4', '5-6']);
  });
});

it('a table whose property was set back without a cause doubles no rows', async () => {
  const world = new CommitWorld({ commitMs: SECOND });
  world.settle(2);
  await world.pass(10 * MINUTE, () => world.committedLsn === 3);
  setProperty(world, 'tributary.committed_lsn', '1');
  world.settle(1);
  await world.pass(10 * MINUTE);
  expect(filesIn(world)).toEqual(['1-1', '2-3']);
  setProperty(world, 'tributary.committed_lsn', '3');
  await world.pass(LIMITS.probeMs + MINUTE, () => world.committedLsn === 4);
  expect(filesIn(world)).toEqual(['1-1', '2-3', '4-4']);
});
