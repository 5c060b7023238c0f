import { describe, expect, it } from 'vitest';
import type { ApiEnv } from '../../src/api/env.ts';
import { createApi } from '../../src/api/router.ts';
import { LIMITS } from '../../src/config.ts';
import type { SourceStub } from '../../src/contract/objects.ts';
import type { WatchedKey, WatchPart, WatchResult } from '../../src/contract/watched-keys.ts';
import { npm } from '../../src/sources/npm/npm.ts';
import { whois } from '../../src/sources/whois/whois.ts';
import { seedOf } from '../budget.ts';
import { randomFrom } from '../parquet/rows.ts';

const PATH = '/v1/sources/whois/keys';
const SEED = seedOf('BODY_SEED');

interface Answer {
  status: number;
  added?: number;
  known?: number;
  removed?: number;
  unknown?: number;
  rejected?: number;
  rejected_by_reason?: Record<string, number>;
  rejections?: { line: number; text: string; reason: string }[];
  keys?: WatchedKey[];
  next?: string | null;
  error?: { code: string; message: string; hint: string };
  [name: string]: unknown;
}

/** The real API with the real rules of whois, over a fake object with its keys in memory. */
function watcher() {
  const watched = new Map<string, { space: string; addedMs: number }>();
  const parts: WatchPart[] = [];
  let nowMs = 0;
  let refusal: { part: number; refused: NonNullable<WatchResult['refused']> } | null = null;
  const keyOf = (key: string): WatchedKey => ({
    key,
    due_at: '2026-11-10T12:00:00.000Z',
    reason: 'added',
    added_at: '2026-11-10T12:00:00.000Z',
    last_checked_at: null,
    outcome: null,
    times: 0,
  });
  const stub = {
    async watchKeys(part: WatchPart) {
      parts.push(part);
      if (parts.length === refusal?.part)
        return { refused: refusal.refused, atMs: 1, added: 0, known: 0, repeated: [] };
      nowMs += 1;
      const atMs = part.atMs ?? nowMs;
      const result = { refused: null, atMs, added: 0, known: 0, repeated: [] as number[] };
      for (const { line, key, space } of part.keys) {
        const before = watched.get(key);
        if (!before) watched.set(key, { space, addedMs: atMs });
        if (!before) result.added += 1;
        else if (before.addedMs === atMs) result.repeated.push(line);
        else result.known += 1;
      }
      return result;
    },
    unwatchKeys: async (keys: string[]) => keys.filter(key => watched.delete(key)).length,
    watchedKeys: async ({ after, limit }: { after: string | null; limit: number }) =>
      [...watched.keys()]
        .sort()
        .filter(key => after === null || key > after)
        .slice(0, limit)
        .map(keyOf),
    watchedKey: async (key: string) => (watched.has(key) ? keyOf(key) : null),
  };
  const env = {
    SOURCES_NS: { getByName: () => stub as unknown as SourceStub },
    CATALOG_NS: { getByName: () => expect.fail('expected no call of the catalog object') },
    ADMIN_TOKEN: 'token-of-the-worker-tests',
  } as ApiEnv;
  const api = createApi({ sources: [npm, whois] as never, tables: [], log: () => undefined });
  async function ask(
    method: string,
    path: string,
    {
      body,
      type = 'text/plain',
      token = 'token-of-the-worker-tests',
    }: { body?: BodyInit; type?: string; token?: string } = {},
  ): Promise<Answer> {
    const headers = { authorization: `Bearer ${token}`, 'content-type': type };
    const init = { method, headers, ...(body !== undefined && { body, duplex: 'half' }) } as RequestInit;
    const response = await api.fetch(new Request(`http://lake.test${path}`, init), env);
    return { ...((await response.json()) as object), status: response.status };
  }
  const post = (body: BodyInit, type?: string) => ask('POST', PATH, { body, ...(type && { type }) });
  /** Makes the object refuse a part of the requests. */
  const refuse = (part: number, refused: NonNullable<WatchResult['refused']>) => {
    refusal = { part, refused };
  };
  return { ask, post, watched, parts, refuse };
}

/** A body of these chunks; `broken`: it ends with an error. */
function streamOf(chunks: Uint8Array[], { broken = false } = {}): ReadableStream<Uint8Array> {
  const left = [...chunks];
  return new ReadableStream({
    pull(controller) {
      const chunk = left.shift();
      if (chunk) controller.enqueue(chunk);
      else if (broken) controller.error(new Error('gone'));
      else controller.close();
    },
  });
}

const utf8 = (text: string) => new TextEncoder().encode(text);

