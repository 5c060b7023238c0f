import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/config.ts';
import { StepError } from '../../../src/errors.ts';
import type { Upload } from '../../../src/sources/upstream/body.ts';
import { LargeDocument } from '../../../src/sources/upstream/fetcher.ts';
import { Unread } from '../../../src/sources/upstream/json.ts';
import { failureOf, fetcherFor, json, NOW, raw, serve } from './fetcher.ts';

const MiB = 1024 * 1024;
const PART = LIMITS.documentPartBytes;
const document = { subject: 'thing', name: 'a/b', unread: 'versions' };

/** JSON text of exactly so many bytes. */
function jsonOf(bytes: number): Buffer {
  const text = Buffer.alloc(bytes, ' ');
  text.write('{"versions":{"1":{"a":1}}');
  text.write('}', bytes - 1);
  return text;
}

/** Sends a body with or without its length, compressed or as it is. */
function send(response: ServerResponse, body: Buffer, how = 'declared'): void {
  // A body that is refused on its way is cut off.
  response.on('error', () => {});
  if (how === 'compressed') response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(body, { level: 1 }));
  else if (how === 'declared') response.writeHead(200, { 'content-length': body.length }).end(body);
  else response.writeHead(200, { 'transfer-encoding': 'chunked' }).end(body);
}

/** A place for documents that keeps what it is told to. */
function memoryStore(failing: Partial<Upload> = {}) {
  const log: string[] = [];
  const parts: Buffer[] = [];
  const openUpload = async (name: string): Promise<Upload> => {
    log.push(`open ${name}`);
    return {
      // Copied, since the bytes are used again.
      part: async bytes => void parts.push(Buffer.from(bytes)),
      complete: async () => {
        log.push('complete');
        return 'put';
      },
      abort: async () => void log.push('abort'),
      ...failing,
    };
  };
  return { openUpload, log, parts, sizes: () => parts.map(part => part.length) };
}

const WAYS = ['declared', 'not declared', 'compressed'];

describe('a document over 4 MiB', () => {
  it.each(WAYS)('of a length that is %s is handed back by a call that may not load such', async how => {
    const server = await serve((_request, response) => send(response, jsonOf(LIMITS.documentBytesLarge + 1), how));
    const fetcher = fetcherFor(server, { large: false });
    await expect(fetcher.fetchDocument(server.url, document)).rejects.toBeInstanceOf(LargeDocument);
    expect(server.requests).toHaveLength(1);
  });

  it.each(WAYS)('of a length that is %s comes with its parts unread', async how => {
    const body = jsonOf(LIMITS.documentBytesLarge + 1);
    const server = await serve((_request, response) => send(response, body, how));
    const { json: read, bytes } = await fetcherFor(server).fetchDocument(server.url, document);
    const part = (read as { versions: Record<string, Unread> }).versions['1'];
    expect(part).toBeInstanceOf(Unread);
    expect(part?.read()).toEqual({ a: 1 });
    expect(body.equals(bytes)).toBe(true);
  });

  it('and not a byte more is read whole by any call', async () => {
    const server = await serve((_request, response) => send(response, jsonOf(LIMITS.documentBytesLarge)));
    const { json: read } = await fetcherFor(server, { large: false }).fetchDocument(server.url, document);
    expect(read).toEqual({ versions: { 1: { a: 1 } } });
  });

  it('that only looks whole is asked for again', async () => {
    const body = gzipSync(jsonOf(5 * MiB), { level: 0 });
    const server = await serve((_request, response, before) => {
      const sent = before === 0 ? body.subarray(0, body.length - 1000) : body;
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': sent.length }).end(sent);
    });
    expect((await fetcherFor(server).fetchDocument(server.url, document)).bytes).toHaveLength(5 * MiB);
    expect(server.requests).toHaveLength(2);
  });

  it('that is broken at its end is malformed', async () => {
    const body = jsonOf(5 * MiB);
    body.write(',', body.length - 1);
    const server = await serve((_request, response) => send(response, body));
    const error = await failureOf(fetcherFor(server).fetchDocument(server.url, document));
    expect(error).toMatchObject({ reason: 'malformed-json' });
  });
});

