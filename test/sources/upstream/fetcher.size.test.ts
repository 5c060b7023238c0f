import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../../src/config.ts';
import { StepError } from '../../../src/errors.ts';
import type { Upload } from '../../../src/sources/upstream/body.ts';
import { DOCUMENT_PART_BYTES } from '../../../src/sources/upstream/body.ts';
import { LargeDocument } from '../../../src/sources/upstream/fetcher.ts';
import { Unread } from '../../../src/sources/upstream/json.ts';
import { failureOf, fetcherFor, json, manualTimer, NOW, raw, serve } from './fetcher.ts';

const MiB = 1024 * 1024;
const PART = DOCUMENT_PART_BYTES;
const document = { subject: 'thing', name: 'a/b', unread: 'versions' };

/** JSON text of exactly so many bytes. */
function jsonOf(bytes: number): Buffer {
  const text = Buffer.alloc(bytes, ' ');
  text.write('{"versions":{"1":{"a":1}}');
  text.write('}', bytes - 1);
  return text;
}

/** Sends a body with or without its length, compressed or as it is. */
function send(response: ServerResponse, body: Buffer, encoding = 'declared'): void {
  // A client that refuses a body closes the connection.
  response.on('error', () => {});
  if (encoding === 'compressed')
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(body, { level: 1 }));
  else if (encoding === 'declared') response.writeHead(200, { 'content-length': body.length }).end(body);
  else response.writeHead(200, { 'transfer-encoding': 'chunked' }).end(body);
}

