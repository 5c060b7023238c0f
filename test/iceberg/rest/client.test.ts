import { describe, expect, it } from 'vitest';
import { githubProfile as table } from '../../../schemas/github_profile.ts';
import { CatalogError } from '../../../src/iceberg/errors.ts';
import { RestCatalog } from '../../../src/iceberg/rest/client.ts';
import { rowsOf } from '../../parquet/rows.ts';
import { type Lie, lie, type Operation } from '../lies.ts';
import { TOKEN, URI, WAREHOUSE } from '../rest-catalog.ts';
import { CatalogWorld } from '../world.ts';

function caught(work: Promise<unknown>): Promise<CatalogError> {
  return work.then(
    () => expect.fail('expected an error'),
    error => {
      expect(error).toBeInstanceOf(CatalogError);
      expect(error.message).not.toContain(TOKEN);
      expect(error.hint).not.toBe('');
      return error as CatalogError;
    },
  );
}

/** A world with a table, and a commit to it that is ready to be sent. */
async function ready() {
  const world = new CatalogWorld();
  await world.open(table);
  const { commit } = await world.planned(table, [world.place(table, rowsOf(table, 5))]);
  return { world, commit: () => world.client.commit(table.name, commit) };
}

describe('the catalog’s client', () => {
  it('asks for the configuration once, and goes where it points', async () => {
    const world = new CatalogWorld();
    expect(await world.client.namespaceExists()).toBe(false);
    await world.client.createNamespace();
    expect(await world.client.namespaceExists()).toBe(true);
    expect(world.catalog.told.map(({ operation }) => operation)).toEqual([
      'config',
      'namespace',
      'create-namespace',
      'namespace',
    ]);
  });

  it('asks for the configuration again when that failed', async () => {
    const world = new CatalogWorld();
    world.catalog.lies.push(lie.serverError('config', { status: 503 }));
    expect(await caught(world.client.namespaceExists())).toMatchObject({ kind: 'unanswered', outcomeUnknown: false });
    expect(await world.client.namespaceExists()).toBe(false);
  });

  it('knows a missing table, and one whose namespace is missing', async () => {
    const world = new CatalogWorld();
    expect(await world.client.loadTable(table.name)).toBeNull();
    await world.client.createNamespace();
    expect(await world.client.loadTable(table.name)).toBeNull();
  });

  it('tells what is there already', async () => {
    const { world } = await ready();
    expect(await caught(world.client.createNamespace())).toMatchObject({ kind: 'already-exists', status: 409 });
    expect(await caught(world.client.createTable(table, {}))).toMatchObject({ kind: 'already-exists', status: 409 });
  });

  it('asks only for snapshots in use, and does with all of them too', async () => {
    const { world, commit } = await ready();
    await commit();
    world.catalog.heedsRefs = false;
    await world.append(table, [world.place(table, rowsOf(table, 5, { firstLsn: 6 }), { firstLsn: 6 })]);
    expect((await world.client.loadTable(table.name))!.snapshots).toHaveLength(2);
    world.catalog.heedsRefs = true;
    expect((await world.client.loadTable(table.name))!.snapshots).toHaveLength(1);
  });

  it('refuses a token that no header can carry, without telling it', () => {
    const options = { uri: URI, warehouse: WAREHOUSE, namespace: 'tributary', fetch, clock: new CatalogWorld().clock };
    expect(() => new RestCatalog({ ...options, token: 'to\nken' })).toThrow(
      'catalog token: expected visible ASCII characters',
    );
  });
});

