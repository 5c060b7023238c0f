import { describe, expect, it } from 'vitest';
import { npmPackage } from '../../../schemas/npm_package.ts';
import type { ApiEnv } from '../../../src/api/env.ts';
import { createApi } from '../../../src/api/router.ts';
import { LIMITS } from '../../../src/config.ts';
import type { SourceStub } from '../../../src/contract/objects.ts';
import type { PushPart } from '../../../src/contract/push.ts';
import { takePush } from '../../../src/engine/controls/push.ts';
import { partitionsPrefix } from '../../../src/lake/object-keys.ts';
import { expectProof, lakeRows } from '../../simulation/oracle/proof.ts';
import { followed, pass, runUntil, startedWorld, type World } from '../../simulation/world/world.ts';

const HOUR = 3_600_000;
const TOKEN = 'token-of-this-test';
interface Answer {
  accepted: number;
  repeated: number;
  rejected: number;
  idempotency_key: string;
  rejections: { line: number; column: string | null; expected: string; actual: string }[];
  error?: { code: string; message: string; hint: string };
}

/** The real API over a simulated object, whose calls may be failed as all others. */
function pusher(world: World) {
  const push = (part: PushPart) =>
    world.calls.make(`object.push ${part.rows.length}`, async () => {
      const pushed = await takePush(world.engine, structuredClone(part));
      world.storage.flush();
      return pushed;
    });
  const env = {
    SOURCES_NS: { getByName: () => ({ push }) as unknown as SourceStub },
    CATALOG_NS: { getByName: () => expect.fail('expected no call of the catalog') },
    ADMIN_TOKEN: TOKEN,
  } as ApiEnv;
  const sources = [{ id: 'npm', tables: [npmPackage], settings: () => ({}) }];
  const api = createApi({ sources, tables: [npmPackage], log: () => undefined });
  return async (
    body: BodyInit | null,
    {
      type = 'application/x-ndjson',
      key,
      path = '/v1/sources/npm/records',
      token = TOKEN,
    }: Record<string, string> = {},
  ): Promise<Answer & { status: number }> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': type, ...(key && { 'idempotency-key': key }) };
    const init = { method: 'POST', headers, body, duplex: 'half' } as RequestInit;
    const response = await api.fetch(new Request(`http://lake.test${path}`, init), env);
    return { status: response.status, ...((await response.json()) as Answer) };
  };
}

