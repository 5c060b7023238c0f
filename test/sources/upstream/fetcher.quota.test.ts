import { expect, it } from 'vitest';
import type { HostPace, Permit } from '../../../src/ports/hosts.ts';
import { failureOf, fetcherFor, json, NOW, raw, serve } from './fetcher.ts';

const QUOTA = { remaining: 'x-left', reset: 'x-reset', resetIs: 'seconds' } as const;
const PACE: HostPace = { requestsPerSecond: 1, burst: 1, quota: QUOTA };
const permitOf = (host: string): Permit => ({ host, count: 10, startAtMs: 0, intervalMs: 0 });

/** A server whose answers say what is left: the given ones in turn. */
const serveQuota = (answers: { left: string; reset?: string; status?: number }[]) =>
  serve((_request, response, before) => {
    const { left, reset = '60', status = 200 } = answers[before]!;
    response.writeHead(status, { 'x-left': left, 'x-reset': reset }).end('{}');
  });

it('the least that answers say is left is told of a host that declares the headers, whatever their status', async () => {
  const server = await serveQuota([{ left: '9' }, { left: '2', status: 304 }, { left: '5', status: 500 }]);
  const fetcher = fetcherFor(server, { hosts: { [server.host]: PACE } });
  await fetcher.fetchRaw(server.url, raw);
  for (let time = 0; time < 2; time++) await failureOf(fetcher.fetchRaw(server.url, raw));
  expect(fetcher.tallies()).toMatchObject([{ requests: 3, throttled: 0, quota: { remaining: 2, resetMs: 60_000 } }]);
});

it('of a host that declares none, and of an answer that lies, nothing is told', async () => {
  const server = await serveQuota([{ left: '0' }, { left: '0', reset: '-5' }, { left: 'NaN' }]);
  const silent = fetcherFor(server);
  await silent.fetchRaw(server.url, raw);
  expect(silent.tallies()[0]).not.toHaveProperty('quota');
  const lying = fetcherFor(server, { hosts: { [server.host]: PACE } });
  for (let time = 0; time < 2; time++) await lying.fetchRaw(server.url, raw);
  expect(lying.tallies()[0]).not.toHaveProperty('quota');
});

it('a 403 with nothing left counts as throttling until the reset, and any other 403 as a refusal', async () => {
  const server = await serveQuota([
    { left: '0', reset: '90', status: 403 },
    { left: '3', status: 403 },
  ]);
  const fetcher = fetcherFor(server, { hosts: { [server.host]: PACE } });
  expect(await failureOf(fetcher.fetchRaw(server.url, raw))).toMatchObject({
    reason: 'http-403',
    status: 429,
    retryAfterMs: 90_000,
  });
  expect(await failureOf(fetcher.fetchRaw(server.url, raw))).toMatchObject({ status: 403, retryAfterMs: null });
  expect(fetcher.tallies()).toMatchObject([{ throttled: 1, refused: 1, retryAfterMs: 90_000 }]);
});

it('requests take the permits that the source names, and are counted and limited under that name', async () => {
  const server = await serveQuota([{ left: '4' }, { left: '1' }, { left: '7' }]);
  const search = `${server.host}/search`;
  const permits = [permitOf(server.host), permitOf(search), permitOf('documents')];
  const hosts = { [search]: PACE, documents: { requestsPerSecond: 1, burst: 1 } };
  const fetcher = fetcherFor(server, { permits, hosts });
  await fetcher.fetchRaw(server.url, raw);
  await fetcher.fetchJson(server.url, { ...json, permitHost: search });
  await fetcher.fetchDocument(server.url, { subject: 'thing', name: 'a', unread: 'b', permitHost: 'documents' });
  const tallies = new Map(fetcher.tallies().map(({ host, requests, quota }) => [host, { requests, quota }]));
  expect(tallies).toEqual(
    new Map([
      [server.host, { requests: 1, quota: undefined }],
      [search, { requests: 1, quota: { remaining: 1, resetMs: 60_000 } }],
      ['documents', { requests: 1, quota: undefined }],
    ]),
  );
});

it('a request whose name has no permits is not sent, whatever permits its network host has', async () => {
  const server = await serveQuota([{ left: '4' }]);
  const fetcher = fetcherFor(server);
  await expect(fetcher.fetchRaw(server.url, { ...raw, permitHost: 'other' })).rejects.toThrow('a permit for other');
  expect(server.requests).toEqual([]);
});

it('a redirect within a host keeps the name, and one to another host takes a permit of that host', async () => {
  const other = await serve((_request, response) => response.end('{}'));
  const server = await serve((request, response) => {
    const target = request.url === '/again' ? other.url : '/again';
    response.writeHead(302, { location: target }).end();
  });
  const fetcher = fetcherFor(server, { permits: [permitOf('named'), permitOf(other.host)], now: () => NOW - 1 });
  await fetcher.fetchRaw(server.url, { ...raw, permitHost: 'named', redirects: 3 });
  expect(fetcher.tallies().map(({ host, requests }) => [host, requests])).toEqual([
    ['named', 2],
    [other.host, 1],
  ]);
});