/** Each way of the catalog’s to fail a commit, and what is known then. */
const FAILURES: [string, Lie, Partial<CatalogError>, { happened: boolean }][] = [
  [
    'a lost request',
    lie.lostRequest('commit'),
    { kind: 'unanswered', outcomeUnknown: true, status: null },
    { happened: false },
  ],
  [
    'a lost answer',
    lie.lostAnswer('commit'),
    { kind: 'unanswered', outcomeUnknown: true, status: null },
    { happened: true },
  ],
  [
    '500 after it',
    lie.serverError('commit'),
    { kind: 'unanswered', outcomeUnknown: true, status: 500 },
    { happened: true },
  ],
  [
    '504 and nothing',
    lie.serverError('commit', { status: 504, happens: 'never' }),
    { kind: 'unanswered', outcomeUnknown: true, status: 504 },
    { happened: false },
  ],
  ['HTML after it', lie.html('commit'), { kind: 'unanswered', outcomeUnknown: true, status: 502 }, { happened: true }],
  [
    'HTML with 200',
    lie.html('commit', { status: 200 }),
    { kind: 'not-a-catalog', outcomeUnknown: true },
    { happened: true },
  ],
  [
    'a redirect',
    lie.html('commit', { status: 302 }),
    { kind: 'not-a-catalog', outcomeUnknown: true },
    { happened: true },
  ],
  [
    'HTML with 404',
    lie.html('commit', { status: 404, happens: 'never' }),
    { kind: 'not-a-catalog', outcomeUnknown: false },
    { happened: false },
  ],
  [
    'ConcurrentUpdateError',
    lie.concurrentUpdate(),
    { kind: 'conflict', outcomeUnknown: true, status: 400 },
    { happened: false },
  ],
  [
    'ConcurrentUpdateError after it',
    lie.concurrentUpdate('now'),
    { kind: 'conflict', outcomeUnknown: true, status: 400 },
    { happened: true },
  ],
  [
    '429',
    lie.throttled('commit'),
    { kind: 'throttled', outcomeUnknown: false, retryAfterMs: 60_000, status: 429 },
    { happened: false },
  ],
  ['429 without a wait', lie.throttled('commit', null), { kind: 'throttled', retryAfterMs: null }, { happened: false }],
  [
    '401 as text',
    lie.plainText('commit', { status: 401, body: `Bearer ${TOKEN} expired` }),
    { kind: 'unauthorized', outcomeUnknown: false, status: 401 },
    { happened: false },
  ],
  [
    '403 as text',
    lie.plainText('commit'),
    { kind: 'forbidden', outcomeUnknown: false, status: 403 },
    { happened: false },
  ],
];

describe('a commit answered by', () => {
  it.each(FAILURES)('%s is told for what it is', async (_, told, expected, { happened }) => {
    const { world, commit } = await ready();
    world.catalog.lies.push(told);
    expect(await caught(commit())).toMatchObject(expected);
    const { properties } = world.catalog.metadata(table.name);
    expect(properties['tributary.committed_lsn']).toBe(happened ? '5' : '0');
  });

  it('nothing at all ends at its deadline, its outcome unknown', async () => {
    const { world, commit } = await ready();
    world.catalog.lies.push(lie.hangs('commit'));
    const ended = caught(commit());
    await new Promise(resolve => setImmediate(resolve));
    await world.clock.advance(45_000);
    expect(await ended).toMatchObject({ kind: 'unanswered', outcomeUnknown: true });
    // The request is let go of, and with it its connection.
    expect(world.catalog.lastSignal?.aborted).toBe(true);
  });

  it.each(['soon', '60.5', '-1', ''])('a wait of "%s" is no wait', async retryAfter => {
    const { world, commit } = await ready();
    world.catalog.lies.push(lie.throttled('commit', retryAfter));
    expect(await caught(commit())).toMatchObject({ kind: 'throttled', retryAfterMs: null });
  });

  it.each([
    ['200 and text', `Bearer ${TOKEN} ${'x'.repeat(1_000)}`, 'not-a-catalog'],
    ['200 and other JSON', `{"token":"${TOKEN}"}`, 'unanswered'],
    ['200 and nothing', '', 'unanswered'],
  ])('%s has an unknown outcome, and is not quoted at length', async (_, body, kind) => {
    const { world, commit } = await ready();
    world.catalog.lies.push({ on: 'commit', happens: 'now', answer: { status: 200, body } });
    const error = await caught(commit());
    expect(error).toMatchObject({ kind, outcomeUnknown: true });
    expect(error.message.length).toBeLessThan(400);
  });

  it('more than anyone needs is not read to its end', async () => {
    const { world, commit } = await ready();
    world.catalog.lies.push({
      on: 'commit',
      happens: 'now',
      answer: { status: 200, body: ' '.repeat(17 * 1024 * 1024) },
    });
    expect(await caught(commit())).toMatchObject({ kind: 'unanswered', outcomeUnknown: true });
  });

  it('a wait until a date is a wait from now', async () => {
    const { world, commit } = await ready();
    const date = new Date(world.clock.now() + 90_000).toUTCString();
    world.catalog.lies.push(lie.throttled('commit', date));
    expect(await caught(commit())).toMatchObject({ retryAfterMs: 90_000 });
  });

  it('an error that is quoted in part, on one line', async () => {
    const { world, commit } = await ready();
    world.catalog.lies.push(lie.plainText('commit', { status: 403, body: `no\n${'x'.repeat(10_000)}` }));
    const { message } = await caught(commit());
    expect(message).toMatch(/^catalog commit github_profile: expected an answer, got 403 text: no x+…$/);
    expect(message.length).toBeLessThan(300);
  });
});

