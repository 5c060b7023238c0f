import { describe, expect, it } from 'vitest';
import { FAULTS } from '../../../../src/sources/github/stand-in/refusals.ts';
import { clientOf } from './client.ts';

const ANY = '{ rateLimit { remaining } }';

describe('the limits of the stand-in', () => {
  it('refuses when none is left, until the reset', () => {
    const { world, get, limit } = clientOf();
    world.repository('octo/boat');
    limit('core', { left: 2, resetMs: 60_000, as: 'primary' });
    const path = '/repos/octo/boat';
    expect([get(path), get(path)].map(({ headers }) => headers['x-ratelimit-remaining'])).toEqual(['1', '0']);
    const { status, headers, json } = get(path);
    expect([status, headers['x-ratelimit-remaining']]).toEqual([403, '0']);
    expect(json.message).toContain('API rate limit exceeded');
    expect(Number(headers['x-ratelimit-reset']) * 1000).toBe(world.nowMs + 60_000);
    world.nowMs += 60_000;
    expect(get(path).status).toBe(200);
  });

  it('grants as many again after each reset, where that is asked for', () => {
    const { world, get, limit } = clientOf();
    limit('core', { left: 1, resetMs: 1_000, as: 'primary', repeat: true });
    const statuses = () => [get('/users/a').status, get('/users/a').status];
    expect(statuses()).toEqual([404, 403]);
    world.nowMs += 1_000;
    expect(statuses()).toEqual([404, 403]);
  });

  it.each([true, false])('refuses for a secondary limit while requests are left; retry-after: %s', retryAfter => {
    const { get, limit } = clientOf();
    limit('core', { left: 0, resetMs: 30_000, as: 'secondary', retryAfter });
    const { status, headers, json } = get('/users/a');
    expect(status).toBe(403);
    expect(Number(headers['x-ratelimit-remaining'])).toBeGreaterThan(0);
    expect(headers['retry-after']).toBe(retryAfter ? '30' : undefined);
    expect(json.message).toContain('secondary rate limit');
  });

  it('refuses a GraphQL query with status 200, in two wordings', () => {
    const { query, get, limit } = clientOf();
    limit('graphql', { left: 0, resetMs: 30_000, as: 'primary' });
    const answers = [query(ANY), query(ANY)];
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(answers.map(({ json }) => json.errors[0].type)).toEqual(['RATE_LIMITED', 'RATE_LIMIT']);
    expect(answers[0]!.headers['x-ratelimit-resource']).toBe('graphql');
    expect(get('/users/a').status).toBe(404);
  });

  it('does not count an unchanged answer', () => {
    const { world, get, limit } = clientOf();
    world.account('sam');
    limit('core', { left: 1, resetMs: 30_000, as: 'primary' });
    const { etag } = get('/users/sam').headers;
    expect(get('/users/sam', { 'if-none-match': etag! }).status).toBe(403);
    limit('core', { left: 1, resetMs: 30_000, as: 'primary' });
    expect([1, 2, 3].map(() => get('/users/sam', { 'if-none-match': etag! }).status)).toEqual([304, 304, 304]);
    expect(get('/users/sam').status).toBe(200);
  });
});

describe('a request', () => {
  it('needs a User-Agent, a known token and a known version', () => {
    const { get } = clientOf();
    expect(get('/users/a', { 'user-agent': '' }).status).toBe(403);
    expect(get('/users/a', { authorization: 'Bearer other' })).toMatchObject({
      status: 401,
      json: { message: 'Bad credentials' },
    });
    expect(get('/users/a', { 'x-github-api-version': '2001-01-01' }).status).toBe(400);
  });

  it('with the ETag of another token has the whole answer', () => {
    const { world, get, tokens } = clientOf();
    world.account('sam');
    tokens.add('second');
    const { etag } = get('/users/sam').headers;
    const headers = { authorization: 'Bearer second', 'if-none-match': etag! };
    expect(get('/users/sam', headers).status).toBe(200);
    expect(get('/users/sam', { 'if-none-match': etag! }).status).toBe(304);
  });

  it('has the answer that a test set, by path or by name, and a cut is one of the usual answer', () => {
    const { world, get, fault } = clientOf();
    world.repository('octo/Boat');
    fault('octo/boat', [FAULTS.badGateway, FAULTS.cut]);
    fault('/users/', [FAULTS.timeout], { repeat: true });
    expect(get('/repos/Octo/Boat').status).toBe(502);
    expect(get('/repos/Octo/Boat').status).toBe(200);
    expect([get('/users/a').status, get('/users/b').status]).toEqual([504, 504]);
  });
});
