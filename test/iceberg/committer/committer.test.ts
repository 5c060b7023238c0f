import { describe, expect, it } from 'vitest';
import { LIMITS, readSettings } from '../../../src/config.ts';
import { CATALOG_COMMITS_PER_MINUTE_MAX } from '../../../src/iceberg/committer/rate-limit.ts';
import { statusOf } from '../../../src/iceberg/committer/status.ts';
import { CATALOG_SETTINGS } from '../../api/fake-sources.ts';
import { CommitWorld, table } from '../../simulation/world/commit-world.ts';
import { type CatalogFault, catalogFault } from '../catalog-faults.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

const commits = ({ log }: CommitWorld) => log.filter(({ event }) => event === 'catalog_committed');
const statusIn = async ({ instance }: CommitWorld) => (await statusOf(instance.committer)).tables[0]!;
/** Lets time pass until all files are committed, at most `withinMs`. */
const allCommitted = (world: CommitWorld, withinMs = 60 * MINUTE) =>
  world.pass(withinMs, () => world.committedLsn === world.lastLsn);

describe('a commit', () => {
  it('is due when the oldest file has waited a quarter of an hour, and takes all files', async () => {
    const world = new CommitWorld();
    world.settle(2);
    await world.pass(10 * MINUTE);
    world.settle(3);
    await world.pass(5 * MINUTE - SECOND);
    expect(commits(world)).toEqual([]);
    expect(await statusIn(world)).toMatchObject({ state: 'gathering', committed_lsn: 0, files_waiting: 5 });
    await world.pass(2 * SECOND);
    expect(commits(world)).toMatchObject([{ table: table.name, files: 5, rows: 7, last_lsn: 7 }]);
    const snapshot = String(world.catalog.metadata(table.name)['current-snapshot-id']);
    expect(await statusIn(world)).toEqual({
      table: table.name,
      source: 'test',
      state: 'committed',
      committed_lsn: 7,
      files_waiting: 0,
      last_commit: { at: expect.stringContaining('2026-11-10T12:15'), snapshot, files: 5, rows: 7 },
      last_error: { kind: null, reason: null, hint: null, retry: null, at: null },
    });
  });

  it('is due when enough files have gathered, and takes no more of them', async () => {
    const world = new CommitWorld({ commitFiles: 8 });
    world.settle(20);
    await world.pass(MINUTE);
    expect(commits(world).map(({ files }) => files)).toEqual([8, 8]);
    expect(await statusIn(world)).toMatchObject({ files_waiting: 4 });
  });

  it('is one of at most twenty in a minute, also when the object dies in between', async () => {
    const world = new CommitWorld({ commitFiles: 1 });
    world.settle(60);
    await world.pass(30 * SECOND);
    expect(commits(world)).toHaveLength(CATALOG_COMMITS_PER_MINUTE_MAX);
    world.kill();
    await world.pass(25 * SECOND);
    expect(commits(world)).toHaveLength(CATALOG_COMMITS_PER_MINUTE_MAX);
    expect(await statusIn(world)).toMatchObject({ state: 'backing-off', last_error: { kind: 'throttled' } });
    await allCommitted(world);
    expect(world.catalog.requests.filter(({ status }) => status === 429)).toEqual([]);
  });

  it('sends nothing to the catalog while there are no new files', async () => {
    const world = new CommitWorld();
    world.settle(1);
    await allCommitted(world);
    world.catalog.requests.length = 0;
    await world.pass(60 * MINUTE);
    expect(world.catalog.requests).toEqual([]);
  });
});

