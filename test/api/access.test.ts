import { describe, expect, it } from 'vitest';
import type { ApiEnv } from '../../src/api/env.ts';
import { createApi, ROUTES } from '../../src/api/router.ts';
import { withoutSecrets } from '../../src/api/token.ts';
import { LIMITS, LOCAL_MARK } from '../../src/config.ts';
import { CATALOG_SETTINGS, fakeApi, TOKEN } from './fake-sources.ts';

const READER = 'only reads, long enough';
const WEAK = 'x'.repeat(LIMITS.tokenLengthMin - 1);
const pathOf = (path: string) => path.replace(':id', 'npm').replace(':key', 'a').replace(':table', 'npm_package');

async function errorOf(response: Response): Promise<{ code: string; message: string; hint: string }> {
  return ((await response.json()) as { error: { code: string; message: string; hint: string } }).error;
}

describe('READ_TOKEN', () => {
  const closed = ROUTES.filter(([, , access]) => access !== 'signed');

  it.each(closed)('%s %s takes the token that it needs: %s', async (method, path, access) => {
    const statusWith = async (token?: string) => {
      const api = fakeApi({ ...CATALOG_SETTINGS, READ_TOKEN: READER });
      return (await api.fetch(method, pathOf(path), token === undefined ? {} : { token })).status;
    };
    expect(await statusWith()).toBe(401);
    expect(await statusWith('another token, also long')).toBe(401);
    expect((await statusWith(READER)) === 401).toBe(access === 'token');
    expect(await statusWith(TOKEN)).not.toBe(401);
  });

  it('that is short closes reading to all but ADMIN_TOKEN, and the hint says why where that is missing', async () => {
    const api = fakeApi({ READ_TOKEN: WEAK });
    expect((await api.fetch('GET', '/v1/sources', { token: WEAK })).status).toBe(401);
    expect((await api.fetch('GET', '/v1/sources', { token: TOKEN })).status).toBe(200);
    const alone = await fakeApi({ READ_TOKEN: WEAK, ADMIN_TOKEN: undefined }).fetch('GET', '/v1/sources');
    expect((await errorOf(alone)).hint).toContain('Set READ_TOKEN of the worker to at least 16 characters');
  });
});

describe('ADMIN_TOKEN of a deployed worker', () => {
  it.each(['local', WEAK])('is refused when it can be guessed: %j', async token => {
    const api = fakeApi({ ADMIN_TOKEN: token });
    const response = await api.fetch('POST', '/v1/sources/npm/start', { token });
    expect(response.status).toBe(401);
    expect((await errorOf(response)).hint).toContain('at least 16 characters');
    expect(api.calls).toEqual([]);
  });

  it('may be short on this machine', async () => {
    const { env, known } = fakeApi({ ADMIN_TOKEN: 'local', [LOCAL_MARK]: 'true' });
    const headers = { authorization: 'Bearer local' };
    const request = new Request('http://127.0.0.1:8787/v1/sources/npm/start', { method: 'POST', headers });
    expect((await createApi(known).fetch(request, env)).status).toBe(200);
  });
});

describe('a worker of this machine', () => {
  const statusOf = async (url: string, host?: string) => {
    const { env, known } = fakeApi({ [LOCAL_MARK]: 'true' });
    const request = new Request(url, host === undefined ? {} : { headers: { host } });
    return (await createApi(known).fetch(request, env)).status;
  };

  it.each([
    'http://localhost:8787',
    'http://127.0.0.1:8787',
    'http://127.1.2.3',
    'http://[::1]:8787',
    'http://a.localhost',
  ])('answers %s', async origin => {
    expect(await statusOf(`${origin}/v1/sources`)).toBe(200);
  });

  it.each([
    ['http://page.example:8787', undefined],
    ['http://127.0.0.1.page.example', undefined],
    ['http://localhost.page.example', undefined],
    ['http://192.168.1.2', undefined],
    ['http://0.0.0.0', undefined],
    ['http://worker', undefined],
    ['http://127.0.0.1:8787', 'page.example'],
    ['http://127.0.0.1:8787', 'page.example:8787'],
    ['http://127.0.0.1:8787', 'not a host'],
    ['http://page.example:8787', '127.0.0.1:8787'],
  ])('refuses %s with the host %s, on every path', async (origin, host) => {
    for (const path of ['/v1/sources', '/healthz', '/nothing']) expect(await statusOf(origin + path, host)).toBe(403);
  });

  it('is the only one that refuses by host', async () => {
    expect((await fakeApi().fetch('GET', '/v1/sources')).status).toBe(200);
  });
});

