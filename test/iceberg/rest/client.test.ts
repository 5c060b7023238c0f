import { describe, expect, it } from 'vitest';
import { githubProfile as table } from '../../../schemas/github_profile.ts';
import { CatalogError } from '../../../src/iceberg/errors.ts';
import { RestCatalog } from '../../../src/iceberg/rest/client.ts';
import { rowsOf } from '../../parquet/rows.ts';
import { type CatalogFault, catalogFault, type Operation } from '../catalog-faults.ts';
import { TOKEN, URI, WAREHOUSE } from '../rest-catalog.ts';
import { CatalogWorld } from '../world.ts';

function failureOf(work: Promise<unknown>): Promise<CatalogError> {
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

/** A world with a table, and a function that sends a planned commit to it. */
async function ready() {
  const world = new CatalogWorld();
  await world.open(table);
  const { commit } = await world.plan(table, [world.copyFile(table, rowsOf(table, 5))]);
  return { world, commit: () => world.client.commit(table.name, commit) };
}

describe('the catalog’s client', () => {
  it('requests the configuration once, and uses its prefix', async () => {
    const world = new CatalogWorld();
    expect(await world.client.namespaceExists()).toBe(false);
    await world.client.createNamespace();
    expect(await world.client.namespaceExists()).toBe(true);
    expect(world.catalog.requests.map(({ operation }) => operation)).toEqual([
      'config',
      'namespace',
      'create-namespace',
      'namespace',
    ]);
  });

  it('requests the configuration again after a failure', async () => {
    const world = new CatalogWorld();
    world.catalog.faults.push(catalogFault.serverError('config', { status: 503 }));
    expect(await failureOf(world.client.namespaceExists())).toMatchObject({
      kind: 'unanswered',
      outcomeUnknown: false,
    });
    expect(await world.client.namespaceExists()).toBe(false);
  });

  it('gives null for a missing table, and for a table in a missing namespace', async () => {
    const world = new CatalogWorld();
    expect(await world.client.loadTable(table.name)).toBeNull();
    await world.client.createNamespace();
    expect(await world.client.loadTable(table.name)).toBeNull();
  });

  it('throws already-exists for an existing namespace or table', async () => {
    const { world } = await ready();
    expect(await failureOf(world.client.createNamespace())).toMatchObject({ kind: 'already-exists', status: 409 });
    expect(await failureOf(world.client.createTable(table, {}))).toMatchObject({ kind: 'already-exists', status: 409 });
  });

  it('requests only snapshots that a branch uses, and accepts all of them', async () => {
    const { world, commit } = await ready();
    await commit();
    world.catalog.filtersSnapshots = false;
    await world.append(table, [world.copyFile(table, rowsOf(table, 5, { firstLsn: 6 }), { firstLsn: 6 })]);
    expect((await world.client.loadTable(table.name))!.snapshots).toHaveLength(2);
    world.catalog.filtersSnapshots = true;
    expect((await world.client.loadTable(table.name))!.snapshots).toHaveLength(1);
  });

  it('rejects a token that no header can carry, without quoting it', () => {
    const options = { uri: URI, warehouse: WAREHOUSE, namespace: 'tributary', fetch, clock: new CatalogWorld().clock };
    expect(() => new RestCatalog({ ...options, token: 'to\nken' })).toThrow(
      'catalog token: expected visible ASCII characters',
    );
  });
});

/** How a commit can fail, the error then, and whether the catalog carried it out. */
const FAILURES: [string, CatalogFault, Partial<CatalogError>, { isCommitted: boolean }][] = [
  [
    'a lost request',
    catalogFault.lostRequest('commit'),
    { kind: 'unanswered', outcomeUnknown: true, status: null },
    { isCommitted: false },
  ],
  [
    'a lost answer',
    catalogFault.lostAnswer('commit'),
    { kind: 'unanswered', outcomeUnknown: true, status: null },
    { isCommitted: true },
  ],
  [
    '500 after the commit',
    catalogFault.serverError('commit'),
    { kind: 'unanswered', outcomeUnknown: true, status: 500 },
    { isCommitted: true },
  ],
  [
    '504 without the commit',
    catalogFault.serverError('commit', { status: 504, effect: 'never' }),
    { kind: 'unanswered', outcomeUnknown: true, status: 504 },
    { isCommitted: false },
  ],
  [
    'HTML after the commit',
    catalogFault.html('commit'),
    { kind: 'unanswered', outcomeUnknown: true, status: 502 },
    { isCommitted: true },
  ],
  [
    'HTML with 200',
    catalogFault.html('commit', { status: 200 }),
    { kind: 'not-a-catalog', outcomeUnknown: true },
    { isCommitted: true },
  ],
  [
    'a redirect',
    catalogFault.html('commit', { status: 302 }),
    { kind: 'not-a-catalog', outcomeUnknown: true },
    { isCommitted: true },
  ],
  [
    'HTML with 404',
    catalogFault.html('commit', { status: 404, effect: 'never' }),
    { kind: 'not-a-catalog', outcomeUnknown: false },
    { isCommitted: false },
  ],
  [
    'ConcurrentUpdateError',
    catalogFault.concurrentUpdate(),
    { kind: 'conflict', outcomeUnknown: true, status: 400 },
    { isCommitted: false },
  ],
  [
    'ConcurrentUpdateError after the commit',
    catalogFault.concurrentUpdate('now'),
    { kind: 'conflict', outcomeUnknown: true, status: 400 },
    { isCommitted: true },
  ],
  [
    '429',
    catalogFault.throttled('commit'),
    { kind: 'throttled', outcomeUnknown: false, retryAfterMs: 60_000, status: 429 },
    { isCommitted: false },
  ],
  [
    '429 without a wait',
    catalogFault.throttled('commit', null),
    { kind: 'throttled', retryAfterMs: null },
    { isCommitted: false },
  ],
  [
    '401 as text',
    catalogFault.plainText('commit', { status: 401, body: `Bearer ${TOKEN} expired` }),
    { kind: 'unauthorized', outcomeUnknown: false, status: 401 },
    { isCommitted: false },
  ],
  [
    '403 as text',
    catalogFault.plainText('commit'),
    { kind: 'forbidden', outcomeUnknown: false, status: 403 },
    { isCommitted: false },
  ],
];

describe('a commit answered by', () => {
  it.each(FAILURES)('%s throws an error of its kind', async (_, fault, expected, { isCommitted }) => {
    const { world, commit } = await ready();
    world.catalog.faults.push(fault);
    expect(await failureOf(commit())).toMatchObject(expected);
    const { properties } = world.catalog.metadata(table.name);
    expect(properties['tributary.committed_lsn']).toBe(isCommitted ? '5' : '0');
  });

  it('nothing ends at its deadline with an unknown outcome', async () => {
    const { world, commit } = await ready();
    world.catalog.faults.push(catalogFault.hangs('commit'));
    const ended = failureOf(commit());
    await new Promise(resolve => setImmediate(resolve));
    await world.clock.advance(45_000);
    expect(await ended).toMatchObject({
      kind: 'unanswered',
      outcomeUnknown: true,
      message: 'catalog commit github_profile: expected an answer, got none within 45 s',
    });
    // The request is aborted, which closes its connection.
    expect(world.catalog.lastSignal?.aborted).toBe(true);
  });

  it('a broken connection is named, without what the error quotes', async () => {
    const { world, commit } = await ready();
    world.catalog.faults.push(catalogFault.lostRequest('commit'));
    const message = 'catalog commit github_profile: expected an answer, got a broken connection (TypeError)';
    expect(await failureOf(commit())).toMatchObject({ message });
  });

  it.each(['soon', '60.5', '-1', ''])('a Retry-After of "%s" is ignored', async retryAfter => {
    const { world, commit } = await ready();
    world.catalog.faults.push(catalogFault.throttled('commit', retryAfter));
    expect(await failureOf(commit())).toMatchObject({ kind: 'throttled', retryAfterMs: null });
  });

  it.each([
    ['200 and text', `Bearer ${TOKEN} ${'x'.repeat(1_000)}`, 'not-a-catalog'],
    ['200 and other JSON', `{"token":"${TOKEN}"}`, 'unanswered'],
    ['200 and nothing', '', 'unanswered'],
  ])('%s has an unknown outcome and a short message', async (_, body, kind) => {
    const { world, commit } = await ready();
    world.catalog.faults.push({ on: 'commit', effect: 'now', answer: { status: 200, body } });
    const error = await failureOf(commit());
    expect(error).toMatchObject({ kind, outcomeUnknown: true });
    expect(error.message.length).toBeLessThan(400);
  });

  it('more than 16 MiB is not read to its end', async () => {
    const { world, commit } = await ready();
    world.catalog.faults.push({
      on: 'commit',
      effect: 'now',
      answer: { status: 200, body: ' '.repeat(17 * 1024 * 1024) },
    });
    expect(await failureOf(commit())).toMatchObject({ kind: 'unanswered', outcomeUnknown: true });
  });

  it('a Retry-After date is converted to a wait from now', async () => {
    const { world, commit } = await ready();
    const date = new Date(world.clock.now() + 90_000).toUTCString();
    world.catalog.faults.push(catalogFault.throttled('commit', date));
    expect(await failureOf(commit())).toMatchObject({ retryAfterMs: 90_000 });
  });

  it('a long text is quoted in part, on one line', async () => {
    const { world, commit } = await ready();
    world.catalog.faults.push(catalogFault.plainText('commit', { status: 403, body: `no\n${'x'.repeat(10_000)}` }));
    const { message } = await failureOf(commit());
    expect(message).toMatch(/^catalog commit github_profile: expected an answer, got 403 text: no x+…$/);
    expect(message.length).toBeLessThan(300);
  });
});

describe('a read', () => {
  const READS: [string, (on: Operation) => CatalogFault, Partial<CatalogError>][] = [
    ['a lost answer', catalogFault.lostAnswer, { kind: 'unanswered', outcomeUnknown: false }],
    ['500', on => catalogFault.serverError(on), { kind: 'unanswered', outcomeUnknown: false, status: 500 }],
    ['HTML', on => catalogFault.html(on, { status: 200 }), { kind: 'not-a-catalog', outcomeUnknown: false }],
    ['HTML with 404', on => catalogFault.html(on, { status: 404 }), { kind: 'not-a-catalog', outcomeUnknown: false }],
    ['403', on => catalogFault.plainText(on), { kind: 'forbidden', status: 403 }],
    // A gateway answers with a page of its own, which says nothing of the token.
    ['HTML with 401', on => catalogFault.html(on, { status: 401 }), { kind: 'not-a-catalog', status: 401 }],
    ['HTML with 403', on => catalogFault.html(on, { status: 403 }), { kind: 'not-a-catalog', status: 403 }],
    ['HTML with 429', on => catalogFault.html(on, { status: 429 }), { kind: 'throttled', status: 429 }],
    ['429', catalogFault.throttled, { kind: 'throttled', retryAfterMs: 60_000 }],
  ];

  it.each(READS)('with %s throws an error whose outcome is known', async (_, faultOn, expected) => {
    const { world } = await ready();
    for (const [on, work] of [
      ['load', () => world.client.loadTable(table.name)],
      ['namespace', () => world.client.namespaceExists()],
    ] as const) {
      world.catalog.faults.push(faultOn(on));
      expect(await failureOf(work())).toMatchObject(expected);
    }
  });

  it('with a wrong token throws unauthorized, without quoting the token', async () => {
    const world = new CatalogWorld({ token: 'another-secret' });
    const error = await failureOf(world.client.namespaceExists());
    expect(error).toMatchObject({ kind: 'unauthorized', status: 401 });
    expect(error.message).toBe('catalog config: expected an answer, got 401 text: Unauthorized: Bearer …');
  });

  it('throws not-a-catalog when the answer is JSON but not a table', async () => {
    const { world } = await ready();
    const answer = { status: 200, body: '{"metadata":{"format-version":2}}' };
    world.catalog.faults.push({ on: 'load', effect: 'never', answer });
    const error = await failureOf(world.client.loadTable(table.name));
    expect(error).toMatchObject({ kind: 'not-a-catalog' });
    expect(error.message).toMatch(/^catalog load github_profile: expected the metadata of a table, got table-uuid: /);
  });

  it.each(['{}', '{"overrides":null}', '{"defaults":null,"overrides":{"prefix":null}}'])(
    'takes the configuration %s for one without a prefix',
    async body => {
      const urls: string[] = [];
      const { clock } = new CatalogWorld();
      const answer = async (url: string) => {
        urls.push(url);
        return new Response(url.includes('/config?') ? body : '{}');
      };
      const options = { uri: URI, warehouse: WAREHOUSE, namespace: 'tributary', token: TOKEN, fetch: answer, clock };
      expect(await new RestCatalog(options).namespaceExists()).toBe(true);
      expect(urls[1]).toBe(`${URI}/v1/namespaces/tributary`);
    },
  );

  it.each(['', 'null', '[]', '"ok"', '5', '{"overrides":[]}', '{"defaults":"x"}'])(
    'throws not-a-catalog for the configuration %s',
    async body => {
      const world = new CatalogWorld();
      world.catalog.faults.push({ on: 'config', effect: 'never', answer: { status: 200, body } });
      expect(await failureOf(world.client.namespaceExists())).toMatchObject({
        kind: 'not-a-catalog',
        message: 'catalog config: expected the configuration of a catalog, got another form',
      });
    },
  );

  it('throws not-a-catalog when the configured prefix would change the URL', async () => {
    const world = new CatalogWorld();
    const answer = { status: 200, body: '{"defaults":{},"overrides":{"prefix":"a?b"}}' };
    world.catalog.faults.push({ on: 'config', effect: 'never', answer });
    expect(await failureOf(world.client.namespaceExists())).toMatchObject({ kind: 'not-a-catalog' });
  });
});