describe('reading is', () => {
  const READS: [string, (on: Operation) => Lie, Partial<CatalogError>][] = [
    ['a lost answer', lie.lostAnswer, { kind: 'unanswered', outcomeUnknown: false }],
    ['500', on => lie.serverError(on), { kind: 'unanswered', outcomeUnknown: false, status: 500 }],
    ['HTML', on => lie.html(on, { status: 200 }), { kind: 'not-a-catalog', outcomeUnknown: false }],
    ['HTML with 404', on => lie.html(on, { status: 404 }), { kind: 'not-a-catalog', outcomeUnknown: false }],
    ['403', on => lie.plainText(on), { kind: 'forbidden', status: 403 }],
    ['429', lie.throttled, { kind: 'throttled', retryAfterMs: 60_000 }],
  ];

  it.each(READS)('without an outcome to wonder about after %s', async (_, told, expected) => {
    const { world } = await ready();
    for (const [on, work] of [
      ['load', () => world.client.loadTable(table.name)],
      ['namespace', () => world.client.namespaceExists()],
    ] as const) {
      world.catalog.lies.push(told(on));
      expect(await caught(work())).toMatchObject(expected);
    }
  });

  it('refused for a wrong token, and the token is not told', async () => {
    const world = new CatalogWorld({ token: 'another-secret' });
    const error = await caught(world.client.namespaceExists());
    expect(error).toMatchObject({ kind: 'unauthorized', status: 401 });
    expect(error.message).toBe('catalog config: expected an answer, got 401 text: Unauthorized: Bearer …');
  });

  it('refused where the answer is JSON but no table', async () => {
    const { world } = await ready();
    const answer = { status: 200, body: '{"metadata":{"format-version":2}}' };
    world.catalog.lies.push({ on: 'load', happens: 'never', answer });
    const error = await caught(world.client.loadTable(table.name));
    expect(error).toMatchObject({ kind: 'not-a-catalog' });
    expect(error.message).toMatch(/^catalog load github_profile: expected the metadata of a table, got table-uuid: /);
  });

  it('refused where the configuration has a prefix that leads elsewhere', async () => {
    const world = new CatalogWorld();
    const answer = { status: 200, body: '{"defaults":{},"overrides":{"prefix":"a?b"}}' };
    world.catalog.lies.push({ on: 'config', happens: 'never', answer });
    expect(await caught(world.client.namespaceExists())).toMatchObject({ kind: 'not-a-catalog' });
  });
});