const line = (name: string, more: object = {}) => JSON.stringify({ name, version: '1.0.0', ...more });
/** A body that comes in these chunks. */
function streamOf(chunks: Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

const filed = (world: World) => () => world.isFollowed;

describe('records that are pushed', () => {
  it('are rows of the table, one a line, and in files in time', async () => {
    const world = await startedWorld();
    await followed(world);
    const answer = await pusher(world)(`${line('a')}\n\n${line('b', { stars: 7, data: '{}' })}\n`);
    expect(answer).toMatchObject({ status: 200, accepted: 2, repeated: 0, rejected: 0, rejections: [] });
    const startedMs = world.clock.elapsedMs;
    await runUntil(world, { until: filed(world) });
    expect(world.clock.elapsedMs - startedMs).toBeLessThanOrEqual(60_000);
    const rows = await lakeRows(world);
    expect(rows).toMatchObject([
      { name: 'a', version: '1.0.0', stars: null, _op: 'upsert', _cursor: `push/${answer.idempotency_key}/1#1` },
      { name: 'b', stars: 7, _cursor: `push/${answer.idempotency_key}/3#1` },
    ]);
    expect(world.database.runs()).toMatchObject([{ run_type: 'push', records_inserted: 2 }]);
    expect(world.balance).toMatchObject({ changes: 2, rows: 2, balanced: true });
    await expectProof(world);
  });

  it.each([
    ['an object', line('a'), 1],
    ['an object over lines', JSON.stringify({ name: 'a' }, null, 2), 1],
    ['a list', `[${line('a')},\n ${line('b')} ,${line('c')}]`, 3],
    [
      'a list with brackets, quotes and commas in texts',
      `[${line('a', { description: '],[{"\\",' })},${line('b')}]`,
      2,
    ],
    ['an empty list', ' [ ] ', 0],
    ['nothing', '', 0],
  ])('may be %s', async (_, body, accepted) => {
    const world = await startedWorld();
    const answer = await pusher(world)(body, { type: 'application/json; charset=utf-8' });
    expect(answer).toMatchObject({ status: 200, accepted, rejected: 0 });
    expect(world.balance.rows).toBe(accepted);
  });

  it('come in whichever way the body is cut into chunks', async () => {
    const records = Array.from({ length: 50 }, (_, index) => line(`package-${index}`, { description: 'é😀"\\[{' }));
    for (const [type, text] of [
      ['application/x-ndjson', records.join('\r\n')],
      ['application/json', `[${records.join(',')}]`],
    ] as const) {
      for (const size of [1, 2, 7, 1_000]) {
        const world = await startedWorld();
        const bytes = new TextEncoder().encode(text);
        const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
          bytes.slice(at * size, (at + 1) * size),
        );
        const answer = await pusher(world)(streamOf(chunks) as never, { type });
        expect(answer).toMatchObject({ status: 200, accepted: 50, rejected: 0 });
      }
    }
  });

  it('are taken though the source is paused, and flushed', async () => {
    const world = await startedWorld();
    await world.engine.control('pause');
    await pass(world, 60_000);
    await pusher(world)(line('a'));
    await runUntil(world, { until: () => world.files.length === 1 });
    expect(world.state).toBe('paused');
  });

  it('may be the first rows there are, and are refused where a former self left files', async () => {
    const world = await startedWorld();
    await pusher(world)(line('a'));
    await runUntil(world, { until: filed(world) });
    await pass(world, HOUR);
    expect(world.state).toBe('following');
    await expectProof(world);
    world.storage.wipe();
    world.kill();
    expect((await pusher(world)(line('a'))).status).toBeGreaterThanOrEqual(400);
    expect(world.balance.changes).toBe(0);
  });

  it('do not take the place of a change that is parked', async () => {
    const world = await startedWorld();
    world.upstream.faults.set('a', { status: 403 });
    world.upstream.publish('a');
    await runUntil(world, { until: () => world.parked.length === 1 });
    await pusher(world)(line('a'));
    world.upstream.faults.clear();
    await runUntil(world, { until: () => world.isFollowed && world.parked.length === 0 });
    expect(world.balance).toMatchObject({ changes: 2, rows: 2, skipped: { superseded: 0 } });
    await expectProof(world);
  });
});