describe('the value of a wrong setting', () => {
  const wrong = { FLUSH_AGE_MS: 'a private value' };

  it.each(ROUTES.filter(([, , access]) => access === 'open'))('is in no answer to %s %s', async (method, path) => {
    const api = fakeApi({ ...CATALOG_SETTINGS, ...wrong });
    const report = async () => {
      throw new Error('SettingError: FLUSH_AGE_MS: expected a number, got "a private value, got more"');
    };
    for (const stub of Object.values(api.stubs))
      Object.assign(stub, { status: report, health: report, tables: report });
    expect(await (await api.fetch(method, pathOf(path))).text()).not.toContain('private');
  });

  it.each(ROUTES.filter(([, , access]) => access === 'token'))(
    'is not shown without the token by %s %s',
    async (method, path) => {
      const response = await fakeApi(wrong).fetch(method, pathOf(path), { token: 'not the token of it' });
      expect(response.status).toBe(401);
      expect(await response.text()).not.toContain('private');
    },
  );

  it('leaves what is no value: that there is none, or that it is hidden', async () => {
    const api = fakeApi();
    for (const actual of ['null', 'none', '(hidden)']) {
      api.stubs.npm!.status = async () => {
        throw new Error(`SettingError: NPM_X: expected y, got ${actual}`);
      };
      const { message } = await errorOf(await api.fetch('GET', '/v1/sources/npm'));
      expect(message).toBe(`NPM_X: expected y, got ${actual}`);
    }
  });
});

describe('bodies', () => {
  const POSTS = ROUTES.filter(([method, path]) => method === 'POST' && !/keys|records|signals/.test(path));

  it.each(POSTS)('%s %s holds at most the limit in memory', async (method, path) => {
    const { env, known, calls } = fakeApi(CATALOG_SETTINGS);
    let sent = 0;
    // What comes after the limit is no text: decoding it, which only keeping it needs, would be another error.
    const [text, noText] = [0x20, 0xff].map(byte => new Uint8Array(50_000).fill(byte)) as [Uint8Array, Uint8Array];
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += text.length;
        if (sent > 4_000_000) controller.close();
        else controller.enqueue(sent <= 100_000 ? text : noText);
      },
    });
    const headers = { authorization: `Bearer ${TOKEN}` };
    const init = { method, headers, body, duplex: 'half' } as RequestInit;
    const request = new Request(`http://lake.test${pathOf(path)}`, init);
    // Reading it as one text would keep all of it.
    Object.assign(request, { text: () => expect.fail('expected the body to be read in pieces') });
    const response = await createApi(known).fetch(request, env);
    expect(response.status).toBe(413);
    expect((await errorOf(response)).message).toBe('body: expected at most 100000 bytes, got more');
    expect(calls).toEqual([]);
  });
});

describe('masking', () => {
  const mask = (text: string, secrets: Record<string, string>) => withoutSecrets(text, secrets as unknown as ApiEnv);

  it('replaces a short secret where it stands alone, and leaves words that contain it', () => {
    const text = 'the latest test of "test" is fastest; Bearer test, token=test';
    expect(mask(text, { ADMIN_TOKEN: 'test' })).toBe('the latest *** of "***" is fastest; Bearer ***, token=***');
  });

  it('replaces a long secret anywhere', () => {
    expect(mask('xabcdefghijklmnopx', { R2_SQL_TOKEN: 'abcdefghijklmnop' })).toBe('x***x');
  });

  it('replaces the longest first, each once, and takes a secret literally', () => {
    const secrets = { A_TOKEN: 'part', B_SECRET: 'part-of-this-longer-one', C_KEY_ID: '***', D_TOKEN: '' };
    expect(mask('part-of-this-longer-one, part', secrets)).toBe('***, ***');
    expect(mask('a.b(c) axb(c) $& ', { A_TOKEN: 'a.b(c)', B_TOKEN: '$&' })).toBe('*** axb(c) *** ');
  });

  it('leaves settings that are no secrets', () => {
    expect(mask('https://a.test', { NPM_FEED_URL: 'https://a.test', CONTACT: 'a' })).toBe('https://a.test');
  });
});