describe('a document over 32 MiB', () => {
  it('and not a byte more is parsed', async () => {
    const { openUpload, log } = memoryStore();
    const server = await serve((_request, response) => send(response, jsonOf(LIMITS.documentBytesParsedMax)));
    const { bytes } = await fetcherFor(server, { openUpload }).fetchDocument(server.url, document);
    expect(bytes).toHaveLength(LIMITS.documentBytesParsedMax);
    expect(log).toEqual([]);
  });

  it.each(WAYS)('of a length that is %s is stored in equal parts, and refused', async how => {
    const { openUpload, log, parts, sizes } = memoryStore();
    const body = jsonOf(LIMITS.documentBytesParsedMax + 2 * PART + 1);
    body.write('here', LIMITS.documentBytesParsedMax + PART - 2);
    const server = await serve((_request, response) => send(response, body, how));
    const error = await failureOf(fetcherFor(server, { openUpload }).fetchDocument(server.url, document));
    expect(error).toMatchObject({ reason: 'too-large', message: expect.stringContaining('stored as they are') });
    expect(log).toEqual(['open a/b', 'complete']);
    expect(sizes()).toEqual([...Array.from({ length: 6 }, () => PART), 1]);
    expect(Buffer.concat(parts).equals(body)).toBe(true);
    expect(server.requests).toHaveLength(1);
  });

  it('ends with a whole part where its length is one of parts', async () => {
    const { openUpload, log, sizes } = memoryStore();
    const server = await serve((_request, response) => send(response, jsonOf(LIMITS.documentBytesParsedMax + PART)));
    await failureOf(fetcherFor(server, { openUpload }).fetchDocument(server.url, document));
    expect(log).toEqual(['open a/b', 'complete']);
    expect(sizes()).toEqual(Array.from({ length: 5 }, () => PART));
  });

  it('is handed back by a call that may not load such', async () => {
    const { openUpload, log } = memoryStore();
    const server = await serve((_request, response) => send(response, jsonOf(33 * MiB)));
    const asked = fetcherFor(server, { openUpload, large: false }).fetchDocument(server.url, document);
    await expect(asked).rejects.toBeInstanceOf(LargeDocument);
    expect(log).toEqual([]);
  });

  it.each(['fetchRaw', 'fetchJson', 'fetchDocument'] as const)('is only refused by %s without a place', async way => {
    const { openUpload, log } = memoryStore();
    const server = await serve((_request, response) => send(response, jsonOf(33 * MiB), 'not declared'));
    const { [way]: ask } = fetcherFor(server, way === 'fetchDocument' ? {} : { openUpload });
    const error = await failureOf((ask as typeof fetchAny)(server.url, { ...document, ...json, ...raw }));
    expect(error).toMatchObject({ reason: 'too-large' });
    expect(log).toEqual([]);
  });

  it.each([
    ['begins like markup', '<', 0, 'not-json', []],
    ['ends like a part', ',', 33 * MiB - 1, 'malformed-json', ['open a/b', 'abort']],
  ])('that %s is not stored', async (_name, text, at, reason, expected) => {
    const { openUpload, log } = memoryStore();
    const body = jsonOf(33 * MiB);
    body.write(text, at);
    const server = await serve((_request, response) => send(response, body));
    const error = await failureOf(fetcherFor(server, { openUpload }).fetchDocument(server.url, document));
    expect(error).toMatchObject({ reason });
    expect(log).toEqual(expected);
  });

  it('whose connection breaks is asked for again, and leaves nothing of the first try', async () => {
    const { openUpload, log } = memoryStore();
    const body = jsonOf(33 * MiB);
    const server = await serve((_request, response, before) => {
      if (before > 0) return send(response, body);
      response.writeHead(200, { 'content-length': body.length });
      response.write(body.subarray(0, body.length - 1), () => response.socket?.destroy());
    });
    const error = await failureOf(fetcherFor(server, { openUpload }).fetchDocument(server.url, document));
    expect(error).toMatchObject({ reason: 'too-large' });
    expect(log).toEqual(['open a/b', 'abort', 'open a/b', 'complete']);
  });

  it.each(['part', 'complete'] as const)(
    'whose %s the bucket refuses is a failure of ours, and aborted',
    async step => {
      const refuse = () => Promise.reject(new StepError('bucket-failed', 'bucket upload: refused'));
      const { openUpload, log } = memoryStore({ [step]: refuse });
      const server = await serve((_request, response) => send(response, jsonOf(33 * MiB)));
      const asked = fetcherFor(server, { openUpload }).fetchDocument(server.url, document);
      await expect(asked).rejects.toMatchObject({ name: 'StepError', kind: 'bucket-failed' });
      expect(log).toEqual(['open a/b', 'abort']);
    },
  );

  it('has a time of its own, and is not completed after it', async () => {
    const due: (() => void)[] = [];
    const asked: number[] = [];
    const timer = (ms: number, whenDue: () => void) => {
      asked.push(ms);
      due.push(whenDue);
      return () => {};
    };
    let parts = 0;
    // The time is up while the last part is on its way: all of the body has been read.
    const { openUpload, log } = memoryStore({ part: async () => void (++parts === 5 && due.at(-1)?.()) });
    const server = await serve((_request, response, before) => {
      parts = 0;
      return before > 0 ? response.writeHead(404).end() : send(response, jsonOf(33 * MiB));
    });
    const options = { openUpload, timer, now: () => NOW, deadlineAtMs: NOW + 60_000 };
    expect(await failureOf(fetcherFor(server, options).fetchDocument(server.url, document))).toMatchObject({
      reason: 'http-404',
    });
    expect(asked).toEqual([20_000, 40_000, 20_000]);
    expect(log).toEqual(['open a/b', 'abort']);
  });
});

describe('a document over 256 MiB', () => {
  it('is refused at once where it says so', async () => {
    const { openUpload, log } = memoryStore();
    const server = await serve((_request, response) => {
      response.on('error', () => {});
      response.writeHead(200, { 'content-length': LIMITS.documentBytesStoredMax + 1 }).write('{');
    });
    const error = await failureOf(fetcherFor(server, { openUpload }).fetchDocument(server.url, document));
    expect(error).toMatchObject({ reason: 'too-large', message: expect.stringContaining('more than is stored') });
    expect(log).toEqual([]);
  });

  it('is refused when that many bytes have come, and aborted', async () => {
    let bytes = 0;
    const { openUpload, log } = memoryStore({
      part: async part => {
        bytes += part.length;
      },
    });
    const chunk = Buffer.alloc(4 * MiB, ' ');
    const server = await serve((_request, response) => {
      response.on('error', () => {});
      const more = (): void => {
        if (!response.destroyed) response.write(chunk, more);
      };
      response.write('{', more);
    });
    const error = await failureOf(fetcherFor(server, { openUpload }).fetchDocument(server.url, document));
    expect(error).toMatchObject({ reason: 'too-large', message: expect.stringContaining('more than is stored') });
    expect(log).toEqual(['open a/b', 'abort']);
    expect(bytes).toBeGreaterThan(LIMITS.documentBytesStoredMax - LIMITS.documentBytesParsedMax - PART);
    expect(bytes).toBeLessThanOrEqual(LIMITS.documentBytesStoredMax);
  });
});

declare function fetchAny(url: string, options: object): Promise<unknown>;
