import { describe, expect, it } from 'vitest';
import { ROUTES } from '../../src/api/router.ts';
import { CATALOG_SETTINGS, fakeApi, statusOf, TOKEN } from './fake-sources.ts';

const error = (code: string) => ({ error: { code, message: expect.any(String), hint: expect.any(String) } });

async function errorOf(response: Response): Promise<{ code: string; message: string; hint: string }> {
  return ((await response.json()) as { error: { code: string; message: string; hint: string } }).error;
}

describe('reading', () => {
  it('answers in JSON that is never cached', async () => {
    const response = await fakeApi().fetch('GET', '/v1/sources');
    expect(response.headers.get('content-type')).toMatch(/^application\/json/);
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  it('gives the status of every source', async () => {
    const response = await fakeApi().fetch('GET', '/v1/sources');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ sources: [statusOf('npm'), statusOf('pypi')] });
  });

  it('gives the status of one source, also for an encoded name and a trailing slash', async () => {
    for (const path of ['/v1/sources/pypi', '/v1/sources/p%79pi', '/v1/sources/pypi/']) {
      const response = await fakeApi().fetch('GET', path);
      expect(response.status).toBe(200);
      expect(await response.json()).toEqual(statusOf('pypi'));
    }
  });

  it('gives facts of every table, zeros for one without a source', async () => {
    const response = await fakeApi().fetch('GET', '/v1/tables');
    const some = { rows: 30, files: 3, bytes: 300, last_lsn: 30, known_rows: 2 };
    expect(await response.json()).toEqual({
      tables: [
        { name: 'npm_package', prefix: 'npm/metadata', ...some },
        { name: 'pypi_package', prefix: 'pypi/metadata', ...some },
        { name: 'domain', prefix: 'domain/metadata', rows: 0, files: 0, bytes: 0, last_lsn: 0, known_rows: 0 },
      ],
    });
  });

  it('gives one table with its columns and live files', async () => {
    const response = await fakeApi().fetch('GET', '/v1/tables/npm_package');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      name: 'npm_package',
      prefix: 'npm/metadata',
      rows: 30,
      files: 3,
      bytes: 300,
      last_lsn: 30,
      known_rows: 2,
      columns: [
        { name: 'name', type: 'utf8', required: true, description: 'Its name.', field_id: 1 },
        { name: '_lsn', type: 'int64', required: true, description: 'Its number.', field_id: 2 },
      ],
      live_files: [1, 11, 21].map(first_lsn =>
        expect.objectContaining({ first_lsn, last_lsn: first_lsn + 9, rows: 10, bytes: 100, year: 2026, month: 11 }),
      ),
    });
  });

  it('gives a table without a source, without live files', async () => {
    const response = await fakeApi().fetch('GET', '/v1/tables/domain');
    expect(await response.json()).toMatchObject({ name: 'domain', rows: 0, last_lsn: 0, live_files: [] });
  });

  it('pages through live files', async () => {
    const api = fakeApi();
    const seen: number[] = [];
    for (let after = 0; ; ) {
      const response = await api.fetch('GET', `/v1/tables/npm_package?after=${after}&limit=2`);
      const { live_files } = (await response.json()) as { live_files: { first_lsn: number; last_lsn: number }[] };
      if (live_files.length === 0) break;
      seen.push(...live_files.map(file => file.first_lsn));
      after = live_files.at(-1)?.last_lsn ?? 0;
    }
    expect(seen).toEqual([1, 11, 21]);
  });

  it.each([
    'after=-1',
    'after=1.5',
    'after=x',
    'after=',
    'after=9007199254740993',
    'after=1&after=2',
    'limit=0',
    'limit=1001',
    'limit=1e3',
    'limit=%20',
  ])('refuses ?%s', async query => {
    const response = await fakeApi().fetch('GET', `/v1/tables/npm_package?${query}`);
    expect(response.status).toBe(400);
    const { code, message } = await errorOf(response);
    expect(code).toBe('invalid_setting');
    expect(message).toMatch(new RegExp(`^${query.split('=')[0]}: expected a whole number from `));
  });
});

