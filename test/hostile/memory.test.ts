import v8 from 'node:v8';
import vm from 'node:vm';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { ChangeError } from '../../src/errors.ts';
import { LIMITS, MiB } from '../../src/limits.ts';
import { npm } from '../../src/sources/npm/npm.ts';
import { pypi } from '../../src/sources/pypi/pypi.ts';
import type { LoadContext } from '../../src/sources/source.ts';
import { createFetcher, type Fetcher, LargeDocument } from '../../src/sources/upstream/fetcher.ts';
import { fetchServers } from '../../src/sources/whois/rdap/bootstrap.ts';
import { whois } from '../../src/sources/whois/whois.ts';

v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc') as () => void;

/** What one answer may take beside others: an isolate has 128 MB, and the other loads of a call have their share. */
const SHARED_HEAP_MAX = 24 * MiB;
/** What a document may take in a call of its own, its bytes not counted. */
const ALONE_HEAP_MAX = 80 * MiB;

const HOST = 'upstream.example.com';
const URL_ASKED = `https://${HOST}/a`;

/** A fetcher whose upstream answers everything with one body. `chunksRead` says how much of it was read. */
function fetcherOf(body: () => Iterable<Uint8Array>, large = true) {
  let read = 0;
  const send = async () => {
    const chunks = body()[Symbol.iterator]();
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        const next = chunks.next();
        if (next.done) return controller.close();
        read += next.value.length;
        controller.enqueue(next.value);
      },
    });
    return new Response(stream, { headers: { 'content-type': 'application/json' } });
  };
  const permit = async (host: string) => ({ host, count: 1, startAtMs: 0, intervalMs: 0 });
  const deadlineAtMs = Date.now() + 60_000;
  const fetcher = createFetcher({
    contact: 'tests',
    permits: [],
    requestPermit: permit,
    deadlineAtMs,
    large,
    fetch: send,
  });
  return { fetcher, bytesRead: () => read };
}

function* endless(chunk: Uint8Array) {
  for (;;) yield chunk;
}

const text = (json: string) => new TextEncoder().encode(json);
const documentOf = (fetcher: Fetcher) =>
  fetcher.fetchDocument(URL_ASKED, { subject: 'it', name: 'it', unread: 'versions' });

/** The most heap that some work holds: right after each large text is parsed, and at its end. */
async function heapOf(work: () => Promise<unknown>): Promise<{ bytes: number; result: unknown }> {
  collect();
  const before = process.memoryUsage().heapUsed;
  let bytes = 0;
  const measure = () => {
    collect();
    bytes = Math.max(bytes, process.memoryUsage().heapUsed - before);
  };
  const { parse } = JSON;
  const spy = vi.spyOn(JSON, 'parse').mockImplementation((json: string) => {
    const value = parse(json) as unknown;
    if (json.length > 100_000) measure();
    return value;
  });
  const result = await work()
    .catch((error: unknown) => error)
    .finally(() => spy.mockRestore());
  measure();
  return { bytes, result };
}

const contextOf = <S>(fetcher: Fetcher, settings: S) =>
  ({ ...fetcher, settings, nowMs: 0, prepared: null, afresh: true }) as unknown as LoadContext<S, null>;
const npmSettings = npm.settings({ NPM_REGISTRY_URL: `https://${HOST}`, NPM_FEED_URL: `https://${HOST}` });
const pypiSettings = pypi.settings({ PYPI_URL: `https://${HOST}`, PYPI_DOWNLOADS_URL: `https://${HOST}` });
const whoisSettings = whois.settings({ WHOIS_BOOTSTRAP_URL: `https://${HOST}/dns.json` });
const change = { key: 'a', cursor: '1', deleted: false, revision: 1, skip: null };
const visit = { key: 'a.com', cursor: '1', deleted: false, revision: null, skip: null, server: `https://${HOST}/` };

