import { describe, expect, it } from 'vitest';
import { Blocked, checkRefusal } from '../../../src/sources/github/rest.ts';

const NOW_MS = Date.parse('2026-11-25T12:00:00Z');
const SECONDARY = 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.';

function refused(status: number, body: unknown, headers: Record<string, string> = {}): unknown {
  const bytes = new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body));
  try {
    checkRefusal(
      { status, bytes, headers: new Headers(headers), contentType: null },
      { subject: 'github repository', nowMs: NOW_MS },
    );
    return null;
  } catch (error) {
    return error;
  }
}

const reset = (seconds: number, remaining = 0) => ({
  'x-ratelimit-remaining': String(remaining),
  'x-ratelimit-reset': String(NOW_MS / 1000 + seconds),
});

describe('a refusal of REST', () => {
  it('with a block is for good, whatever its headers say', () => {
    const block = { reason: 'tos', created_at: '2026-01-01T00:00:00Z' };
    for (const status of [403, 451]) {
      const error = refused(
        status,
        { message: 'Repository access blocked', block },
        { 'retry-after': '7', ...reset(9) },
      );
      expect(error).toBeInstanceOf(Blocked);
      expect(error).toMatchObject({ status, retryAfterMs: null, message: expect.stringContaining('block (tos)') });
    }
    expect(refused(451, 'no JSON')).toBeInstanceOf(Blocked);
    expect(refused(403, { block: { reason: 'x'.repeat(5_000) } })).toMatchObject({ why: 'block' });
  });

  it.each([403, 429])('of a rate limit waits as it says: status %i', status => {
    expect(refused(status, { message: SECONDARY }, { 'retry-after': '7', ...reset(90) })).toMatchObject({
      status: 429,
      retryAfterMs: 7_000,
    });
    expect(refused(status, { message: 'API rate limit exceeded for user ID 1.' }, reset(90))).toMatchObject({
      status: 429,
      retryAfterMs: 91_000,
    });
    expect(refused(status, { message: SECONDARY }, reset(90, 14))).toMatchObject({ status: 429, retryAfterMs: 60_000 });
    expect(refused(status, { message: SECONDARY })).toMatchObject({ status: 429, retryAfterMs: 60_000 });
  });

  it('of any other kind keeps its status', () => {
    expect(refused(403, { message: 'Resource not accessible by personal access token' }, reset(90, 14))).toBeNull();
    expect(refused(403, { message: 'This is not about a secondaryrate' })).toBeNull();
    for (const body of ['', '<html>', 'null', '[]', '{"block":null}', '{"message":{}}'])
      expect(refused(403, body)).toBeNull();
    expect(refused(404, { message: SECONDARY }, reset(0))).toBeNull();
    expect(refused(409, { message: 'Git Repository is empty.' })).toBeNull();
  });

  it('of the token names the setting, and parks nothing', () => {
    expect(refused(401, { message: 'Bad credentials' })).toMatchObject({
      name: 'StepError',
      message: 'github repository: expected GITHUB_TOKEN to be valid, got status 401',
    });
  });
});
