import { describe, expect, it } from 'vitest';
import { LOADER_DEATHS_MAX } from '../../../src/engine/load/slices.ts';
import { StepError } from '../../../src/errors.ts';
import { LIMITS } from '../../../src/limits.ts';
import { PARQUET } from '../../simulation/world/encode.ts';
import { unwatch, watch } from '../../simulation/world/visits.ts';
import { followed, pass, reached, runUntil } from '../../simulation/world/world.ts';
import { deletion, evidenceOf, fedWorld, feed, inletOf, isRead, keysOf, read, refusalsOf, row } from './fed-world.ts';

const MINUTE = 60_000;

describe('an inlet', () => {
  it.each([undefined, PARQUET])('adds the keys of all settled rows, from the first one on', async encoding => {
    const world = await fedWorld(encoding && { encoding });
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) world.feeding.say(name, { key: `${name}.red` });
    world.feeding.settle();
    world.feeding.say('g', { key: 'g.blue' });
    world.feeding.settle();
    world.feeding.say('h', { key: 'h.blue' });
    await read(world);
    expect(keysOf(world)).toEqual(['a.red', 'b.red', 'c.red', 'd.red', 'e.red', 'f.red', 'g.blue']);
    expect(inletOf(world)).toMatchObject({ identity: 'table 1', lsn: 7, last_lsn: 7, rows: 7, findings: 7, added: 7 });
  });

  it('reads rows soon after they are settled', async () => {
    const world = await fedWorld({ keys: ['a.red'] });
    await followed(world);
    world.feeding.say('a', { key: 'a.red' });
    world.feeding.settle();
    const startMs = world.clock.elapsedMs;
    await read(world);
    expect(world.clock.elapsedMs - startMs).toBeLessThanOrEqual(2 * world.options.inletPollMs);
    await runUntil(world, { until: () => world.balance.rows === 1, withinMs: 10_000 });
  });

  it('adds a key once, however many rows name it, and leaves a watched one as it is', async () => {
    const world = await fedWorld({ keys: ['a.red'] });
    await watch(world, ['a.red']);
    await followed(world);
    const before = world.engine.journal.agenda!.find('a.red');
    await feed(world, ...['a', 'b', 'c'].map(name => ({ name, op: 'upsert' as const, says: [{ key: 'a.red' }] })));
    expect(world.engine.journal.agenda!.find('a.red')).toEqual(before);
    expect(inletOf(world)).toMatchObject({ findings: 3, added: 0, items: 0 });
  });

  it('passes over what is no key, too large or too long, and counts each by its reason', async () => {
    const world = await fedWorld();
    const facts = { text: 'é'.repeat(300) };
    world.feeding.say(
      'a',
      { key: 'k'.repeat(200_000) },
      { key: 'no key' },
      { key: `${'k'.repeat(1_100)}.red` },
      { key: 'a\u0000.red' },
      { key: 'b.red', facts },
      { key: 'b.red', item: 'i'.repeat(600), facts: {} },
      { key: 'good.red', sample: '\ud800'.repeat(300), facts: { ok: true } },
    );
    world.feeding.add({ name: 'b', op: 'upsert', says: 'no list' as never });
    world.feeding.say('c', ...Array.from({ length: 1_002 }, () => ({ key: 'many.red' })));
    world.feeding.say('d', { key: 'after.red' });
    world.feeding.settle();
    await read(world);
    expect(refusalsOf(world)).toEqual({
      'facts-too-large': 1,
      'item-too-long': 1,
      'key-too-long': 2,
      'no-key': 2,
      'row-unreadable': 1,
      'too-many-findings': 2,
    });
    expect(keysOf(world)).toEqual(['after.red', 'good.red', 'many.red']);
    const [item] = world.engine.journal.evidence!.of('good.red').evidence.items;
    expect(item!.sample).toBe('\ufffd'.repeat(LIMITS.sampleLengthMax));
    expect(world.fault('inlet:npm_package')).toBeNull();
  });

  it('reads a merged file from the row after its LSN on', async () => {
    const world = await fedWorld();
    await feed(world, row('a', { key: 'a.red', n: 1 }));
    world.feeding.add(row('b', { key: 'b.red', n: 1 }));
    world.feeding.settle();
    world.feeding.merge(0, 2);
    await read(world);
    expect(inletOf(world)).toMatchObject({ lsn: 2, rows: 2, items: 2 });
  });

  it('goes on with the new files where those that it was reading were merged', async () => {
    const world = await fedWorld();
    for (const name of ['a', 'b', 'c']) {
      world.feeding.add(row(name, { key: `${name}.red`, n: 1 }));
      world.feeding.settle();
    }
    const held = world.calls.hold(/^load\.inlet npm_package 1/);
    await reached(world, held);
    world.feeding.merge(0, 3);
    held.release();
    await read(world);
    expect(inletOf(world)).toMatchObject({ lsn: 3, rows: 3, items: 3 });
    expect(world.fault('inlet:npm_package')).toBeNull();
  });

  it('begins again with a table that began anew, and forgets what the old one said', async () => {
    const world = await fedWorld({ keys: ['a.red', 'b.red'] });
    await feed(world, row('a', { key: 'a.red', n: 1 }), row('b', { key: 'b.red', n: 1 }), row('c'));
    world.feeding.beginAnew();
    await pass(world, 5 * MINUTE);
    // Before its first row nothing says that the table is another one.
    expect(evidenceOf(world, 'a.red')).toEqual(['a/role={"n":1}']);
    await feed(world, row('b', { key: 'b.red', n: 2 }));
    expect(inletOf(world)).toMatchObject({ identity: 'table 2', lsn: 1, items: 1 });
    expect([evidenceOf(world, 'a.red'), evidenceOf(world, 'b.red')]).toEqual([[], ['b/role={"n":2}']]);
    // Both keys are visited again with what is left.
    await followed(world);
    expect(keysOf(world)).toEqual(['a.red', 'b.red']);
    expect(world.log.filter(({ event }) => event === 'inlet_restarted')).toHaveLength(1);
  });

  it('drops the evidence of an old table in parts, and a kill between two does no harm', async () => {
    const world = await fedWorld();
    const rows = Array.from({ length: 5 }, (_, part) =>
      row(`row-${part}`, ...Array.from({ length: 999 }, (_, n) => ({ key: `k${part}.red`, item: `${n}`, n }))),
    );
    await feed(world, ...rows);
    expect(inletOf(world).items).toBe(4_995);
    world.feeding.beginAnew();
    world.feeding.add(row('b', { key: 'b.red', n: 2 }));
    world.feeding.settle();
    let killed = false;
    const off = world.calls.before(call => {
      const { items } = inletOf(world);
      if (killed || items === 4_995 || items === 0) return;
      killed = true;
      world.kill({ lose: false });
      throw new Error(`killed at ${call}`);
    });
    await read(world);
    off();
    expect(killed).toBe(true);
    expect(inletOf(world)).toMatchObject({ identity: 'table 2', lsn: 1, items: 1, last_lsn: 1 });
    expect(world.storage.sql.exec('SELECT key FROM evidence_keys')).toEqual([{ key: 'b.red' }]);
  });

  it('keeps a removed key out until a person adds it again, with all that was said of it meanwhile', async () => {
    const world = await fedWorld({ keys: ['a.red'] });
    await feed(world, row('a', { key: 'a.red', n: 1 }));
    await followed(world);
    await unwatch(world, ['a.red']);
    await feed(world, row('a', { key: 'a.red', n: 2 }), row('b', { key: 'a.red', n: 3 }));
    expect(keysOf(world)).toEqual([]);
    expect(refusalsOf(world)).toEqual({ removed: 2 });
    await watch(world, ['a.red']);
    expect(evidenceOf(world, 'a.red')).toEqual(['b/role={"n":3}', 'a/role={"n":2}']);
    await feed(world, row('c', { key: 'a.red', n: 4 }));
    expect(refusalsOf(world)).toEqual({ removed: 2 });
  });

  it('withdraws what a deleted row said', async () => {
    const world = await fedWorld();
    await feed(world, row('a', { key: 'a.red', n: 1 }), row('b', { key: 'a.red', n: 2 }));
    await feed(world, deletion('a'));
    expect(evidenceOf(world, 'a.red')).toEqual(['b/role={"n":2}']);
    expect(keysOf(world)).toEqual(['a.red']);
  });
});

