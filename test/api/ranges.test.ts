import { describe, expect, it } from 'vitest';
import { fakeApi, rangeOf, TOKEN } from './fake-sources.ts';

const post = (api: ReturnType<typeof fakeApi>, path: string, body?: unknown) =>
  api.fetch('POST', path, { token: TOKEN, ...(body !== undefined && { body: JSON.stringify(body) }) });

describe('a range', () => {
  it('is started, and its answer shows bounds and rate', async () => {
    const api = fakeApi();
    const response = await post(api, '/v1/sources/npm/backfill', { from: '10', to: '20', rate: 2.5 });
    expect(await response.json()).toEqual({
      source: 'npm',
      lane: 'backfill',
      action: 'start',
      changed: true,
      range: rangeOf('npm', 'backfill'),
    });
    await post(api, '/v1/sources/npm/rewind', { to: '10' });
    expect(api.calls).toEqual([
      'npm backfill {"from":"10","to":"20","rate":2.5}',
      'npm rewind {"to":"10","rate":null}',
    ]);
  });

  it('is shown, paused, resumed and cancelled', async () => {
    const api = fakeApi();
    expect(await (await api.fetch('GET', '/v1/sources/npm/backfill')).json()).toEqual(rangeOf('npm', 'backfill'));
    expect((await api.fetch('GET', '/v1/sources/npm/rewind')).status).toBe(404);
    for (const action of ['pause', 'resume', 'cancel']) {
      const answer = await (await post(api, `/v1/sources/npm/backfill/${action}`)).json();
      expect(answer).toMatchObject({ action, changed: true });
    }
    expect(api.calls).toEqual(['npm backfill pause', 'npm backfill resume', 'npm backfill cancel']);
  });

  it('that the object refuses is an error with the object’s code and hint', async () => {
    const response = await post(fakeApi(), '/v1/sources/npm/rewind', { to: '0' });
    expect(response.status).toBe(409);
    expect(await response.json()).toMatchObject({ error: { code: 'conflict', hint: 'Wait.' } });
  });

  it.each([
    ['backfill', { from: '10' }],
    ['backfill', { to: '10' }],
    ['backfill', { from: 10, to: '20' }],
    ['backfill', { from: '10', to: '20', rate: 0 }],
    ['backfill', { from: '10', to: '20', rate: '2' }],
    ['backfill', { from: '10', to: '20', until: '30' }],
    ['rewind', {}],
    ['rewind', { from: '10', to: '20' }],
    ['rewind', { to: '' }],
    ['rewind', { to: '1'.repeat(1_001) }],
  ])('%s of %j is refused and has no effect', async (lane, body) => {
    const api = fakeApi();
    const response = await post(api, `/v1/sources/npm/${lane}`, body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: 'invalid_body', hint: expect.any(String) } });
    expect(api.calls).toEqual([]);
  });

  it('needs the token, and a known source', async () => {
    const api = fakeApi();
    for (const path of ['backfill', 'rewind', 'backfill/pause', 'rewind/cancel'])
      expect((await api.fetch('POST', `/v1/sources/npm/${path}`, { body: '{"to":"1"}' })).status).toBe(401);
    expect((await post(api, '/v1/sources/gopher/rewind', { to: '1' })).status).toBe(404);
    expect(api.calls).toEqual([]);
  });
});