describe('health', () => {
  it('is 200 when every enabled source is healthy', async () => {
    const response = await fakeApi({ SOURCES: 'npm, pypi' }).fetch('GET', '/healthz');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      ok: true,
      sources: [
        { id: 'npm', state: 'following', reason: null },
        { id: 'pypi', state: 'following', reason: null },
      ],
    });
  });

  it('is 503 with the reason when a source is not', async () => {
    const api = fakeApi({ SOURCES: 'npm,pypi' });
    api.stubs.pypi!.health = async () => ({ id: 'pypi', state: 'stalled', ok: false, reason: 'No page for 20 min.' });
    const response = await api.fetch('GET', '/healthz');
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({
      ok: false,
      sources: [
        { id: 'npm', state: 'following', reason: null },
        { id: 'pypi', state: 'stalled', reason: 'No page for 20 min.' },
      ],
    });
  });

  it('is 503 when an object does not answer, and still shows the others', async () => {
    const api = fakeApi({ SOURCES: 'npm,pypi' });
    api.stubs.npm!.health = async () => {
      throw new Error(`broken with ${TOKEN}`);
    };
    const response = await api.fetch('GET', '/healthz');
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({
      ok: false,
      sources: [
        { id: 'npm', state: null, reason: 'The source did not answer.' },
        { id: 'pypi', state: 'following', reason: null },
      ],
    });
    expect(api.logged).toEqual([{ event: 'health_failed', source: 'npm', message: 'broken with ***' }]);
  });

  it('is 503 with the name of the setting when an object refuses it', async () => {
    const api = fakeApi();
    api.stubs.npm!.health = async () => {
      throw Object.assign(new Error('NPM_START: expected x, got "y"'), { name: 'SettingError' });
    };
    const response = await api.fetch('GET', '/healthz');
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({
      ok: false,
      sources: [{ id: 'npm', state: null, reason: 'NPM_START: expected x, got another value' }],
    });
  });

  it('calls only the enabled sources', async () => {
    const api = fakeApi({ SOURCES: 'pypi' });
    const response = await api.fetch('GET', '/healthz');
    expect(await response.json()).toMatchObject({ sources: [{ id: 'pypi' }] });
  });

  it('names a wrong setting', async () => {
    const response = await fakeApi({ SOURCES: 'npm,crates' }).fetch('GET', '/healthz');
    expect(response.status).toBe(400);
    const { code, message } = await errorOf(response);
    expect(code).toBe('invalid_setting');
    expect(message).toBe('SOURCES: expected ids out of npm, pypi, got another value');
  });
});

describe('the table of routes', () => {
  it.each(ROUTES)('%s %s is %s', async (method, path, access) => {
    const api = fakeApi(CATALOG_SETTINGS);
    const url = path.replace(':id', 'npm').replace(':key', 'a').replace(':table', 'npm_package');
    const { status } = await api.fetch(method, url);
    expect(status === 401).toBe(access === 'token');
    expect(api.calls).toEqual([]);
  });
});

describe('controls', () => {
  it.each(['start', 'pause', 'flush'])('%s answers with its result', async action => {
    const api = fakeApi();
    const response = await api.fetch('POST', `/v1/sources/npm/${action}`, { token: TOKEN });
    expect(response.status).toBe(200);
    const state = action === 'pause' ? 'paused' : 'catching-up';
    expect(await response.json()).toEqual({ source: 'npm', action, changed: true, state });
    expect(api.calls).toEqual([`npm ${action}`]);
  });

  it.each(['', ' \n', '{}', ' { } '])('take the body %j', async body => {
    const response = await fakeApi().fetch('POST', '/v1/sources/npm/start', { token: TOKEN, body });
    expect(response.status).toBe(200);
  });

  it.each(['null', '[]', '"start"', '1', '{', 'start', '{"force":true}'])('refuse the body %j', async body => {
    const api = fakeApi();
    const response = await api.fetch('POST', '/v1/sources/npm/start', { token: TOKEN, body });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual(error('invalid_body'));
    expect(api.calls).toEqual([]);
  });

  it.each([undefined, '', 'wrong', `${TOKEN} `.repeat(2), TOKEN.slice(0, -1), TOKEN.toUpperCase(), 'Bearer'])(
    'refuse the token %j',
    async token => {
      const api = fakeApi();
      const response = await api.fetch('POST', '/v1/sources/npm/start', token === undefined ? {} : { token });
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
      expect(await response.json()).toEqual(error('unauthorized'));
      expect(api.calls).toEqual([]);
    },
  );

  it.each([TOKEN, `Basic ${TOKEN}`, `Token ${TOKEN}`])('refuse the header %j', async authorization => {
    const { env, known } = fakeApi();
    const { createApi } = await import('../../src/api/router.ts');
    const request = new Request('http://lake.test/v1/sources/npm/start', {
      method: 'POST',
      headers: { authorization },
    });
    expect((await createApi(known).fetch(request, env)).status).toBe(401);
  });

  it('are refused with any token when the worker has none, with a hint', async () => {
    for (const settings of [{ ADMIN_TOKEN: undefined }, { ADMIN_TOKEN: '' }]) {
      for (const token of ['', 'undefined', 'null', TOKEN]) {
        const response = await fakeApi(settings).fetch('POST', '/v1/sources/npm/start', { token });
        expect(response.status).toBe(401);
        expect((await errorOf(response)).hint).toMatch(/ADMIN_TOKEN/);
      }
    }
  });

  it('check the token before they look up the source', async () => {
    expect((await fakeApi().fetch('POST', '/v1/sources/nothing/start')).status).toBe(401);
  });
});

