import { describe, expect, it } from 'vitest';
import { failedOf, fakeApi, TOKEN } from './fake-sources.ts';

async function json(response: Response): Promise<Record<string, unknown>> {
  return (await response.json()) as Record<string, unknown>;
}

async function post(path: string, body: unknown, api = fakeApi()): Promise<Response> {
  return api.fetch('POST', path, { token: TOKEN, body: typeof body === 'string' ? body : JSON.stringify(body) });
}

describe('failed changes', () => {
  it('are listed for all sources, in order', async () => {
    const response = await fakeApi().fetch('GET', '/v1/failed');
    expect(response.status).toBe(200);
    const expected = ['npm', 'pypi'].flatMap(source => [3, 5, 8].map(number => failedOf(source, number)));
    expect(await json(response)).toEqual({ failed: expected, next: null });
  });

  it('are listed in pages, each after the last id of the page before', async () => {
    const api = fakeApi();
    const ids: string[] = [];
    let next: string | null = '';
    while (next !== null) {
      const after: string = next && `&after=${next}`;
      const page = await json(await api.fetch('GET', `/v1/failed?limit=2${after}`));
      ids.push(...(page.failed as { id: string }[]).map(({ id }) => id));
      next = page.next as string | null;
    }
    expect(ids).toEqual(['npm-3', 'npm-5', 'npm-8', 'pypi-3', 'pypi-5', 'pypi-8']);
  });

  it('are filtered by source and reason', async () => {
    const response = await fakeApi().fetch('GET', '/v1/failed?source=pypi&reason=timeout');
    expect((await json(response)).failed).toEqual([failedOf('pypi', 5)]);
  });

  it('are shown one by one', async () => {
    const response = await fakeApi().fetch('GET', '/v1/failed/pypi-5');
    expect(await json(response)).toEqual(failedOf('pypi', 5));
  });

  it.each([
    ['/v1/failed?limit=0', 400, 'invalid_body'],
    ['/v1/failed?limit=1001', 400, 'invalid_body'],
    ['/v1/failed?older_than=-1', 400, 'invalid_body'],
    ['/v1/failed?older_than=soon', 400, 'invalid_body'],
    ['/v1/failed?state=alive', 400, 'invalid_body'],
    ['/v1/failed?reasons=timeout', 400, 'invalid_body'],
    ['/v1/failed?source=gopher', 404, 'not_found'],
    ['/v1/failed?after=gopher-1', 404, 'not_found'],
    ['/v1/failed/npm-4', 404, 'not_found'],
    ['/v1/failed/npm', 404, 'not_found'],
    ['/v1/failed/npm-1e3', 404, 'not_found'],
  ])('at %s are refused', async (path, status, code) => {
    const response = await fakeApi().fetch('GET', path);
    expect(response.status).toBe(status);
    expect(await json(response)).toMatchObject({
      error: { code, message: expect.any(String), hint: expect.any(String) },
    });
  });
});

describe('a replay', () => {
  it('of ids calls each source with its own changes', async () => {
    const api = fakeApi();
    const response = await post('/v1/failed/replay', { ids: ['npm-3', 'pypi-5', 'npm-5', 'npm-3'] }, api);
    const replayed = { changes: 2, by_reason: { 'http-404': 2 } };
    expect(await json(response)).toEqual({ dry_run: false, changes: 4, sources: { npm: replayed, pypi: replayed } });
    const query = { state: 'dead', reason: null, olderThanSeconds: null };
    expect(api.calls).toEqual([
      `npm replay ${JSON.stringify({ numbers: [3, 5], query, dryRun: false })}`,
      `pypi replay ${JSON.stringify({ numbers: [5], query, dryRun: false })}`,
    ]);
  });

  it('of a filter calls the sources that the filter names, and a dry run says so', async () => {
    const api = fakeApi();
    const filter = { source: 'pypi', reason: 'http-404', older_than: 60 };
    const response = await post('/v1/failed/replay', { filter, dry_run: true }, api);
    expect(await json(response)).toMatchObject({ dry_run: true, changes: 2 });
    const query = { reason: 'http-404', state: 'dead', olderThanSeconds: 60 };
    expect(api.calls).toEqual([`pypi replay ${JSON.stringify({ numbers: null, query, dryRun: true })}`]);
  });

  it.each([
    ['', 400],
    ['[]', 400],
    ['{', 400],
    [{}, 400],
    [{ ids: [], dry_run: true }, 400],
    [{ ids: ['npm-3'], filter: {} }, 400],
    [{ filter: [] }, 400],
    [{ filter: { name: 'a' } }, 400],
    [{ filter: { source: 3 } }, 400],
    [{ filter: { source: 'gopher' } }, 404],
    [{ ids: ['npm-3'], dry_run: 'yes' }, 400],
    [{ ids: 'npm-3' }, 400],
    [{ ids: ['npm-3', 'npm-4'] }, 404],
    [{ ids: ['gopher-3'] }, 404],
    [{ ids: Array.from({ length: 1_001 }, (_, n) => `npm-${n}`) }, 400],
  ])('of %j is refused and has no effect', async (body, status) => {
    const api = fakeApi();
    expect((await post('/v1/failed/replay', body, api)).status).toBe(status);
    expect(api.calls).toEqual([]);
  });

  it('needs the token', async () => {
    const api = fakeApi();
    for (const path of ['/v1/failed/replay', '/v1/failed/npm-3/dismiss'])
      expect((await api.fetch('POST', path, { body: '{"ids":["npm-3"]}' })).status).toBe(401);
    expect(api.calls).toEqual([]);
  });
});

describe('a dismissal', () => {
  it('needs a reason, and says whether the change was dismissed before', async () => {
    const api = fakeApi();
    const first = await post('/v1/failed/npm-3/dismiss', { reason: 'unpublished' }, api);
    expect(await json(first)).toEqual({ id: 'npm-3', action: 'dismiss', changed: true });
    const again = await post('/v1/failed/npm-8/dismiss', { reason: 'unpublished' }, api);
    expect(await json(again)).toEqual({ id: 'npm-8', action: 'dismiss', changed: false });
    expect(api.calls).toEqual(['npm dismiss 3 unpublished', 'npm dismiss 8 unpublished']);
  });

  it.each([
    ['npm-4', { reason: 'gone' }, 404],
    ['gopher-3', { reason: 'gone' }, 404],
    ['npm-3', {}, 400],
    ['npm-3', { reason: ' ' }, 400],
    ['npm-3', { reason: 'x'.repeat(501) }, 400],
    ['npm-3', { reason: 'gone', force: true }, 400],
  ])('of %s with %j is refused', async (id, body, status) => {
    expect((await post(`/v1/failed/${id}/dismiss`, body)).status).toBe(status);
  });
});