describe('lines that are wrong', () => {
  const wrong: [string, string, string | null, string, string][] = [
    ['an unknown field', line('a', { nam: 'b' }), 'nam', 'a column of npm_package', 'no such column'],
    ['a lineage column', line('a', { _lsn: 7 }), '_lsn', 'a column of npm_package', 'no such column'],
    ['a wrong type', line('a', { stars: 'many' }), 'stars', 'a whole number up to 2^53 or null', 'text'],
    [
      'a number out of range',
      line('a', { stars: 2 ** 63 }),
      'stars',
      'a whole number up to 2^53 or null',
      'another number',
    ],
    ['a fraction', line('a', { stars: 1.5 }), 'stars', 'a whole number up to 2^53 or null', 'another number'],
    ['no key', '{"version":"1.0.0"}', 'name', 'text', 'nothing'],
    ['a key that is null', '{"name":null}', 'name', 'text', 'null'],
    ['an object where text is due', line('a', { data: {} }), 'data', 'text or null', 'an object'],
    ['a list', '[1]', null, 'a JSON object in UTF-8', 'a list'],
    ['text', '"a"', null, 'a JSON object in UTF-8', 'text'],
    ['no JSON', '{"name":"a"', null, 'a JSON object in UTF-8', 'no JSON'],
    [
      'a row over the limit',
      line('a', { data: 'x'.repeat(LIMITS.rowBytesMax) }),
      null,
      'a row of at most 1048576 bytes',
      'bytes',
    ],
    [
      'a line over the limit',
      line('a', { data: 'x'.repeat(LIMITS.pushLineBytesMax) }),
      null,
      'at most 2097152 bytes',
      'more',
    ],
  ];

  it.each(wrong)('are named: %s', async (_, text, column, expected, actual) => {
    const world = await startedWorld();
    const answer = await pusher(world)(`${line('before')}\n${text}\n${line('after')}`);
    expect(answer).toMatchObject({ status: 200, accepted: 2, rejected: 1 });
    const [rejection] = answer.rejections;
    expect(rejection).toMatchObject({ line: 2, column, expected });
    expect(rejection!.actual).toContain(actual);
  });

  it('are named: invalid UTF-8', async () => {
    const world = await startedWorld();
    const bytes = Buffer.concat([Buffer.from('{"name":"'), Buffer.from([0xff]), Buffer.from(`"}\n${line('b')}`)]);
    const answer = await pusher(world)(bytes as never);
    expect(answer).toMatchObject({ accepted: 1, rejections: [{ line: 1, actual: 'invalid UTF-8' }] });
  });

  it('are all counted, and the first of them listed', async () => {
    const world = await startedWorld();
    const answer = await pusher(world)(Array.from({ length: 50 }, () => '{}').join('\n'));
    expect(answer).toMatchObject({ accepted: 0, rejected: 50 });
    expect(answer.rejections.map(({ line }) => line)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
  });
});

describe('a request that is repeated under its key', () => {
  const records = (bad: Set<number>) =>
    Array.from({ length: 10_000 }, (_, index) => (bad.has(index) ? '{"name":7}' : line(`package-${index}`)));
  const BAD = new Set(Array.from({ length: 37 }, (_, index) => index * 270 + 5));

  it('adds only what is not there yet: cut in the middle, and whole again', { timeout: 60_000 }, async () => {
    const world = await startedWorld();
    await followed(world);
    const push = pusher(world);
    const lines = records(BAD);
    const bytes = new TextEncoder().encode(lines.join('\n'));
    const cut = new ReadableStream({
      start(controller) {
        controller.enqueue(bytes.slice(0, bytes.length / 2));
      },
      pull(controller) {
        controller.error(new Error('the client is gone'));
      },
    });
    const first = await push(cut as never, { key: 'k1' });
    expect(first).toMatchObject({ status: 400, error: { code: 'invalid_body' } });
    const before = world.balance.rows;
    expect(before).toBeGreaterThanOrEqual(2_000);
    expect(before).toBeLessThan(5_000);
    const second = await push(bytes as never, { key: 'k1' });
    expect(second).toMatchObject({ status: 200, accepted: 9_963 - before, repeated: before, rejected: 37 });
    expect(second.rejections[0]).toEqual({ line: 6, column: 'name', expected: 'text', actual: 'another number' });
    expect(await push(bytes as never, { key: 'k1' })).toMatchObject({ accepted: 0, repeated: 9_963 });
    await runUntil(world, { until: filed(world) });
    expect(await lakeRows(world)).toHaveLength(9_963);
    await expectProof(world);
  });

  it('adds what was mended since', async () => {
    const world = await startedWorld();
    const push = pusher(world);
    await push(`${line('a')}\n{"name":7}`, { key: 'k1' });
    expect(await push(`${line('a')}\n${line('b')}`, { key: 'k1' })).toMatchObject({ accepted: 1, repeated: 1 });
  });

  it('adds nothing twice though its parts failed, were lost, or the object died', async () => {
    const world = await startedWorld();
    await followed(world);
    const push = pusher(world);
    const body = Array.from({ length: 7_000 }, (_, index) => line(`package-${index}`)).join('\n');
    world.calls.fail(/^object\.push/, { times: 1, answer: 'lost' });
    expect((await push(body, { key: 'k1' })).status).toBe(409);
    world.kill();
    world.calls.fail(/^object\.push/, { times: 1 });
    expect((await push(body, { key: 'k1' })).status).toBe(409);
    expect(await push(body, { key: 'k1' })).toMatchObject({ status: 200, accepted: 5_000, repeated: 2_000 });
    await runUntil(world, { until: filed(world) });
    await expectProof(world);
  });

  it('is a new one after its time, and under another key', async () => {
    const world = await startedWorld({ pollMs: 12 * HOUR });
    const push = pusher(world);
    expect(await push(line('a'), { key: 'k1' })).toMatchObject({ accepted: 1 });
    expect(await push(line('a'), { key: 'k2' })).toMatchObject({ accepted: 1 });
    await pass(world, 13 * 24 * HOUR);
    expect(await push(line('a'), { key: 'k1' })).toMatchObject({ accepted: 0, repeated: 1 });
    await pass(world, 2 * 24 * HOUR);
    await push(line('b'), { key: 'k3' });
    expect(await push(line('a'), { key: 'k1' })).toMatchObject({ accepted: 1, repeated: 0 });
    await runUntil(world, { until: filed(world) });
    await expectProof(world);
  });
});

describe('a request that is wrong', () => {
  it.each([
    [{ token: 'other' }, 401, 'unauthorized'],
    [{ path: '/v1/sources/gopher/records' }, 404, 'not_found'],
    [{ path: '/v1/sources/npm/records?table=domain' }, 400, 'invalid_setting'],
    [{ type: 'text/csv' }, 400, 'invalid_body'],
    [{ key: 'k'.repeat(201) }, 400, 'invalid_body'],
  ])('is refused with %j, and has no effect', async (options, status, code) => {
    const world = await startedWorld();
    const answer = await pusher(world)(line('a'), options as Record<string, string>);
    expect(answer).toMatchObject({ status, error: { code, hint: expect.any(String) } });
    expect(world.balance.changes).toBe(0);
  });

  it('is cut off where its body has no end', { timeout: 60_000 }, async () => {
    const world = await startedWorld();
    let sent = 0;
    const chunk = new TextEncoder().encode('x'.repeat(1_000_000));
    const endless = new ReadableStream({
      pull(controller) {
        sent += chunk.length;
        controller.enqueue(chunk);
      },
    });
    const answer = await pusher(world)(endless as never);
    expect(answer).toMatchObject({ status: 413, error: { code: 'too_large' } });
    expect(sent).toBeLessThan(LIMITS.pushBytesMax + 5_000_000);
  });

  it('waits where the journal is full', async () => {
    const world = await startedWorld();
    world.engine.journal.state.packedBytes = () => LIMITS.journalBytesMax + 1;
    const answer = await pusher(world)(line('a'));
    expect(answer).toMatchObject({
      status: 409,
      error: { code: 'conflict', message: expect.stringMatching(/^journal: /) },
    });
    expect(world.balance.changes).toBe(0);
  });

  it('is refused with the reason where the lake holds files of another journal', async () => {
    const world = await startedWorld();
    const key = `${partitionsPrefix(npmPackage)}year=2026/month=01/data-0000000000000001-0000000000000002.parquet`;
    await world.bucket.put(key, [new Uint8Array(1)], {
      onlyIf: { absent: true },
      metadata: {},
      contentType: 'application/octet-stream',
    });
    const answer = await pusher(world)(line('a'));
    expect(answer).toMatchObject({
      status: 409,
      error: {
        message: expect.stringContaining(key),
        hint: expect.stringMatching(/^The lake has data files of this table/),
      },
    });
  });
});