/** Each kind of answer: how it is asked for, and its limit. */
const KINDS: [string, number, (fetcher: Fetcher) => Promise<unknown>][] = [
  ['an RDAP answer', 256 * 1024, fetcher => whois.load(visit, contextOf(fetcher, whoisSettings))],
  ['the list of RDAP servers', 1_000_000, fetcher => fetchServers(null, URL_ASKED, contextOf(fetcher, null))],
  ['a page of npm', 8 * MiB, fetcher => npm.feed!.pull({ cursor: '0', poll: 0 }, contextOf(fetcher, npmSettings))],
  ['a list of npm', 8 * MiB, fetcher => npm.feed!.list!(null, contextOf(fetcher, npmSettings))],
  ['a page of PyPI', 24 * MiB, fetcher => pypi.feed!.pull({ cursor: '0', poll: 0 }, contextOf(fetcher, pypiSettings))],
  [
    "a project's page of the simple index",
    4 * MiB,
    fetcher => pypi.feed!.round!.check(change, contextOf(fetcher, pypiSettings)),
  ],
  ['counts of PyPI', MiB, fetcher => pypi.prepare!([change], contextOf(fetcher, pypiSettings))],
  [
    'an answer without a limit of its kind',
    MiB,
    fetcher => fetcher.fetchJson(URL_ASKED, { subject: 'it', shape: z.unknown() }),
  ],
  ['a raw answer', MiB, fetcher => fetcher.fetchRaw(URL_ASKED, { subject: 'it', read: ({ bytes }) => bytes })],
];

describe('an endless answer', () => {
  const chunk = text('[0],'.repeat(4 * 1024));

  it.each(KINDS)('%s is refused as too-large at its limit of %i bytes', async (_, bytesMax, ask) => {
    const { fetcher, bytesRead } = fetcherOf(() => endless(chunk));
    const error = await ask(fetcher).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ChangeError);
    expect(error).toMatchObject({ reason: 'too-large' });
    expect(bytesRead()).toBeGreaterThan(bytesMax);
    expect(bytesRead()).toBeLessThan(bytesMax + 4 * chunk.length);
  });
});

/** Trees of so many bytes that take much memory. */
const TREES: [string, (bytes: number) => string][] = [
  ['empty objects', bytes => `{"x":[${'{},'.repeat((bytes - 12) / 3)}0]}`],
  ['lists of one', bytes => `{"x":[${'[0],'.repeat((bytes - 12) / 4)}0]}`],
  [
    'objects of keys that differ',
    bytes => {
      const members: string[] = [];
      for (let left = bytes - 20; left > 0; left -= members.at(-1)!.length + 1)
        members.push(`{"${members.length}x":0}`);
      return `{"x":[${members.join(',')}]}`;
    },
  ],
];

describe.each(TREES)('an answer of %s', (_, treeOf) => {
  it.each(KINDS)('as %s takes little heap at its limit', async (_kind, bytesMax, ask) => {
    const body = text(treeOf(bytesMax - 100));
    const { fetcher } = fetcherOf(() => [body]);
    expect((await heapOf(() => ask(fetcher))).bytes).toBeLessThan(SHARED_HEAP_MAX);
  });

  it('as a document of 4 MiB is left to a call of its own, and takes little heap in both', async () => {
    const body = text(treeOf(LIMITS.documentBytesLarge - 100));
    const shared = await heapOf(() => documentOf(fetcherOf(() => [body], false).fetcher));
    expect(shared.result).toBeInstanceOf(LargeDocument);
    expect(shared.bytes).toBeLessThan(SHARED_HEAP_MAX);
    expect((await heapOf(() => documentOf(fetcherOf(() => [body]).fetcher))).bytes).toBeLessThan(ALONE_HEAP_MAX);
  });

  it.each(['outside its versions', 'in one version'])('as a document of 31 MB is refused: %s', async where => {
    const tree = treeOf(31_000_000);
    const body = text(where === 'in one version' ? `{"versions":{"1.0.0":${tree}}}` : tree);
    const { bytes, result } = await heapOf(() => documentOf(fetcherOf(() => [body]).fetcher));
    expect(result).toMatchObject({ reason: 'too-large', message: 'it: expected at most 250000 values, got more' });
    expect(bytes).toBeLessThan(SHARED_HEAP_MAX);
  });
});

it('a document of as many values as may be takes a known share of the heap', async () => {
  const members = Array.from({ length: 80_000 }, (_, index) => `"${index}x":{"${index}y":${index}}`);
  const body = text(`{"time":{${members.join(',')}}}`);
  const { bytes, result } = await heapOf(() => documentOf(fetcherOf(() => [body]).fetcher));
  expect(result).not.toBeInstanceOf(Error);
  expect(bytes).toBeLessThan(ALONE_HEAP_MAX);
});
