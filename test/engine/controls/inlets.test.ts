import { describe, expect, it } from 'vitest';
import { inletsOf } from '../../../src/engine/controls/inlets.ts';
import { metricsOf } from '../../../src/engine/controls/metrics.ts';
import { healthOf, settledFilesOf, statusOf } from '../../../src/engine/controls/status.ts';
import { followed, pass, runUntil, startedWorld } from '../../simulation/world/world.ts';
import { fedWorld, feed, isRead, read, row } from '../follow/fed-world.ts';

const MINUTE = 60_000;

describe('the status of an inlet', () => {
  it('says how far it has read, what the rows gave, and what was passed over', async () => {
    const world = await fedWorld();
    world.feeding.say('a', { key: 'no key' }, { key: 'a.red', facts: { n: 1 } }, { key: 'b.red' });
    world.feeding.settle();
    await read(world);
    const { inlets, state } = await statusOf(world.engine);
    expect(inlets).toEqual([
      {
        source: 'feeder',
        table: 'npm_package',
        state: 'waiting',
        lsn: 1,
        behind: 0,
        rows: 1,
        findings: 2,
        added: 2,
        evidence: 1,
        passed_over: { 'no-key': 1 },
        asked_at: expect.stringMatching(/^\d{4}-/),
        last_error: { kind: null, reason: null, hint: null, retry: null, at: null },
      },
    ]);
    expect(state).toBe('following');
    expect((await metricsOf(world.engine)).inlets).toEqual([
      { table: 'npm_package', lsn: 1, behind: 0, findings: 2, evidence: 1, passed_over: { 'no-key': 1 } },
    ]);
  });

  it('says why it does not go on, and makes the source unhealthy', async () => {
    const world = await fedWorld();
    await feed(world, row('a', { key: 'a.red', n: 1 }));
    world.feeding.say('b', { key: 'b.red' });
    world.feeding.settle();
    world.bucket.objects.delete(world.feeding.files[1]!.key);
    await pass(world, 30 * MINUTE);
    expect(inletsOf(world.engine)[0]).toMatchObject({
      state: 'stalled',
      lsn: 1,
      behind: 1,
      last_error: { kind: 'feed-damaged', hint: expect.stringContaining('restore the file') },
    });
    expect(healthOf(world.engine)).toMatchObject({ ok: false, reason: expect.stringContaining('npm_package') });
  });

  it('is reading while rows are left, and backing off after a failure that passes', async () => {
    const world = await fedWorld();
    const repair = world.calls.fail(/^load\.inlet/, { times: 1 });
    world.feeding.say('a', { key: 'a.red' });
    world.feeding.settle();
    await runUntil(world, { until: () => world.fault('inlet:npm_package') !== null });
    expect(inletsOf(world.engine)[0]).toMatchObject({ state: 'backing-off', behind: 1 });
    world.engine.journal.state.clearFault('inlet:npm_package');
    expect(inletsOf(world.engine)[0]).toMatchObject({ state: 'reading', behind: 1 });
    repair();
    await runUntil(world, { until: isRead(world) });
  });

  it('is none of a source without inlets', async () => {
    const world = await startedWorld();
    expect((await statusOf(world.engine)).inlets).toEqual([]);
  });
});

describe('the settled files of a table', () => {
  it('are those with rows after an LSN, under the identity that the table got with its first row', async () => {
    const world = await startedWorld();
    const files = (afterLsn: number, limit = 10) =>
      settledFilesOf(world.engine, { table: 'npm_package', afterLsn, limit });
    await followed(world);
    expect(files(0)).toEqual({ identity: null, lastLsn: 0, files: [] });
    for (const names of [['a', 'b', 'c'], ['d'], ['e', 'f']]) {
      world.upstream.publish(names);
      await followed(world);
    }
    const { identity, lastLsn } = files(0);
    expect(identity).toMatch(/^[0-9a-f-]{36}$/);
    expect(lastLsn).toBe(6);
    const firsts = (afterLsn: number, limit?: number) => files(afterLsn, limit).files.map(({ first_lsn }) => first_lsn);
    expect([0, 1, 2, 3, 4, 5, 6, 7].map(lsn => firsts(lsn))).toEqual([
      [1, 4, 5],
      [1, 4, 5],
      [1, 4, 5],
      [4, 5],
      [5],
      [5],
      [],
      [],
    ]);
    expect([firsts(0, 2), firsts(1, 1), firsts(3, 1)]).toEqual([[1, 4], [1], [4]]);
    // Each file says in the bucket which table it is of.
    for (const { key } of files(0).files) expect((await world.bucket.head(key))?.metadata).toMatchObject({ identity });
    expect(() => settledFilesOf(world.engine, { table: 'other', afterLsn: 0, limit: 1 })).toThrow(
      'coalescing: expected one of its tables, got other',
    );
  });

  it('are of another identity where the object has begun anew', async () => {
    const identities = await Promise.all(
      [1, 2].map(async () => {
        const world = await startedWorld();
        world.upstream.publish('a');
        await followed(world);
        return world.engine.files.identity('npm_package');
      }),
    );
    expect(new Set(identities).size).toBe(2);
  });
});