/** Works with another value of a limit. */
async function withLimit<T>(name: keyof typeof LIMITS, value: number, work: () => Promise<T>): Promise<T> {
  const limits = LIMITS as unknown as Record<string, number>;
  const before = limits[name]!;
  limits[name] = value;
  try {
    return await work();
  } finally {
    limits[name] = before;
  }
}

describe('keys that are added while the object is full', () => {
  it('are refused by name, with what was added before', async () => {
    const { post, refuse } = watcher();
    const names = (count: number) => Array.from({ length: count }, (_, index) => `name-${index}.com`).join('\n');
    await withLimit('watchPartKeysMax', 2, async () => {
      refuse(2, { message: 'database of the object: expected less', hint: 'Remove keys.' });
      const { status, error } = await post(names(5));
      expect({ status, error }).toEqual({
        status: 507,
        error: {
          code: 'full',
          message: 'database of the object: expected less (2 added, 0 known before it)',
          hint: 'Remove keys.',
        },
      });
    });
  });
});

describe('keys that are added', () => {
  it.each([
    ['a JSON list', JSON.stringify(['Example.com', 'www.example.org', 'bücher.example.de']), 'application/json'],
    ['NDJSON', '"Example.com"\n\n"www.example.org"\n"bücher.example.de"\n', 'application/x-ndjson'],
    ['one a line', 'Example.com\r\nwww.example.org.\r\nbücher.example.de', 'text/plain; charset=utf-8'],
  ])('may be sent as %s, and are normalised', async (_, body, type) => {
    const { post, watched } = watcher();
    const answer = await post(body, type);
    expect(answer).toMatchObject({ status: 200, source: 'whois', added: 3, known: 0, rejected: 0, rejections: [] });
    expect([...watched].map(([key, { space }]) => [key, space])).toEqual([
      ['example.com', 'com'],
      ['example.org', 'org'],
      ['example.de', 'de'],
    ]);
    expect(await post(body, type)).toMatchObject({ added: 0, known: 3, rejected: 0 });
  });

  it('under a public suffix of two labels belong to the space of that suffix', async () => {
    const { post, watched } = watcher();
    await post('a.example.co.uk\nmünchen.de\nxn--mnchen-3ya.de');
    expect([...watched].map(([key, { space }]) => [key, space])).toEqual([
      ['example.co.uk', 'co.uk'],
      ['xn--mnchen-3ya.de', 'de'],
    ]);
  });

  it('may arrive in chunks that end anywhere', async () => {
    const random = randomFrom(SEED);
    const names = Array.from({ length: 300 }, (_, index) => (index % 7 === 0 ? `bü${index}.de` : `name${index}.com`));
    for (const [body, type] of [
      [JSON.stringify(names, null, 1), 'application/json'],
      [names.map(name => JSON.stringify(name)).join('\n'), 'application/x-ndjson'],
      [names.join('\n'), 'text/plain'],
    ] as const) {
      const { post } = watcher();
      const bytes = utf8(body);
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; ) {
        const size = 1 + Math.floor(random() * 9);
        chunks.push(bytes.subarray(at, at + size));
        at += size;
      }
      expect(await post(streamOf(chunks), type), `seed ${SEED}`).toMatchObject({ added: 300, rejected: 0 });
    }
  });

  it.each([
    ['no domain', 'nothing', 'unknown-tld'],
    ['a sentence', 'not a domain', 'forbidden-character'],
    ['a URL', 'https://example.com/', 'url'],
    ['an address', '192.0.2.1', 'address'],
    ['a mailbox', 'a@example.com', 'email'],
    ['a public suffix', 'co.uk', 'public-suffix'],
    ['a top-level domain', 'com', 'public-suffix'],
    ['an unknown top-level domain', 'example.nosuchtld', 'unknown-tld'],
    ['a label of 300 bytes', `${'a'.repeat(300)}.com`, 'label-too-long'],
    ['mixed scripts', 'p\u0430ypal.com', 'mixed-scripts'],
    ['a control character', 'exam\u0007ple.com', 'control-character'],
    ['a line over 2,000 bytes', `${'a.'.repeat(1_000)}com`, 'too-long'],
    ['a name reserved for special use', 'example.test', 'special-use'],
    ['an empty text', '""', 'empty'],
    ['a number', '7', 'not-text'],
    ['a fraction', '1.5', 'not-text'],
    ['null', 'null', 'not-text'],
    ['a list', '["example.com"]', 'not-text'],
    ['a map', '{"name":"example.com"}', 'not-text'],
    ['broken JSON', '"example.com', 'not-text'],
  ])('%s is rejected with a reason, and the rest is accepted', async (_, line, reason) => {
    const { post, watched } = watcher();
    const answer = await post(`first.com\n${line}\nlast.com`);
    expect(answer).toMatchObject({ status: 200, added: 2, rejected: 1, rejected_by_reason: { [reason]: 1 } });
    const isShown = !['too-long', 'not-text'].includes(reason);
    expect(answer.rejections).toEqual([{ line: 2, text: isShown ? nameIn(line).slice(0, 100) : '', reason }]);
    expect([...watched.keys()]).toEqual(['first.com', 'last.com']);
  });

  it('of other JSON types in a list are rejected, each at its position', async () => {
    const { post } = watcher();
    const list = [null, 'a.com', 7, true, ['b.com'], { name: 'c.com' }, 'd.com'];
    const answer = await post(JSON.stringify(list), 'application/json');
    expect(answer).toMatchObject({ added: 2, rejected: 5, rejected_by_reason: { 'not-text': 5 } });
    expect(answer.rejections!.map(({ line }) => line)).toEqual([1, 3, 4, 5, 6]);
  });

  it('that are not UTF-8 are rejected', async () => {
    const { post } = watcher();
    const answer = await post(streamOf([utf8('a.com\nb'), new Uint8Array([0xff, 0xfe]), utf8('.com\nc.com')]));
    expect(answer).toMatchObject({ added: 2, rejections: [{ line: 2, text: '', reason: 'not-text' }] });
  });

  it('repeated in one request are rejected, within a part and across parts', async () => {
    const { post, watched } = watcher();
    const answer = await withLimit('watchPartKeysMax', 3, () =>
      post('a.com\nWWW.A.com\nb.com\nc.com\nd.com\nb.com\n7\na.com'),
    );
    expect(answer).toMatchObject({
      added: 4,
      known: 0,
      rejected: 4,
      rejected_by_reason: { repeated: 3, 'not-text': 1 },
    });
    expect(answer.rejections).toEqual([
      { line: 2, text: 'WWW.A.com', reason: 'repeated' },
      { line: 6, text: 'b.com', reason: 'repeated' },
      { line: 7, text: '', reason: 'not-text' },
      { line: 8, text: 'a.com', reason: 'repeated' },
    ]);
    expect(watched.size).toBe(4);
  });

  it('over the limit of lines are rejected, and the ones before it are accepted', async () => {
    const { post, watched } = watcher();
    const answer = await withLimit('watchLinesMax', 3, () => post('a.com\nb.com\n7\nc.com\nd.com'));
    expect(answer).toMatchObject({ added: 2, rejected_by_reason: { 'too-many': 2, 'not-text': 1 } });
    expect([...watched.keys()]).toEqual(['a.com', 'b.com']);
  });

  it('reach the object in parts that share one time', async () => {
    const { post, parts } = watcher();
    const names = Array.from({ length: 12_001 }, (_, index) => `name-${index}.com`);
    expect(await post(names.join('\n'))).toMatchObject({ added: 12_001 });
    expect(parts.map(({ keys }) => keys.length)).toEqual([5_000, 5_000, 2_001]);
    expect(parts.map(({ atMs }) => atMs)).toEqual([null, 1, 1]);
  });

  it('list the first thousand rejections, and count all', async () => {
    const { post } = watcher();
    const answer = await post('7\n'.repeat(1_500));
    expect(answer.rejections).toHaveLength(1_000);
    expect(answer).toMatchObject({ added: 0, rejected: 1_500, rejected_by_reason: { 'not-text': 1_500 } });
  });
});