/** Uploads into memory. */
function memoryUploads(failing: Partial<Upload> = {}) {
  const log: string[] = [];
  const parts: Buffer[] = [];
  const openUpload = async (name: string): Promise<Upload> => {
    log.push(`open ${name}`);
    return {
      // Copied, because the fetcher overwrites the bytes.
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

const ENCODINGS = ['declared', 'not declared', 'compressed'];

describe('a document over 4 MiB', () => {
  it.each(ENCODINGS)(
    'of a length that is %s is refused by a call that may not load large documents',
    async encoding => {
      const server = await serve((_request, response) =>
        send(response, jsonOf(LIMITS.documentBytesLarge + 1), encoding),
      );
      const fetcher = fetcherFor(server, { large: false });
      await expect(fetcher.fetchDocument(server.url, document)).rejects.toBeInstanceOf(LargeDocument);
      expect(server.requests).toHaveLength(1);
    },
  );

  it.each(ENCODINGS)('of a length that is %s is returned with its members unread', async encoding => {
    const body = jsonOf(LIMITS.documentBytesLarge + 1);
    const server = await serve((_request, response) => send(response, body, encoding));
    const { json: read, bytes } = await fetcherFor(server).fetchDocument(server.url, document);
    const part = (read as { versions: Record<string, Unread> }).versions['1'];
    expect(part).toBeInstanceOf(Unread);
    expect(part?.read()).toEqual({ a: 1 });
    expect(body.equals(bytes)).toBe(true);
  });

  it('is one byte larger than the largest that any call parses whole', async () => {
    const server = await serve((_request, response) => send(response, jsonOf(LIMITS.documentBytesLarge)));
    const { json: read } = await fetcherFor(server, { large: false }).fetchDocument(server.url, document);
    expect(read).toEqual({ versions: { 1: { a: 1 } } });
  });

  it('that only looks whole is fetched again', async () => {
    const body = gzipSync(jsonOf(5 * MiB), { level: 0 });
    const server = await serve((_request, response, before) => {
      const sent = before === 0 ? body.subarray(0, body.length - 1000) : body;
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': sent.length }).end(sent);
    });
    expect((await fetcherFor(server).fetchDocument(server.url, document)).bytes).toHaveLength(5 * MiB);
    expect(server.requests).toHaveLength(2);
  });

  it('with a syntax error at its end is malformed', async () => {
    const body = jsonOf(5 * MiB);
    body.write(',', body.length - 1);
    const server = await serve((_request, response) => send(response, body));
    const error = await failureOf(fetcherFor(server).fetchDocument(server.url, document));
    expect(error).toMatchObject({ reason: 'malformed-json' });
  });
});

describe('a document over 32 MiB', () => {
  it('is one byte larger than the largest that is parsed', async () => {
    const { openUpload, log } = memoryUploads();
    const server = await serve((_request, response) => send(response, jsonOf(LIMITS.documentBytesParsedMax)));
    const { bytes } = await fetcherFor(server, { openUpload }).fetchDocument(server.url, document);
    expect(bytes).toHaveLength(LIMITS.documentBytesParsedMax);
    expect(log).toEqual([]);
  });

  it.each(ENCODINGS)('of a length that is %s is stored in equal parts, and refused', async encoding => {
    const { openUpload, log, parts, sizes } = memoryUploads();
    const body = jsonOf(LIMITS.documentBytesParsedMax + 2 * PART + 1);
    body.write('here', LIMITS.documentBytesParsedMax + PART - 2);
    const server = await serve((_request, response) => send(response, body, encoding));
    const error = await failureOf(fetcherFor(server, { openUpload }).fetchDocument(server.url, document));
    expect(error).toMatchObject({ reason: 'too-large', message: expect.stringContaining('stored as they are') });
    expect(log).toEqual(['open a/b', 'complete']);
    expect(sizes()).toEqual([...Array.from({ length: 6 }, () => PART), 1]);
    expect(Buffer.concat(parts).equals(body)).toBe(true);
    expect(server.requests).toHaveLength(1);
  });

  it('ends with a whole part where its length is one of parts', async () => {
    const { openUpload, log, sizes } = memoryUploads();
    const server = await serve((_request, response) => send(response, jsonOf(LIMITS.documentBytesParsedMax + PART)));
    await failureOf(fetcherFor(server, { openUpload }).fetchDocument(server.url, document));
    expect(log).toEqual(['open a/b', 'complete']);
    expect(sizes()).toEqual(Array.from({ length: 5 }, () => PART));
  });

  it('is refused by a call that may not load large documents', async () => {
    const { openUpload, log } = memoryUploads();
    const server = await serve((_request, response) => send(response, jsonOf(33 * MiB)));
    const request = fetcherFor(server, { openUpload, large: false }).fetchDocument(server.url, document);
    await expect(request).rejects.toBeInstanceOf(LargeDocument);
    expect(log).toEqual([]);
  });

  it.each(['fetchRaw', 'fetchJson', 'fetchDocument'] as const)(
    'is only refused by %s without an upload',
    async method => {
      const { openUpload, log } = memoryUploads();
      const server = await serve((_request, response) => send(response, jsonOf(33 * MiB), 'not declared'));
      const { [method]: get } = fetcherFor(server, method === 'fetchDocument' ? {} : { openUpload });
      const error = await failureOf((get as typeof fetchAny)(server.url, { ...document, ...json, ...raw }));
      expect(error).toMatchObject({ reason: 'too-large' });
      expect(log).toEqual([]);
    },
  );

  it.each([
    ['begins like markup', '<', 0, 'not-json', []],
    ['ends like a part', ',', 33 * MiB - 1, 'malformed-json', ['open a/b', 'abort']],
  ])('that %s is not stored', async (_name, text, at, reason, expected) => {
    const { openUpload, log } = memoryUploads();
    const body = jsonOf(33 * MiB);
    body.write(text, at);
    const server = await serve((_request, response) => send(response, body));
    const error = await failureOf(fetcherFor(server, { openUpload }).fetchDocument(server.url, document));
    expect(error).toMatchObject({ reason });
    expect(log).toEqual(expected);
  });

  it('whose connection breaks is fetched again, and nothing of the first try is left', async () => {
    const { openUpload, log } = memoryUploads();
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
    'whose upload the bucket refuses at %s is our own failure, and aborted',
    async step => {
      const refuse = () => Promise.reject(new StepError('bucket-failed', 'bucket upload: refused'));
      const { openUpload, log } = memoryUploads({ [step]: refuse });
      const server = await serve((_request, response) => send(response, jsonOf(33 * MiB)));
      const request = fetcherFor(server, { openUpload }).fetchDocument(server.url, document);
      await expect(request).rejects.toMatchObject({ name: 'StepError', kind: 'bucket-failed' });
      expect(log).toEqual(['open a/b', 'abort']);
    },
  );

  it('has more time, and is not completed after that', async () => {
    const { timer, expire, timesMs } = manualTimer();
    let parts = 0;
    // The time is up during the upload of the last part, after the whole body was read.
    const { openUpload, log } = memoryUploads({ part: async () => void (++parts === 5 && expire()) });
    const server = await serve((_request, response, before) => {
      parts = 0;
      return before > 0 ? response.writeHead(404).end() : send(response, jsonOf(33 * MiB));
    });
    const options = { openUpload, timer, now: () => NOW, deadlineAtMs: NOW + 60_000 };
    expect(await failureOf(fetcherFor(server, options).fetchDocument(server.url, document))).toMatchObject({
      reason: 'http-404',
    });
    // Of each try its whole time, then the first stretch of its body; the upload has its own.
    expect(timesMs).toEqual([20_000, 10_000, 40_000, 20_000, 10_000]);
    expect(log).toEqual(['open a/b', 'abort']);
  });
});

describe('a document over 256 MiB', () => {
  it('is refused at once when its length is announced', async () => {
    const { openUpload, log } = memoryUploads();
    const server = await serve((_request, response) => {
      response.on('error', () => {});
      response.writeHead(200, { 'content-length': LIMITS.documentBytesStoredMax + 1 }).write('{');
    });
    const error = await failureOf(fetcherFor(server, { openUpload }).fetchDocument(server.url, document));
    expect(error).toMatchObject({ reason: 'too-large', message: expect.stringContaining('more than is stored') });
    expect(log).toEqual([]);
  });

  it('is refused when that many bytes were read, and aborted', async () => {
    let bytes = 0;
    const { openUpload, log } = memoryUploads({
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