describe('a failure', () => {
  it('by another object under a copy’s key is reported with a hint, and ends once it is removed', async () => {
    const world = new CommitWorld({ commitMs: SECOND });
    world.settle(1);
    await allCommitted(world);
    const { location } = world.catalog.metadata(table.name);
    const key = `${location.replace(/^s3:\/\/[^/]+\//, '')}/data/lsn-2-3.parquet`;
    world.bucket.store(key, new Uint8Array(10));
    world.settle(1);
    await world.pass(10 * MINUTE);
    expect(await statusIn(world)).toMatchObject({
      state: 'stalled',
      committed_lsn: 1,
      last_error: { kind: 'copy-differs', hint: expect.stringContaining('copies the file again') },
    });
    world.bucket.objects.delete(key);
    await allCommitted(world, LIMITS.probeMs + MINUTE);
    expect(await statusIn(world)).toMatchObject({ state: 'committed', committed_lsn: 3, last_error: { kind: null } });
  });

  it('by a token without a permission is probed every five minutes', async () => {
    const world = new CommitWorld({ commitMs: SECOND });
    world.settle(1);
    for (let probe = 0; probe < 3; probe++) world.catalog.faults.push(catalogFault.plainText('load', { status: 403 }));
    await world.pass(2 * LIMITS.probeMs + MINUTE);
    expect(world.catalog.requests.filter(({ status }) => status === 403)).toHaveLength(3);
    expect(await statusIn(world)).toMatchObject({
      state: 'stalled',
      committed_lsn: null,
      last_error: { kind: 'forbidden', hint: expect.stringContaining('Workers R2 Data Catalog Write') },
    });
    await allCommitted(world, LIMITS.probeMs);
    expect(await statusIn(world)).toMatchObject({ state: 'committed' });
  });

  it('by a missing file is reported', async () => {
    const world = new CommitWorld({ commitMs: SECOND });
    world.settle(3);
    world.listFiles = files => files.filter(({ first_lsn }) => first_lsn !== 1);
    await world.pass(MINUTE);
    expect(await statusIn(world)).toMatchObject({
      last_error: { kind: 'files-broken', reason: 'data files: expected one from LSN 1, got the next from 2' },
    });
  });

  it('by a lost alarm is found by the watchdog', async () => {
    const world = new CommitWorld({ commitMs: SECOND });
    world.storage.alarmMs = null;
    world.settle(1);
    await world.pass(60 * MINUTE);
    expect(world.committedLsn).toBe(0);
    await world.instance.committer.watch();
    await allCommitted(world, MINUTE);
    expect(world.committedLsn).toBe(1);
  });
});

/** A table with a commit, and a file whose commit meets this fault after nine failed loads: the back-off is 256 s. */
async function afterNineFailures(fault: CatalogFault): Promise<CommitWorld> {
  const world = new CommitWorld({ commitMs: SECOND });
  world.settle(1);
  await allCommitted(world);
  const loads = Array.from({ length: 9 }, () => catalogFault.serverError('load', { effect: 'never' }));
  world.catalog.faults.push(...loads, fault);
  world.settle(1);
  await world.pass(60 * MINUTE, () => world.catalog.faults.length === 0);
  return world;
}

describe('after failures in a row', () => {
  it.each(['now', 'never'] as const)('a conflict is looked up and planned anew at once: %s', async effect => {
    const world = await afterNineFailures(catalogFault.conflict(effect));
    await world.pass(SECOND);
    expect(commits(world).map(({ last_lsn }) => last_lsn)).toEqual([1, 3]);
    expect(await statusIn(world)).toMatchObject({ state: 'committed', last_error: { kind: null } });
  });

  it('a conflict that remains is planned anew three times at once, and then with waits', async () => {
    const world = await afterNineFailures(catalogFault.conflict());
    world.catalog.requests.length = 0;
    world.catalog.faults.push(...Array.from({ length: 8 }, () => catalogFault.conflict()));
    const conflicts = () => world.catalog.requests.filter(({ status }) => status === 409).length;
    await world.pass(SECOND / 2);
    expect(conflicts()).toBe(3);
    await world.pass(SECOND);
    expect(conflicts()).toBe(4);
    await allCommitted(world);
    expect(world.committedLsn).toBe(3);
  });

  it('a limit waits as long as the catalog asks', async () => {
    const world = await afterNineFailures(catalogFault.throttled('commit', '60'));
    await world.pass(59 * SECOND);
    expect(world.committedLsn).toBe(1);
    await world.pass(2 * SECOND);
    expect(world.committedLsn).toBe(3);
  });
});

