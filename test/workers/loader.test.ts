import { env, exports } from 'cloudflare:workers';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { npmPackage } from '../../schemas/npm_package.ts';
import { LIMITS } from '../../src/config.ts';
import { putNewest } from '../../src/lake/newest.ts';
import type { Change } from '../../src/ports/change.ts';
import { LOAD_BYTES_MAX, SLICE_ROW_BYTES_MAX } from '../../src/ports/load-call.ts';
import type { Answer, LoadOutcome, LoadRequest } from '../../src/ports/loader.ts';
import { bucketPort } from '../../src/worker/r2.ts';
import { prepare } from './source.ts';
import { openUpstream, type Upstream } from './upstream.ts';

const MiB = 1024 * 1024;

let upstream: Upstream;

beforeAll(async () => {
  upstream = await openUpstream({ only: ['ms', 'kleur'] });
  await prepare(upstream);
});

beforeEach(async () => {
  await upstream.clearFaults();
});

/** Loads changes with permits for each of them. */
async function load(keys: (string | Partial<Change>)[], request: Partial<LoadRequest> = {}): Promise<LoadOutcome[]> {
  const answer = await loadAnswer(keys, request);
  if (!answer.ok) throw new Error(answer.failure.message);
  return answer.value;
}

function loadAnswer(
  keys: (string | Partial<Change>)[],
  request: Partial<LoadRequest> = {},
): Promise<Answer<LoadOutcome[]>> {
  const changes = keys.map((key, cursor): Change => {
    const change = { key: '', cursor: String(cursor), deleted: false, revision: null, skip: null };
    return typeof key === 'string' ? { ...change, key } : { ...change, ...key };
  });
  return exports.Loader.run('npm', 'load', {
    changes,
    prepared: null,
    afresh: false,
    large: true,
    budgetBytes: LOAD_BYTES_MAX,
    rowBytesMax: SLICE_ROW_BYTES_MAX,
    permits: [{ host: new URL(upstream.origin).host, count: changes.length, startAtMs: 0, intervalMs: 0 }],
    knownBytes: changes.map(() => null),
    deadlineAtMs: Date.now() + 30_000,
    ...request,
  }) as Promise<Answer<LoadOutcome[]>>;
}

const only = async (key: string | Partial<Change>, request: Partial<LoadRequest> = {}) =>
  (await load([key], request))[0];

async function stored(name: string): Promise<string | null> {
  return (await env.LAKE.get(`npm/raw/${name}/latest.json`))?.text() ?? null;
}

describe('a document that is fine', () => {
  it('gives a row, and puts the document and the metadata of the day', async () => {
    const outcome = await only('kleur');
    const bytes = await upstream.documentOf('kleur');
    const { _rev } = JSON.parse(new TextDecoder().decode(bytes));
    const row = expect.objectContaining({ name: 'kleur', updated_at: null });
    expect(outcome).toEqual({
      kind: 'rows',
      documentBytes: bytes.length,
      revision: Number.parseInt(_rev, 10),
      rows: [{ table: npmPackage.name, op: 'upsert', row }],
    });
    expect(await stored('kleur')).toBe(new TextDecoder().decode(bytes));
    const { objects } = await env.LAKE.list({ prefix: 'npm/metadata/', include: ['customMetadata'] });
    const [metadata] = objects.filter(({ key }) => /^npm\/metadata\/\d{4}\/\d\d\/\d\d\/kleur\.json$/.test(key));
    expect(metadata?.customMetadata).toMatchObject({ revision: String(Number.parseInt(_rev, 10)) });
  });

  it('is asked for once, by an agent with a name', async () => {
    const answer = await loadAnswer(['ms']);
    expect(answer.hosts).toEqual([
      {
        host: new URL(upstream.origin).host,
        requests: 1,
        notModified: 0,
        throttled: 0,
        errors: 0,
        refused: 0,
        statuses: { '2xx': 1, '3xx': 0, '4xx': 0, '5xx': 0, none: 0 },
        retryAfterMs: null,
      },
    ]);
  });

  it('of a deleted package is a delete row, without asking; with asking, when it is loaded afresh', async () => {
    const before = (await upstream.requests()).length;
    const gone = { kind: 'rows', rows: [{ op: 'delete', row: { name: 'left' } }], documentBytes: 0, revision: 4 };
    expect(await only({ key: 'left', deleted: true, revision: 4 })).toMatchObject(gone);
    expect((await upstream.requests()).length).toBe(before);
    expect(await only({ key: 'left', deleted: true, revision: 4 }, { afresh: true })).toMatchObject(gone);
    expect((await upstream.requests()).length).toBe(before + 1);
  });
});