describe('errors', () => {
  it.each([
    ['GET', '/v1/sources/crates'],
    ['GET', '/v1/sources/NPM'],
    ['GET', '/v1/sources/__proto__'],
    ['GET', '/v1/sources/%E0%A4%A'],
    ['POST', '/v1/sources/crates/start'],
  ])('%s %s is not found, and the hint names the sources', async (method, path) => {
    const response = await fakeApi().fetch(method, path, { token: TOKEN });
    expect(response.status).toBe(404);
    expect(await errorOf(response)).toMatchObject({ code: 'not_found', hint: 'Known sources: npm, pypi.' });
  });

  it('an unknown table is not found, and the hint names the tables', async () => {
    const response = await fakeApi().fetch('GET', '/v1/tables/nothing');
    expect(response.status).toBe(404);
    expect(await errorOf(response)).toMatchObject({
      code: 'not_found',
      hint: 'Known tables: npm_package, pypi_package, domain.',
    });
  });

  it.each([
    ['GET', '/'],
    ['GET', '/v1'],
    ['GET', '/v1/source'],
    ['GET', '/healthz/npm'],
    ['POST', '/v1/sources/npm/stop'],
    ['DELETE', '/v1/nothing'],
    ['GET', '/v1/tables/npm_package/files'],
  ])('%s %s is not found', async (method, path) => {
    const response = await fakeApi().fetch(method, path, { token: TOKEN });
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual(error('not_found'));
  });

  it.each([
    ['POST', '/healthz', 'GET'],
    ['DELETE', '/v1/sources', 'GET'],
    ['PUT', '/v1/sources/npm', 'GET'],
    ['GET', '/v1/sources/npm/start', 'POST'],
    ['PATCH', '/v1/sources/npm/flush', 'POST'],
    ['POST', '/v1/tables', 'GET'],
    ['OPTIONS', '/v1/tables/npm_package', 'GET'],
  ])('%s %s is not allowed, only %s', async (method, path, allowed) => {
    const response = await fakeApi().fetch(method, path, { token: TOKEN });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe(allowed);
    expect(await response.json()).toEqual(error('method_not_allowed'));
  });

  it('an error of an object is internal: it is logged, and the answer does not show it', async () => {
    const api = fakeApi();
    api.stubs.npm!.status = async () => {
      throw new Error(`broken: token ${TOKEN}`);
    };
    const response = await api.fetch('GET', '/v1/sources/npm');
    expect(response.status).toBe(500);
    const text = await response.text();
    expect(JSON.parse(text)).toEqual(error('internal'));
    expect(text).not.toContain('broken');
    const line = { event: 'request_failed', method: 'GET', path: '/v1/sources/:id', status: 500 };
    expect(api.logged).toEqual([{ ...line, message: 'broken: token ***' }]);
  });

  it.each([
    ['by its name', Object.assign(new Error('NPM_START: expected x, got "y"'), { name: 'SettingError' })],
    ['by its message', new Error('SettingError: NPM_START: expected x, got "y"')],
  ])('a wrong setting that an object reports is answered: %s', async (_, thrown) => {
    const api = fakeApi();
    api.stubs.npm!.control = async () => {
      throw thrown;
    };
    const response = await api.fetch('POST', '/v1/sources/npm/start', { token: TOKEN });
    expect(response.status).toBe(400);
    expect(await errorOf(response)).toMatchObject({
      code: 'invalid_setting',
      message: 'NPM_START: expected x, got "y"',
    });
    expect(api.logged).toEqual([]);
  });

  it('a wrong setting refuses controls too; the answer shows its value unless it is a secret', async () => {
    const wrong = await fakeApi({ FLUSH_AGE_MS: 'soon' }).fetch('POST', '/v1/sources/npm/start', { token: TOKEN });
    expect(wrong.status).toBe(400);
    expect((await errorOf(wrong)).message).toMatch(/^FLUSH_AGE_MS: expected a whole number .*"soon"$/);
    const secret = 's'.repeat(501);
    const hidden = await fakeApi({ ADMIN_TOKEN: secret }).fetch('POST', '/v1/sources/npm/start', { token: TOKEN });
    expect(await hidden.text()).not.toContain(secret);
  });
});