describe('a request that cannot be read', () => {
  it('that breaks off adds the parts sent before, and may be repeated', async () => {
    const { post, watched } = watcher();
    const body = streamOf([utf8('a.com\nb.com\nc.com\nd.co')], { broken: true });
    const answer = await withLimit('watchPartKeysMax', 2, () => post(body));
    expect(answer).toMatchObject({ status: 400, error: { code: 'invalid_body' } });
    expect([...watched.keys()]).toEqual(['a.com', 'b.com']);
    expect(await post('a.com\nb.com\nc.com\nd.com')).toMatchObject({ status: 200, added: 2, known: 2 });
  });

  it('that is too large is refused', async () => {
    const { post } = watcher();
    const answer = await withLimit('pushBytesMax', 20, () => post('a.com\nb.com\nc.com\nd.com\n'));
    expect(answer).toMatchObject({ status: 413, error: { code: 'too_large' } });
  });

  it.each(['application/xml', 'multipart/form-data; boundary=x'])('of type %s is refused', async type => {
    const { post } = watcher();
    expect(await post('a.com', type)).toMatchObject({ status: 400, error: { code: 'invalid_body' } });
  });

  it('without a body is refused', async () => {
    const { ask } = watcher();
    expect(await ask('POST', PATH)).toMatchObject({ status: 400, error: { code: 'invalid_body' } });
  });

  it('that changes keys is refused without the token', async () => {
    const { ask, watched } = watcher();
    for (const [method, path] of [
      ['POST', PATH],
      ['DELETE', PATH],
      ['DELETE', `${PATH}/a.com`],
    ] as const)
      expect((await ask(method, path, { body: 'a.com', token: 'wrong' })).status).toBe(401);
    expect(watched.size).toBe(0);
  });

  it('of a source with a feed is a conflict', async () => {
    const { ask } = watcher();
    for (const [method, path] of [
      ['POST', '/v1/sources/npm/keys'],
      ['DELETE', '/v1/sources/npm/keys'],
      ['GET', '/v1/sources/npm/keys'],
      ['GET', '/v1/sources/npm/keys/a.com'],
      ['DELETE', '/v1/sources/npm/keys/a.com'],
    ] as const) {
      const options = method === 'GET' ? {} : { body: 'a.com' };
      expect(await ask(method, path, options)).toMatchObject({ status: 409, error: { code: 'conflict' } });
    }
    expect(await ask('GET', '/v1/sources/nothing/keys')).toMatchObject({ status: 404 });
  });

  it.each([
    ['PUT', PATH],
    ['POST', `${PATH}/a.com`],
    ['PATCH', `${PATH}/a.com`],
  ])('%s %s is not allowed', async (method, path) => {
    const { ask } = watcher();
    expect(await ask(method, path)).toMatchObject({ status: 405, error: { code: 'method_not_allowed' } });
  });
});

