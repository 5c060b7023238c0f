import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/config.ts';
import type { StreamOptions } from '../../../src/sources/source.ts';
import type { Fetcher } from '../../../src/sources/upstream/fetcher.ts';
import { cut, failureOf, fetcherFor, manualTimer, serve } from './fetcher.ts';

const thing = { subject: 'thing' };

async function read(fetcher: Fetcher, url: string, options: StreamOptions = thing): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of fetcher.fetchStream(url, options)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('a streamed body', () => {
  it('comes chunk by chunk, before its end is there', async () => {
    const end = Promise.withResolvers<void>();
    const server = await serve((_request, response) => {
      response.writeHead(200).write('first');
      void end.promise.then(() => response.end('last'));
    });
    const chunks = fetcherFor(server).fetchStream(server.url, thing)[Symbol.asyncIterator]();
    expect(Buffer.from((await chunks.next()).value).toString()).toBe('first');
    end.resolve();
    expect(Buffer.from((await chunks.next()).value).toString()).toBe('last');
    expect((await chunks.next()).done).toBe(true);
  });

  it('is decoded, and asked for with the headers of the source and a contact', async () => {
    const server = await serve((_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('keys')),
    );
    expect(await read(fetcherFor(server), server.url, { ...thing, headers: { accept: 'text/x-keys' } })).toBe('keys');
    expect(server.requests[0]!.headers).toMatchObject({
      accept: 'text/x-keys',
      'user-agent': expect.stringMatching(/^Tributary/),
    });
  });

  it.each(['declared', 'chunked'])('that is too large (%s) is refused while it is read', async how => {
    const body = 'x'.repeat(2000);
    const server = await serve((_request, response) => {
      response.on('error', () => {});
      response.writeHead(200, how === 'declared' ? { 'content-length': body.length } : {}).end(body);
    });
    expect(LIMITS.listingBytesMax).toBe(64 * 1024 * 1024);
    const error = await failureOf(read(fetcherFor(server), server.url, { ...thing, bytesMax: 1999 }));
    expect(error).toMatchObject({ reason: 'too-large', message: 'thing: expected at most 1999 bytes, got more' });
    expect(await read(fetcherFor(server), server.url, { ...thing, bytesMax: 2000 })).toBe(body);
  });

  it('that breaks off is truncated, and not asked for again', async () => {
    const server = await serve((_request, response) => cut(response));
    const fetcher = fetcherFor(server);
    expect(await failureOf(read(fetcher, server.url))).toMatchObject({ reason: 'truncated' });
    expect(server.requests).toHaveLength(1);
    expect(fetcher.tallies()[0]).toMatchObject({ requests: 1, errors: 1 });
  });

  it('that takes too long is a timeout', async () => {
    const { timer, expire, timesMs } = manualTimer();
    const server = await serve((_request, response) => void response.writeHead(200).write('first'));
    const fetcher = fetcherFor(server, { timer, deadlineAtMs: Date.now() + 600_000 });
    const chunks = fetcher.fetchStream(server.url, { ...thing, timeoutMs: 5000 })[Symbol.asyncIterator]();
    await chunks.next();
    expire();
    expect(await failureOf(chunks.next())).toMatchObject({ reason: 'timeout' });
    expect(timesMs[0]).toBe(5000);
  });

  it('whose reader stops is not read to its end', async () => {
    const closed = Promise.withResolvers<void>();
    const server = await serve((_request, response) => {
      response.on('close', () => closed.resolve());
      response.writeHead(200).write('first');
    });
    for await (const _ of fetcherFor(server).fetchStream(server.url, thing)) break;
    await closed.promise;
  });

  it('of another status is refused as any answer is', async () => {
    const server = await serve((_request, response) => response.writeHead(429, { 'retry-after': '7' }).end());
    const fetcher = fetcherFor(server);
    expect(await failureOf(read(fetcher, server.url))).toMatchObject({ status: 429, retryAfterMs: 7000 });
    expect(fetcher.tallies()[0]).toMatchObject({ throttled: 1 });
  });

  it('is read where a redirect leads, with a permit of its own', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/old') response.writeHead(301, { location: '/new' }).end();
      else response.end('moved');
    });
    const asked: string[] = [];
    const redirectPermit = async (host: string) => {
      asked.push(host);
      return { host, count: 1, startAtMs: 0, intervalMs: 0 };
    };
    expect(await read(fetcherFor(server, { redirectPermit }), `${server.url}/old`)).toBe('moved');
    expect(asked).toEqual([server.host]);
    const loop = await serve((_request, response) => response.writeHead(301, { location: '/' }).end());
    const host = { host: loop.host, count: 1, startAtMs: 0, intervalMs: 0 };
    const error = await failureOf(read(fetcherFor(loop, { redirectPermit: async () => host }), loop.url));
    expect(error.message).toBe('thing: expected an answer, got one redirect too many');
    expect(loop.requests).toHaveLength(4);
  });
});