describe('while an inlet fails', () => {
  it('visits go on, and it reads the rest when its source answers again', async () => {
    const world = await fedWorld({ keys: ['a.red', 'b.red'] });
    const repair = world.calls.fail(/^feeding\.files/);
    await watch(world, ['a.red']);
    world.feeding.say('b', { key: 'b.red' });
    world.feeding.settle();
    // A source that does not answer for a day.
    await pass(world, 24 * 60 * MINUTE);
    expect(world.fault('inlet:npm_package')).toMatchObject({ kind: 'source-failed', stalls: 0 });
    expect(world.balance.changes).toBeGreaterThan(5);
    expect(world.state).toBe('backing-off');
    repair();
    await runUntil(world, { until: isRead(world), withinMs: 6 * MINUTE });
    expect(world.fault('inlet:npm_package')).toBeNull();
  });

  it('a bucket that fails backs it off', async () => {
    const world = await fedWorld();
    world.feeding.say('a', { key: 'a.red' });
    world.feeding.settle();
    const { bucket } = world;
    const { range } = bucket;
    bucket.range = async () => {
      throw new StepError('bucket-failed', 'the bucket is down');
    };
    await pass(world, 10 * MINUTE);
    expect(world.fault('inlet:npm_package')).toMatchObject({ kind: 'loader-failed', stalls: 0 });
    bucket.range = range;
    await runUntil(world, { until: isRead(world), withinMs: 6 * MINUTE });
  });

  const DAMAGES: [string, (bytes: Uint8Array) => Uint8Array | null, RegExp][] = [
    ['is gone', () => null, /expected an object with etag .*, got none/],
    ['is cut at its end', bytes => bytes.subarray(0, bytes.length - 20), /expected \d+ bytes at \d+, got \d+/],
    ['lacks its first half', bytes => bytes.subarray(bytes.length / 2), /expected \d+ bytes at \d+, got \d+/],
    ['has a damaged row group', bytes => overwritten(bytes, 4, 400), /data-0000000000000001/],
    ['has a damaged footer', bytes => overwritten(bytes, bytes.length - 60, 40), /data-0000000000000001/],
    ['has another end', bytes => overwritten(bytes, bytes.length - 4, 4), /expected PAR1 at its end, got none/],
  ];

  it.each(DAMAGES)('a file that %s stalls it alone, until the file is restored', async (_, damage, message) => {
    const world = await fedWorld({ encoding: PARQUET, keys: ['a.red', 'b.red'] });
    await watch(world, ['a.red']);
    world.feeding.say('b', { key: 'b.red' });
    world.feeding.settle();
    const { key } = world.feeding.files[0]!;
    const stored = world.bucket.objects.get(key)!;
    const bytes = damage(stored.bytes);
    // The etag stays, because that of an object put in parts is no digest of its bytes.
    if (bytes) world.bucket.objects.set(key, { ...stored, bytes });
    else world.bucket.objects.delete(key);
    await pass(world, 30 * MINUTE);
    const fault = world.fault('inlet:npm_package')!;
    expect(fault).toMatchObject({ kind: 'feed-damaged', stalls: 1 });
    expect(fault.reason).toMatch(message);
    expect(world.state).toBe('stalled');
    expect(inletOf(world)).toMatchObject({ lsn: 0, rows: 0 });
    // Nothing else is held up.
    expect(world.balance.rows).toBe(1);
    world.bucket.objects.set(key, stored);
    await runUntil(world, { until: isRead(world), withinMs: 6 * MINUTE });
    await followed(world);
    expect(world.state).toBe('following');
  });

  it('rows that end Loader after Loader stall it, and those that end one do not', async () => {
    const world = await fedWorld();
    world.feeding.say('a', { key: 'a.red' });
    world.feeding.settle();
    const repair = world.calls.fail(/^load\.inlet/);
    await runUntil(world, { until: () => world.fault('inlet:npm_package') !== null });
    expect(world.fault('inlet:npm_package')).toMatchObject({ kind: 'loader-failed', failures: 1 });
    await runUntil(world, { until: () => world.fault('inlet:npm_package')?.stalls === 1, withinMs: 10 * MINUTE });
    expect(world.fault('inlet:npm_package')).toMatchObject({ kind: 'feed-damaged', failures: LOADER_DEATHS_MAX });
    repair();
    await read(world);
    expect(world.storage.sql.exec('SELECT * FROM suspects')).toEqual([]);
  });

  it('Loaders that do not run at all count no row as damaged', async () => {
    const world = await fedWorld();
    world.feeding.say('a', { key: 'a.red' });
    world.feeding.settle();
    const repair = world.calls.fail(/^load\./);
    await pass(world, 60 * MINUTE);
    expect(world.fault('inlet:npm_package')).toMatchObject({ kind: 'loader-failed', stalls: 0 });
    repair();
    await read(world);
  });

  it('a gap before the next file stalls it', async () => {
    const world = await fedWorld();
    for (const name of ['a', 'b']) {
      world.feeding.say(name, { key: `${name}.red` });
      world.feeding.settle();
    }
    const [first] = world.feeding.files.splice(0, 1);
    await runUntil(world, { until: () => world.fault('inlet:npm_package') !== null });
    expect(world.fault('inlet:npm_package')).toMatchObject({ kind: 'feed-damaged', stalls: 1 });
    world.feeding.files.unshift(first!);
    await read(world);
  });

  it('a failure of an inlet that the settings no longer name is forgotten', async () => {
    const world = await fedWorld();
    world.calls.fail(/^feeding\.files/);
    await runUntil(world, { until: () => world.fault('inlet:npm_package') !== null });
    (world as { fed: boolean }).fed = false;
    world.kill({ lose: false });
    expect(world.fault('inlet:npm_package')).toBeNull();
  });
});

function overwritten(bytes: Uint8Array, offset: number, count: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy.fill(0xa5, offset, offset + count);
  return copy;
}