describe('a document that is not', () => {
  it.each([
    ['a 404', { status: 404, body: '{}' }, { kind: 'park', reason: 'http-404' }],
    ['a 500', { status: 500, body: '{}' }, { kind: 'unanswered', reason: 'http-500' }],
    ['a 429', { status: 429, body: '{}' }, { kind: 'deferred', reason: 'throttled' }],
    ['malformed JSON', { status: 200, body: '{"name":oops}' }, { kind: 'park', reason: 'malformed-json' }],
    ['HTML', { status: 200, body: '<!doctype html><p>Hello' }, { kind: 'park', reason: 'not-json' }],
    ['an empty body', { status: 200, body: '' }, { kind: 'park', reason: 'malformed-json' }],
    ['no object', { status: 200, body: '[1]' }, { kind: 'park', reason: 'wrong-shape' }],
    ['another package', { status: 200, body: '{"name":"other"}' }, { kind: 'park', reason: 'name-mismatch' }],
    ['a cut body, again and again', { cut: true }, { kind: 'unanswered', reason: 'truncated' }],
  ])('%s says so, and leaves the bucket as it was', async (_, answer, expected) => {
    await only('ms');
    const before = await stored('ms');
    await upstream.fault('ms', [answer], { repeat: true });
    expect(await only('ms')).toMatchObject(expected);
    expect(await stored('ms')).toBe(before);
  });

  it('does not keep the others of its call from being loaded', async () => {
    await upstream.fault('ms', [{ status: 200, body: 'x' }], { repeat: true });
    const outcomes = await load(['ms', 'kleur', 'nothing', 'kleur']);
    expect(outcomes.map(outcome => outcome.kind)).toEqual(['park', 'rows', 'park', 'rows']);
  });

  it('once throttled is asked for no more, and neither are those behind it', async () => {
    await upstream.fault('ms', [{ status: 429, headers: { 'retry-after': '7' } }], { repeat: true });
    const keys = ['ms', ...Array.from({ length: 20 }, (_, i) => `behind-${i}`)];
    const answer = await loadAnswer(keys);
    expect(answer.ok && answer.value.at(-1)).toMatchObject({ kind: 'deferred' });
    expect(answer.hosts).toMatchObject([{ throttled: 1, retryAfterMs: 7_000 }]);
    expect(answer.hosts[0]!.requests).toBeLessThan(keys.length);
  });
});

describe('size', () => {
  /** A package's document of a little more than so many bytes; compressed, nothing tells how many before they are read. */
  const grow = async (bytes: number, gzip = true) => {
    const body = JSON.stringify({ name: 'grown', _rev: '1-a', readme: 'x'.repeat(bytes) });
    await upstream.fault('grown', [{ status: 200, body, gzip }], { repeat: true });
    return body;
  };

  it('over 4 MiB is handed back by a call that may not load such, and loaded by one that may', async () => {
    await grow(4 * MiB);
    expect(await only('grown', { large: false })).toEqual({ kind: 'deferred', reason: 'large' });
    expect(await stored('grown')).toBeNull();
    const outcome = await only('grown', { large: true });
    expect(outcome).toMatchObject({ kind: 'rows', rows: [{ row: { name: 'grown' } }] });
    expect(outcome?.kind === 'rows' && outcome.documentBytes).toBeGreaterThan(4 * MiB);
    expect((await env.LAKE.head('npm/raw/grown/latest.json'))?.size).toBeGreaterThan(4 * MiB);
  });

  it.each([true, false])('over 32 MiB is stored as it is and not parsed (compressed: %s)', async gzip => {
    const before = await env.LAKE.head('npm/raw/grown/latest.json');
    const text = await grow(40 * MiB, gzip);
    expect(await only('grown', { large: false })).toEqual({ kind: 'deferred', reason: 'large' });
    expect((await env.LAKE.head('npm/raw/grown/latest.json'))?.etag).toBe(before?.etag);
    expect(await only('grown')).toMatchObject({ kind: 'park', reason: 'too-large' });
    expect((await stored('grown')) === text).toBe(true);
    const object = await env.LAKE.head('npm/raw/grown/latest.json');
    expect(object?.customMetadata).toEqual({ 'fetched-at': expect.stringMatching(/^\d{13}$/) });
    // What comes after it is newer, whatever its revision.
    await grow(4 * MiB);
    expect(await only('grown')).toMatchObject({ kind: 'rows' });
    expect((await env.LAKE.head('npm/raw/grown/latest.json'))?.size).toBeLessThan(5 * MiB);
  });

  it('over 32 MiB under a name no key takes is stored nowhere', async () => {
    const name = 'l'.repeat(LIMITS.keyBytesMax);
    await upstream.fault(name, [{ status: 200, body: `{"name":"${'x'.repeat(33 * MiB)}"}` }], { repeat: true });
    const { objects } = await env.LAKE.list();
    expect(await only(name)).toMatchObject({ kind: 'park', reason: 'key-too-long' });
    expect((await env.LAKE.list()).objects).toHaveLength(objects.length);
  });

  it('of the rows ends a call that has enough of them', async () => {
    const outcomes = await load(
      Array.from({ length: 30 }, () => 'kleur'),
      { rowBytesMax: 1 },
    );
    expect(outcomes[0]).toMatchObject({ kind: 'rows' });
    expect(outcomes.slice(1)).toEqual(outcomes.slice(1).map(() => ({ kind: 'deferred', reason: 'full' })));
  });

  it('of a name is no more than a key takes', async () => {
    const name = 'n'.repeat(LIMITS.keyBytesMax);
    await upstream.fault(name, [{ status: 200, body: JSON.stringify({ name }) }], { repeat: true });
    const { objects } = await env.LAKE.list();
    expect(await only(name)).toMatchObject({ kind: 'park', reason: 'key-too-long' });
    expect((await env.LAKE.list()).objects).toHaveLength(objects.length);
  });
});