describe('an answer that no catalog gives', () => {
  const PAGES: [string, CatalogFault][] = [
    ['a page', catalogFault.html('load', { status: 200 })],
    ['a page with 403', catalogFault.html('load', { status: 403 })],
    ['a page with 302', catalogFault.html('load', { status: 302 })],
    ['JSON of another form', { on: 'load', effect: 'never', answer: { status: 200, body: '{"ok":true}' } }],
  ];

  it.each(PAGES)('%s is asked away twice, and stalls the table the third time', async (_, fault) => {
    const world = new CommitWorld({ commitMs: SECOND });
    world.settle(1);
    world.catalog.faults.push(fault, fault);
    await allCommitted(world, 10 * SECOND);
    expect(world.committedLsn).toBe(1);
    world.catalog.faults.push(fault, fault, fault);
    world.settle(1);
    await world.pass(MINUTE + 10 * SECOND);
    expect(await statusIn(world)).toMatchObject({ state: 'stalled', last_error: { kind: 'not-a-catalog' } });
    await allCommitted(world, LIMITS.probeMs);
    expect(await statusIn(world)).toMatchObject({ state: 'committed', committed_lsn: 3 });
  });

  it('a page in place of a commit’s answer is looked up, and the commit is not doubled', async () => {
    const world = new CommitWorld({ commitMs: SECOND });
    world.settle(1);
    world.catalog.faults.push(catalogFault.html('commit', { status: 200 }));
    await world.pass(10 * SECOND);
    expect(commits(world)).toMatchObject([{ last_lsn: 1 }]);
    expect(world.catalog.requests.filter(({ operation }) => operation === 'commit')).toHaveLength(1);
  });

  it.each([
    ['a page', catalogFault.html('config', { status: 200 })],
    ['a page with 404', catalogFault.html('config', { status: 404 })],
    ['no JSON object', { on: 'config', effect: 'never', answer: { status: 200, body: '[]' } }],
    [
      'a wrong prefix',
      { on: 'config', effect: 'never', answer: { status: 200, body: '{"overrides":{"prefix":"?"}}' } },
    ],
  ] satisfies [string, CatalogFault][])('%s from the config route stalls the table at once', async (_, fault) => {
    const world = new CommitWorld({ commitMs: SECOND });
    world.settle(1);
    world.catalog.faults.push(fault);
    await world.pass(SECOND);
    expect(await statusIn(world)).toMatchObject({
      state: 'stalled',
      last_error: { kind: 'not-a-catalog', hint: expect.stringContaining('Check that the URI is') },
    });
  });
});

describe('the settings of a catalog', () => {
  it('are complete or absent', () => {
    expect(readSettings({}).catalog).toBeNull();
    expect(readSettings(CATALOG_SETTINGS).catalog).toEqual({
      uri: 'https://catalog.test/account/lake',
      warehouse: 'account_lake',
      namespace: 'tributary',
      token: 'a-secret-token',
      bucket: 'data-ingestion',
      pace: { commitMs: 900_000, commitFiles: 64 },
    });
    for (const name of ['CATALOG_URI', 'CATALOG_WAREHOUSE', 'CATALOG_TOKEN']) {
      expect(() => readSettings({ ...CATALOG_SETTINGS, [name]: undefined })).toThrow(`${name}: expected a value`);
    }
    // Queries use the namespace with or without a committer.
    expect(readSettings({ CATALOG_NAMESPACE: 'mine' }).catalog).toBeNull();
  });

  it.each([
    ['CATALOG_URI', 'catalog.test', 'an http or https URL'],
    ['CATALOG_NAMESPACE', 'system', 'none of system, examples and information_schema'],
    ['CATALOG_NAMESPACE', 'a.b', 'characters of a-z'],
    ['CATALOG_TOKEN', 'two words', 'visible ASCII characters, got (hidden)'],
    ['CATALOG_COMMIT_MS', '10', 'from 1000 to'],
    ['CATALOG_COMMIT_FILES', '501', 'from 1 to 500'],
  ])('%s is rejected as %s', (name, value, expected) => {
    expect(() => readSettings({ ...CATALOG_SETTINGS, [name]: value })).toThrow(expected);
  });
});
