import { expect, it } from 'vitest';
import { createConnections } from '../../../src/sources/upstream/connections.ts';
import { createFetcher } from '../../../src/sources/upstream/fetcher.ts';
import { startLoopback } from './loopback.ts';

it('runs six requests at once, and the others in their order as each ends', async () => {
  const withConnection = createConnections();
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const all = Array.from({ length: 15 }, (_, index) =>
    withConnection(() => {
      begun.push(index);
      return new Promise<number>(resolve => ends.push(() => resolve(index)));
    }),
  );
  for (let ended = 0; ended < 15; ended++) {
    await new Promise(setImmediate);
    expect(begun).toEqual(Array.from({ length: Math.min(15, 6 + ended) }, (_, index) => index));
    ends[ended]!();
  }
  expect(await Promise.all(all)).toEqual(begun);
});

it('gives the connection of a request that fails to the next one', async () => {
  const withConnection = createConnections();
  const failing = Array.from({ length: 20 }, () => withConnection(() => Promise.reject(new Error('no'))));
  for (const one of failing) await expect(one).rejects.toThrow('no');
  expect(await withConnection(async () => 'yes')).toBe('yes');
});

it('a fetcher has six requests under way at most', async () => {
  const underWay = { now: 0, most: 0 };
  const held: (() => void)[] = [];
  const server = await startLoopback((_, response) => {
    underWay.now += 1;
    underWay.most = Math.max(underWay.most, underWay.now);
    held.push(() => {
      underWay.now -= 1;
      response.end('ok');
    });
    // The seventh request would have come with the others.
    if (held.length >= 6) setImmediate(() => held.shift()?.());
  });
  const fetcher = createFetcher({
    contact: 'tests',
    permits: [{ host: server.host, count: 30, startAtMs: 0, intervalMs: 0 }],
    deadlineAtMs: Date.now() + 60_000,
  });
  const all = Array.from({ length: 30 }, () =>
    fetcher.fetchRaw(server.url, { subject: 'it', read: ({ bytes }) => bytes.length }),
  );
  const ended = Promise.all(all);
  // The last five are answered when no other request is left to push them.
  void ended.catch(() => undefined);
  const answered = async () => {
    while (server.requests.length < 30) await new Promise(setImmediate);
    for (const end of held.splice(0)) end();
  };
  await Promise.all([ended, answered()]);
  expect(underWay.most).toBe(6);
  await server.close();
});