describe('the newest document', () => {
  const text = (rev: string, note: string) => JSON.stringify({ name: 'aged', _rev: rev, note });
  const serve = (rev: string, note: string) =>
    upstream.fault('aged', [{ status: 200, body: text(rev, note) }], { repeat: true });

  it('stays when one of a lower revision is served', async () => {
    await serve('5-a', 'newer');
    await only('aged');
    await serve('4-a', 'older');
    expect(await only('aged')).toMatchObject({ kind: 'rows', revision: 4 });
    expect(await stored('aged')).toBe(text('5-a', 'newer'));
    await serve('6-a', 'newest');
    await only('aged');
    expect(await stored('aged')).toBe(text('6-a', 'newest'));
  });

  it('stays when it was fetched later', async () => {
    const later = { fetchedAtMs: Date.now() + 3_600_000, revision: 6, contentType: 'application/json' };
    await putNewest(bucketPort(env.LAKE), 'npm/raw/aged/latest.json', new TextEncoder().encode('later'), later);
    await serve('7-a', 'loaded before');
    expect(await only('aged')).toMatchObject({ kind: 'rows', revision: 7 });
    expect(await stored('aged')).toBe('later');
  });

  it('is that of the last change, when a call has several of one key', async () => {
    const bodies = ['1-a', '2-a', '3-a', '4-a'].map(rev => ({
      status: 200,
      body: JSON.stringify({ name: 'often', _rev: rev }),
      delayMs: rev === '1-a' ? 200 : 0,
    }));
    await upstream.fault('often', bodies);
    const outcomes = await load(bodies.map((_, revision) => ({ key: 'often', revision: revision + 1 })));
    // Asked for one after the other: the slow first answer is not overtaken.
    expect(outcomes).toMatchObject([1, 2, 3, 4].map(revision => ({ kind: 'rows', revision })));
    expect(await stored('often')).toContain('4-a');
  });
});

describe('a Loader', () => {
  it('does not begin what it has no time for', async () => {
    const outcome = await only('ms', { deadlineAtMs: Date.now() - 1 });
    expect(outcome).toEqual({ kind: 'deferred', reason: 'deadline' });
  });

  it('answers a page, its faults, and a cursor that is refused', async () => {
    const host = new URL(upstream.origin).host;
    const permits = () => [{ host, count: 2, startAtMs: 0, intervalMs: 0 }];
    const pull = (cursor: string) => exports.Loader.run('npm', 'pull', { cursor, poll: 0, permits: permits() });
    expect(await pull('0')).toMatchObject({ ok: true, value: { atHead: true, belowCursor: false } });
    await upstream.fault('/registry/', [{ status: 503, headers: { 'retry-after': '9' } }], { repeat: true });
    expect(await pull('0')).toMatchObject({ ok: false, failure: { kind: 'throttled', retryAfterMs: 9_000 } });
    await upstream.fault('/registry/', [{ status: 400, body: '{}' }], { repeat: true });
    expect(await pull('0')).toMatchObject({ ok: false, failure: { kind: 'cursor' } });
    await upstream.fault('/registry/', [{ status: 200, body: '<html>' }], { repeat: true });
    expect(await pull('0')).toMatchObject({ ok: false, failure: { kind: 'shape' } });
  });

  it('dies of what is no fault of the upstream: a request of a pull without a permit', async () => {
    const pull = async () => await exports.Loader.run('npm', 'pull', { cursor: '0', poll: 0, permits: [] });
    await expect(pull()).rejects.toThrow('permit');
  });

  it('gets a permit from its object for a request of a load that was not foreseen', async () => {
    expect(await load(['ms'], { permits: [] })).toMatchObject([{ kind: 'rows' }]);
  });
});
