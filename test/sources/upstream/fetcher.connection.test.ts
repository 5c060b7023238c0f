import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { StepError } from '../../../src/errors.ts';
import { cut, failureOf, fetcherFor, json, manualTimer, NOW, raw, serve } from './fetcher.ts';
import { startLoopback } from './loopback.ts';

describe('a connection', () => {
  it('that breaks in the body is tried again', async () => {
    const server = await serve((_request, response, before) =>
      before === 0 ? cut(response) : response.end('{"whole":true}'),
    );
    const fetcher = fetcherFor(server);
    expect((await fetcher.fetchJson(server.url, json)).json).toEqual({ whole: true });
    expect(fetcher.tallies()).toMatchObject([{ requests: 2, errors: 1, statuses: { '2xx': 2, none: 0 } }]);
  });

  it('that breaks in every body is truncated after two more tries', async () => {
    const server = await serve((_request, response) => cut(response));
    expect(await failureOf(fetcherFor(server).fetchRaw(server.url, raw))).toMatchObject({
      reason: 'truncated',
      status: null,
    });
    expect(server.requests).toHaveLength(3);
  });

  it('that breaks before an answer is unreachable after two more tries', async () => {
    const server = await serve(request => request.socket.destroy());
    const fetcher = fetcherFor(server);
    expect(await failureOf(fetcher.fetchRaw(server.url, raw))).toMatchObject({ reason: 'unreachable' });
    expect(server.requests).toHaveLength(3);
    expect(fetcher.tallies()).toMatchObject([{ requests: 3, errors: 3, statuses: { '2xx': 0, none: 3 } }]);
  });

  it('that no server accepts is unreachable', async () => {
    const server = await startLoopback(() => {});
    await server.close();
    const error = await failureOf(fetcherFor(server).fetchRaw(server.url, raw));
    expect(error).toMatchObject({ reason: 'unreachable' });
    expect(error.message).toMatch(/^thing: expected an answer, got no connection: .*ECONNREFUSED/);
  });

  it('with a compressed body that ends early under a length that fits is truncated, and tried again', async () => {
    const whole = gzipSync(
      JSON.stringify({ text: 'x'.repeat(50), numbers: Array.from({ length: 2000 }, (_, i) => i) }),
    );
    const server = await serve((_request, response, before) => {
      const body = before < 2 ? whole.subarray(0, whole.length >> 1) : whole;
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': body.length }).end(body);
    });
    const { json: read } = await fetcherFor(server).fetchJson(server.url, json);
    expect(read).toMatchObject({ numbers: expect.any(Array) });
    expect(server.requests).toHaveLength(3);
  });
});

describe('time', () => {
  it('up for a request is a timeout, after two more tries', async () => {
    const clock = manualTimer();
    const server = await serve(() => clock.expire());
    const fetcher = fetcherFor(server, { timer: clock.timer });
    expect(await failureOf(fetcher.fetchRaw(server.url, raw))).toMatchObject({ reason: 'timeout' });
    expect(clock.timesMs).toEqual([20_000, 20_000, 20_000]);
    expect(fetcher.tallies()).toMatchObject([{ requests: 3, errors: 3 }]);
  });

  it('up in the middle of a body is a timeout too', async () => {
    const clock = manualTimer();
    const server = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': 1000 });
      response.write('{', () => clock.expire());
    });
    expect(await failureOf(fetcherFor(server, { timer: clock.timer }).fetchRaw(server.url, raw))).toMatchObject({
      reason: 'timeout',
    });
  });

  it('up for the call is our own deadline, and counts nothing against the upstream', async () => {
    const clock = manualTimer();
    const server = await serve(() => clock.expire());
    const fetcher = fetcherFor(server, { timer: clock.timer, now: () => NOW, deadlineAtMs: NOW + 5_000 });
    await expect(fetcher.fetchRaw(server.url, raw)).rejects.toMatchObject({ name: 'StepError', kind: 'deadline' });
    expect(clock.timesMs).toEqual([5_000]);
    expect(fetcher.tallies()).toMatchObject([{ requests: 1, errors: 0 }]);
  });

  it('up for the call after a broken connection leaves the connection as the reason', async () => {
    let nowMs = NOW;
    const server = await serve((_request, response) => {
      nowMs = NOW + 10_000;
      cut(response);
    });
    // Its own timer would end the try in the same moment as the connection.
    const { timer } = manualTimer();
    const fetcher = fetcherFor(server, { timer, now: () => nowMs, deadlineAtMs: NOW + 5_000 });
    expect(await failureOf(fetcher.fetchRaw(server.url, raw))).toMatchObject({ reason: 'truncated' });
    expect(server.requests).toHaveLength(1);
  });
});

describe('permits', () => {
  it('let each request go in its slot, and a retry in that of its request', async () => {
    let nowMs = NOW;
    const waits: number[] = [];
    const sentAt: number[] = [];
    const server = await serve((_request, response, before) => {
      sentAt.push(nowMs - NOW);
      if (before === 1) cut(response);
      else response.end('{}');
    });
    const fetcher = fetcherFor(server, {
      permits: [
        { host: server.host, count: 2, startAtMs: NOW + 100, intervalMs: 250 },
        { host: server.host, count: 1, startAtMs: NOW + 900, intervalMs: 250 },
      ],
      deadlineAtMs: NOW + 10_000,
      now: () => nowMs,
      sleep: async ms => {
        waits.push(ms);
        nowMs += ms;
      },
    });
    for (let i = 0; i < 3; i++) await fetcher.fetchJson(server.url, json);
    expect(waits).toEqual([100, 250, 550]);
    expect(sentAt).toEqual([100, 350, 350, 900]);
  });

  it('that are used up, or are for another host, are our own fault', async () => {
    const server = await serve((_request, response) => response.end('{}'));
    const permits = [{ host: server.host, count: 1, startAtMs: 0, intervalMs: 0 }];
    const fetcher = fetcherFor(server, { permits });
    await fetcher.fetchJson(server.url, json);
    for (const url of [server.url, 'http://elsewhere.test/']) {
      const error = await fetcher.fetchJson(url, json).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ name: 'Error', message: expect.stringContaining('expected a permit for') });
    }
    expect(server.requests).toHaveLength(1);
    expect(fetcher.tallies()).toMatchObject([{ requests: 1 }]);
  });

  it('whose slot lies past the deadline are not waited for', async () => {
    const server = await serve((_request, response) => response.end('{}'));
    const permits = [{ host: server.host, count: 1, startAtMs: NOW + 5_000, intervalMs: 0 }];
    const sleep = () => Promise.reject(new Error('it waited'));
    const fetcher = fetcherFor(server, { permits, now: () => NOW, sleep, deadlineAtMs: NOW + 5_000 });
    const error = await fetcher.fetchJson(server.url, json).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StepError);
    expect(error).toMatchObject({ kind: 'deadline' });
    expect(server.requests).toHaveLength(0);
  });

  it('are never used twice by requests that wait at the same time', async () => {
    const server = await serve((_request, response) => response.end('{}'));
    const waits: number[] = [];
    const fetcher = fetcherFor(server, {
      permits: [{ host: server.host, count: 5, startAtMs: NOW, intervalMs: 100 }],
      deadlineAtMs: NOW + 10_000,
      now: () => NOW,
      sleep: async ms => void waits.push(ms),
    });
    await Promise.all(Array.from({ length: 5 }, () => fetcher.fetchJson(server.url, json)));
    expect(waits).toEqual([100, 200, 300, 400]);
  });
});
