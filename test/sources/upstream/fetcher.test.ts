import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { failureOf, fetcherFor, json, raw, serve } from './fetcher.ts';

const NO_STATUS = { '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0, none: 0 };

describe('an answer', () => {
  it('has the bytes as received, the etag, and for JSON the value that the shape read', async () => {
    const body = '\ufeff{"b":1, "a":"ä"}\n';
    const server = await serve((_request, response) => response.writeHead(200, { etag: '"7"' }).end(body));
    const { fetchRaw, fetchJson } = fetcherFor(server);
    const fetched = await fetchRaw(server.url, raw);
    const bytes = new TextEncoder().encode(body);
    expect(fetched).toEqual({ bytes, etag: '"7"', freshMs: null, value: bytes });
    const read = await fetchJson(server.url, { subject: 'thing', shape: z.looseObject({ a: z.string() }) });
    expect(read.json).toEqual({ b: 1, a: 'ä' });
    expect(read.bytes).toEqual(fetched.bytes);
  });

  it('is requested with a contact, and not from a cache', async () => {
    const server = await serve((_request, response) => response.end('{}'));
    await fetcherFor(server, { contact: 'https://example.com/über' }).fetchJson(server.url, json);
    expect(server.requests[0]?.headers).toMatchObject({
      'user-agent': expect.stringMatching(/^Tributary\/\d+\.\d+\.\d+ \(\+https:\/\/example\.com\/\?ber\)$/),
      'cache-control': 'no-cache',
      accept: 'application/json',
    });
  });

  it('that came compressed is decoded', async () => {
    const server = await serve((_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{"a":1}')),
    );
    expect((await fetcherFor(server).fetchJson(server.url, json)).json).toEqual({ a: 1 });
  });
});

describe('a status', () => {
  it.each([304, 400, 404, 410, 500, 502])('%i is the reason, and the request is not repeated', async status => {
    const server = await serve((_request, response) => response.writeHead(status).end());
    const fetcher = fetcherFor(server);
    const error = await failureOf(fetcher.fetchRaw(server.url, raw));
    expect(error).toMatchObject({ reason: `http-${status}`, status, retryAfterMs: null });
    expect(error.message).toBe(`thing: expected status 200, got ${status}`);
    expect(server.requests).toHaveLength(1);
    expect(fetcher.tallies()).toEqual([
      {
        host: server.host,
        requests: 1,
        statuses: { ...NO_STATUS, [`${String(status)[0]}xx`]: 1 },
        notModified: status === 304 ? 1 : 0,
        throttled: 0,
        errors: status >= 500 ? 1 : 0,
        refused: 0,
        retryAfterMs: null,
      },
    ]);
  });

  it('429, and 503 with a time to wait, are counted as throttling with the longest wait', async () => {
    const answers: [number, string | null][] = [
      [429, '0'],
      [429, '3600'],
      [503, '60'],
      [503, null],
    ];
    const server = await serve((_request, response, before) => {
      const [status, wait] = answers[before]!;
      response.writeHead(status, wait === null ? {} : { 'retry-after': wait }).end();
    });
    const fetcher = fetcherFor(server);
    const waits = [];
    for (const _ of answers) waits.push((await failureOf(fetcher.fetchRaw(server.url, raw))).retryAfterMs);
    expect(waits).toEqual([0, 3_600_000, 60_000, null]);
    expect(fetcher.tallies()).toEqual([
      {
        host: server.host,
        requests: 4,
        statuses: { ...NO_STATUS, '4xx': 2, '5xx': 2 },
        notModified: 0,
        throttled: 3,
        errors: 1,
        refused: 0,
        retryAfterMs: 3_600_000,
      },
    ]);
  });
});

describe('JSON', () => {
  it.each<[string, string | Buffer, string | null, string]>([
    ['markup', '<!doctype html><p>{}</p>', 'text/html', 'not-json'],
    ['markup that claims to be JSON', ' <html></html>', 'application/json', 'not-json'],
    ['other text', 'Service is down', 'text/plain', 'not-json'],
    ['text that only begins like JSON', '{"a":1', 'text/plain', 'malformed-json'],
    ['half a document of the declared length', '{"a":[1,', 'application/json', 'malformed-json'],
    ['nothing', '', 'application/json', 'malformed-json'],
    ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'application/json', 'malformed-json'],
  ])('that is %s', async (_name, body, type, reason) => {
    const server = await serve((_request, response) =>
      response.writeHead(200, type ? { 'content-type': type } : {}).end(body),
    );
    const error = await failureOf(fetcherFor(server).fetchJson(server.url, json));
    expect(error.reason).toBe(reason);
    expect(error.message).toMatch(/^thing: expected JSON, got /);
    expect(error.message).not.toContain('Service is down');
    expect(server.requests).toHaveLength(1);
  });

  it('of another shape is refused with the path, the expected kind and the actual kind', async () => {
    const server = await serve((_request, response) =>
      response.end('{"results":[{"seq":1},{"seq":"secret"}],"by":{"a b":5}}'),
    );
    const { fetchJson } = fetcherFor(server);
    const failure = async (shape: z.ZodType) => failureOf(fetchJson(server.url, { subject: 'thing', shape }));
    const seqs = z.object({ results: z.array(z.object({ seq: z.int() })) });
    expect(await failure(seqs)).toMatchObject({
      reason: 'wrong-shape',
      message: 'thing: expected results[1].seq to be a number, got text',
    });
    expect((await failure(z.object({ results: z.string() }))).message).toBe(
      'thing: expected results to be text, got a list',
    );
    expect((await failure(z.object({ rows: z.string() }))).message).toBe(
      'thing: expected rows to be text, got nothing',
    );
    expect((await failure(z.array(z.string()))).message).toBe('thing: expected the answer to be a list, got an object');
    const own = z.object({
      by: z.record(
        z.string(),
        z.custom(() => false, 'an object'),
      ),
    });
    expect((await failure(own)).message).toBe('thing: expected by[…] to be an object, got a number');
  });
});
