import { describe, expect, it } from 'vitest';
import { fakeApi, TOKEN } from './fake-sources.ts';

async function post(path: string, body: unknown, { token = TOKEN, api = fakeApi() } = {}): Promise<Response> {
  return api.fetch('POST', path, { token, body: typeof body === 'string' ? body : JSON.stringify(body) });
}

describe('an audit', () => {
  it('is shown without the token', async () => {
    const response = await fakeApi().fetch('GET', '/v1/sources/npm/audit');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ source: 'npm', running: null, last: null, self_check: null });
  });

  it.each([
    ['', 'npm sweep 1'],
    [{}, 'npm sweep 1'],
    [{ sample: 1 }, 'npm sweep 1'],
    [{ sample: 0.01 }, 'npm sweep 0.01'],
    [{ sample: 0.5, self_check: false }, 'npm sweep 0.5'],
    [{ self_check: true }, 'npm self-check'],
  ])('is started by %j', async (body, call) => {
    const api = fakeApi();
    const response = await post('/v1/sources/npm/audit', body, { api });
    expect(response.status).toBe(200);
    const action = call.endsWith('self-check') ? 'self-check' : 'audit';
    expect(await response.json()).toEqual({ source: 'npm', action, changed: true, state: 'following' });
    expect(api.calls).toEqual([call]);
  });

  it('of an upstream that does not list its keys is a conflict', async () => {
    const response = await post('/v1/sources/pypi/audit', {});
    expect(response.status).toBe(409);
    expect(await response.json()).toMatchObject({
      error: { code: 'conflict', hint: expect.stringMatching('self_check') },
    });
    expect((await post('/v1/sources/pypi/audit', { self_check: true })).status).toBe(200);
  });

  it.each([
    ['[]', 'body'],
    ['{', 'body'],
    ['1', 'body'],
    [{ share: 0.1 }, 'body'],
    [{ sample: 0 }, 'sample'],
    [{ sample: -1 }, 'sample'],
    [{ sample: 2 }, 'sample'],
    [{ sample: 'x' }, 'sample'],
    [{ sample: '0.5' }, 'sample'],
    [{ sample: null }, 'sample'],
    ['{"sample": 1e-999}', 'sample'],
    [{ sample: [0.5] }, 'sample'],
    [{ self_check: 1 }, 'self_check'],
    [{ self_check: 'true' }, 'self_check'],
    [{ self_check: null }, 'self_check'],
    [{ self_check: true, sample: 0.5 }, 'sample'],
  ])('with the body %j is refused, and has no effect', async (body, subject) => {
    const api = fakeApi();
    const response = await post('/v1/sources/npm/audit', body, { api });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      error: {
        code: 'invalid_body',
        message: expect.stringMatching(new RegExp(`^${subject}: expected .+, got .+`)),
        hint: expect.stringMatching(/sample/),
      },
    });
    expect(api.calls).toEqual([]);
  });

  it('of an unknown source is not found', async () => {
    expect((await fakeApi().fetch('GET', '/v1/sources/gopher/audit')).status).toBe(404);
    expect((await post('/v1/sources/gopher/audit', {})).status).toBe(404);
  });

  it('needs the token', async () => {
    const api = fakeApi();
    expect((await post('/v1/sources/npm/audit', {}, { token: 'wrong', api })).status).toBe(401);
    expect((await api.fetch('POST', '/v1/sources/npm/audit', { body: '{}' })).status).toBe(401);
    expect(api.calls).toEqual([]);
  });
});