describe('keys that are watched', () => {
  async function filled() {
    const filledWatcher = watcher();
    await filledWatcher.post('a.com\nb.com\nc.com\nmünchen.de\nd.org');
    return filledWatcher;
  }

  it('are listed in order, in pages', async () => {
    const { ask } = await filled();
    const listed: string[] = [];
    for (let after: string | null = ''; after !== null; ) {
      const page: Answer = await ask('GET', `${PATH}?limit=2${after && `&after=${after}`}`);
      expect(page.status).toBe(200);
      listed.push(...page.keys!.map(({ key }) => key));
      after = page.next!;
    }
    expect(listed).toEqual(['a.com', 'b.com', 'c.com', 'd.org', 'xn--mnchen-3ya.de']);
    expect((await ask('GET', PATH)).keys).toHaveLength(5);
  });

  it.each(['0', '1001', '-1', '1.5', 'x', '1e2', ''])('are not listed with limit=%s', async limit => {
    const { ask } = await filled();
    expect(await ask('GET', `${PATH}?limit=${limit}`)).toMatchObject({
      status: 400,
      error: { code: 'invalid_setting' },
    });
  });

  it.each(['xn--mnchen-3ya.de', 'M%C3%BCnchen.de', 'www.m%C3%BCnchen.de', 'XN--MNCHEN-3YA.DE.'])(
    'are shown by the name %s',
    async name => {
      const { ask } = await filled();
      expect(await ask('GET', `${PATH}/${name}`)).toMatchObject({ status: 200, key: 'xn--mnchen-3ya.de', times: 0 });
    },
  );

  it('are not found when they are not watched, or are not keys', async () => {
    const { ask } = await filled();
    for (const name of ['z.com', 'nothing', '%07', 'co.uk']) {
      expect(await ask('GET', `${PATH}/${name}`)).toMatchObject({ status: 404, error: { code: 'not_found' } });
      expect(await ask('DELETE', `${PATH}/${name}`)).toMatchObject({ status: 404, error: { code: 'not_found' } });
    }
  });

  it('are removed one by one, or as a list', async () => {
    const { ask, watched } = await filled();
    expect(await ask('DELETE', `${PATH}/A.com`)).toMatchObject({ status: 200, source: 'whois', removed: 1 });
    const body = JSON.stringify(['b.com', 'www.b.com', 'z.com', 'nothing', 'MÜNCHEN.de']);
    expect(await ask('DELETE', PATH, { body, type: 'application/json' })).toMatchObject({
      status: 200,
      removed: 2,
      unknown: 2,
      rejected: 1,
      rejected_by_reason: { 'unknown-tld': 1 },
    });
    expect([...watched.keys()]).toEqual(['c.com', 'd.org']);
  });
});

function nameIn(line: string): string {
  return line.startsWith('"') ? (JSON.parse(line) as string) : line;
}
