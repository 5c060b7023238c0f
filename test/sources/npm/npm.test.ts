import { describe, expect, it } from 'vitest';
import { SettingError } from '../../../src/errors.ts';
import { type NpmSettings, npm } from '../../../src/sources/npm/npm.ts';
import { runStep } from '../step.ts';
import { settingsFor, startAnswering, startStandIn } from './upstream.ts';

describe('settings', () => {
  const registry = { NPM_REGISTRY_URL: 'http://127.0.0.1:1/' };

  it('have defaults, except the registry, which is required', () => {
    expect(npm.settings(registry)).toEqual({
      feedUrl: expect.stringMatching(/^https:.*\/registry$/),
      registryUrl: 'http://127.0.0.1:1',
      downloadsUrl: expect.stringMatching(/^https:.*[^/]$/),
      start: 'head',
      requestsPerSecond: 5,
      pollMs: 15_000,
      pageChanges: 1000,
      settleMs: 10_000,
    });
    expect(() => npm.settings({})).toThrow(SettingError);
    expect(() => npm.settings({})).toThrow(/^NPM_REGISTRY_URL: expected .*npm client's configuration, got null$/);
  });

  it('may be text, a fraction for the pace, and a sequence for the start', () => {
    const env = { ...registry, NPM_REQUESTS_PER_SECOND: '0.5', NPM_PAGE_CHANGES: '9001', NPM_START: '007' };
    expect(npm.settings(env)).toMatchObject({ requestsPerSecond: 0.5, pageChanges: 9001, start: '7' });
  });

  it.each([
    ['NPM_REQUESTS_PER_SECOND', '0'],
    ['NPM_REQUESTS_PER_SECOND', '1001'],
    ['NPM_PAGE_CHANGES', '0'],
    ['NPM_PAGE_CHANGES', '10000'],
    ['NPM_START', 'now'],
    ['NPM_START', '-1'],
    ['NPM_POLL_MS', '1.5'],
    ['NPM_FEED_URL', 'ftp://feed.example'],
  ])('refuse %s=%s', (name, value) => {
    expect(() => npm.settings({ ...registry, [name]: value })).toThrow(new RegExp(`^${name}: expected `));
  });

  it('set the pace of the three hosts, and of one host that serves all three', () => {
    const env = { ...registry, NPM_REQUESTS_PER_SECOND: 9.5 };
    const three = npm.settings(env);
    expect(npm.pace(three)).toEqual({
      pollMs: 15_000,
      settleMs: 10_000,
      hosts: {
        [new URL(three.feedUrl).host]: { requestsPerSecond: 9.5, burst: 10 },
        '127.0.0.1:1': { requestsPerSecond: 9.5, burst: 10 },
        [new URL(three.downloadsUrl).host]: { requestsPerSecond: 2, burst: 1 },
      },
      others: { requestsPerSecond: 1, burst: 1 },
    });
    const one = settingsFor('http://127.0.0.1:2', { NPM_REQUESTS_PER_SECOND: 1000 });
    expect(npm.pace(one).hosts).toEqual({ '127.0.0.1:2': { requestsPerSecond: 1000, burst: 1000 } });
  });
});

describe('the start', () => {
  const start = async (settings: NpmSettings) =>
    (await runStep(npm, { settings, step: 'pull' }, ctx => npm.feed!.start(ctx))).value;

  it('is a little before the head, or at the sequence of the setting', async () => {
    const { standIn, settings } = await startStandIn();
    expect(await start(settings)).toBe(String(standIn.updateSeq() - 10));
    expect(await start({ ...settings, start: '5' })).toBe('5');
    expect(standIn.requests.total).toBe(1);
  });

  it('is never below zero', async () => {
    const { settings } = await startAnswering({ '/': { update_seq: 4 } });
    expect(await start(settings)).toBe('0');
  });

  it('needs a head', async () => {
    const { settings } = await startAnswering({ '/': { update_seq: '4-abc' } });
    await expect(start(settings)).rejects.toThrow('npm head: expected update_seq to be a number, got text');
  });
});
