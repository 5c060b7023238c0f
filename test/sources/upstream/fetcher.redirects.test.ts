import { describe, expect, it } from 'vitest';
import { createFetcher, type FetcherOptions } from '../../../src/sources/upstream/fetcher.ts';
import { failureOf, json, raw, serve } from './fetcher.ts';

const URL_ASKED = 'https://first.example.com/a';

/** A fetcher whose requests `answers` answers by URL, in memory, because tests ask no public host. */
function fetcherOf(answers: Record<string, () => Response>, options: Partial<FetcherOptions> = {}) {
  const asked: { url: string; redirect: string | undefined }[] = [];
  const granted: string[] = [];
  const send = async (url: string, { redirect }: RequestInit) => {
    asked.push({ url, redirect });
    return answers[url]?.() ?? new Response('{}', { headers: { 'content-type': 'application/json' } });
  };
  const fetcher = createFetcher({
    contact: 'tests',
    permits: [{ host: 'first.example.com', count: 1, startAtMs: 0, intervalMs: 0 }],
    deadlineAtMs: Date.now() + 60_000,
    fetch: send as typeof fetch,
    async redirectPermit(host) {
      granted.push(host);
      return { host, count: 1, startAtMs: 0, intervalMs: 0 };
    },
    ...options,
  });
  return { fetcher, asked, granted };
}

const redirectTo =
  (location: string, status = 302) =>
  () =>
    new Response(null, { status, headers: { location } });

describe('a redirect', () => {
  it('is followed by hand, with a permit of its own, and counted for its host', async () => {
    const { fetcher, asked, granted } = fetcherOf({ [URL_ASKED]: redirectTo('https://mirror.example.com/b', 301) });
    await fetcher.fetchJson(URL_ASKED, json);
    expect(asked).toEqual([
      { url: URL_ASKED, redirect: 'manual' },
      { url: 'https://mirror.example.com/b', redirect: 'manual' },
    ]);
    expect(granted).toEqual(['mirror.example.com']);
    const counts = fetcher.tallies().map(({ host, requests, statuses }) => [host, requests, statuses['3xx']]);
    expect(counts).toEqual([
      ['first.example.com', 1, 1],
      ['mirror.example.com', 1, 0],
    ]);
  });

  it('to the same host takes no permit that is meant for another request', async () => {
    const { fetcher, granted } = fetcherOf({ [URL_ASKED]: redirectTo('/b') });
    await fetcher.fetchRaw(URL_ASKED, raw);
    expect(granted).toEqual(['first.example.com']);
  });

  it('is followed at most three times', async () => {
    const { fetcher, asked } = fetcherOf({ [URL_ASKED]: redirectTo(URL_ASKED, 307) });
    const error = await failureOf(fetcher.fetchRaw(URL_ASKED, raw));
    expect(error).toMatchObject({
      reason: 'http-307',
      message: 'thing: expected an answer, got one redirect too many',
    });
    expect(asked).toHaveLength(4);
  });

  it.each([
    'http://first.example.com/a',
    'https://localhost/a',
    'https://169.254.169.254/latest/meta-data',
    'https://user:secret@first.example.com/',
    'ftp://first.example.com/',
    'https://[',
  ])('to %s is refused without a request', async location => {
    const { fetcher, asked } = fetcherOf({ [URL_ASKED]: redirectTo(location) });
    expect(await failureOf(fetcher.fetchRaw(URL_ASKED, raw))).toMatchObject({
      reason: 'http-302',
      message: 'thing: expected a redirect to a public host that the source may ask, got one to another',
    });
    expect(asked).toHaveLength(1);
  });

  it('to a host without a pace is refused without a request', async () => {
    const isPaced = (host: string) => host === 'first.example.com';
    const { fetcher, asked } = fetcherOf({ [URL_ASKED]: redirectTo('https://mirror.example.com/') }, { isPaced });
    expect(await failureOf(fetcher.fetchRaw(URL_ASKED, raw))).toMatchObject({ reason: 'http-302' });
    expect(asked).toHaveLength(1);
  });

  it('of a local upstream may lead to a local host', async () => {
    const target = await serve((_, response) => void response.end('{}'));
    const server = await serve((_, response) => void response.writeHead(302, { location: `${target.url}/b` }).end());
    const permits = [{ host: server.host, count: 1, startAtMs: 0, intervalMs: 0 }];
    const redirectPermit = async (host: string) => ({ host, count: 1, startAtMs: 0, intervalMs: 0 });
    const fetcher = createFetcher({ contact: 'tests', permits, redirectPermit, deadlineAtMs: Date.now() + 60_000 });
    await fetcher.fetchJson(`${server.url}/a`, json);
    expect(target.requests.map(({ url }) => url)).toEqual(['/b']);
  });
});
