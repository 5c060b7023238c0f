import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BACKOFF_MS_MAX } from '../../src/alarm/backoff.ts';
import { LIMITS } from '../../src/config.ts';
import { expectNewest, expectProof } from '../simulation/oracle/proof.ts';
import { drained } from '../simulation/world/clock.ts';
import { followed, nextRun, pass, runUntil, startedWorld, type World } from '../simulation/world/world.ts';

const MINUTE = 60_000;
const names = (count: number) => Array.from({ length: count }, (_, index) => `package-${index}`);
const armed = (call: string) => Number(call.split(' ')[1]);

/** Marks changes so that each is loaded by a call of its own, one after the other. */
function loadAlone({ engine, upstream }: World, keys: string[]): void {
  for (const key of keys)
    engine.journal.state.suspectChange(String(upstream.items.get(key)!.seq), { deaths: 0, throttled: 0 });
}

describe('a run', () => {
  it('is armed for its own death before it does anything', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    const { length } = world.calls.made;
    const nowMs = world.clock.now();
    await nextRun(world);
    const [first, second] = world.calls.made.slice(length);
    expect(first).toBe(`wake.set ${nowMs + LIMITS.recoveryMs}`);
    expect(second).toMatch(/^bucket\.list/);
  });

  it('waits for its alarm to be armed before it does anything', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    const arming = world.calls.hold(/^wake\.set/);
    world.fire();
    await arming.made;
    await drained();
    expect(world.calls.made.at(-1)).toMatch(/^wake\.set/);
    arming.release();
    await runUntil(world, { until: () => world.balance.changes === 1 });
  });

  it('keeps the alarm ahead of it while it works', async () => {
    const world = await startedWorld({ pageChanges: 10 });
    world.upstream.publish(names(60));
    world.upstream.latencyMs = () => 4_000;
    const late: string[] = [];
    world.calls.before(call => {
      if (!call.startsWith('load.') || world.storage.alarmMs === null) return;
      if (world.storage.alarmMs - world.clock.now() < LIMITS.recoveryMs / 2) late.push(call);
    });
    await followed(world);
    expect(late).toEqual([]);
  });

  it('is followed by the next when it is killed', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    const load = world.calls.hold(/^load\.load/);
    void load.made.then(() => world.kill());
    await runUntil(world, { until: () => world.balance.changes === 1 });
    expect(world.clock.elapsedMs).toBe(LIMITS.recoveryMs);
    load.release();
    await followed(world);
    await expectProof(world);
  });

  it('arms the next when it ends, however it ends', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    world.calls.fail(/^(bucket|d1|load)\./);
    for (let run = 0; run < 10; run++) {
      await nextRun(world);
      const aheadMs = world.storage.alarmMs! - world.clock.now();
      expect(aheadMs).toBeGreaterThan(0);
      expect(aheadMs).toBeLessThanOrEqual(BACKOFF_MS_MAX);
    }
  });

  it('is repeated by the platform when not even its alarm can be set', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    const repair = world.calls.fail(/^wake\.set/);
    await nextRun(world);
    expect(world.balance.changes).toBe(0);
    repair();
    await followed(world);
    await expectProof(world);
  });
});

describe('a wake during a run', () => {
  it('starts no second run, and leaves an alarm and a note', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    const load = world.calls.hold(/^load\.load/);
    const run = nextRun(world);
    await load.made;
    const { length } = world.calls.made;
    await world.engine.wake();
    const calls = world.calls.made.slice(length);
    expect(calls.map(armed)).toEqual([world.clock.now() + LIMITS.recoveryMs]);
    load.release();
    await run;
    expect(world.storage.alarmMs).toBe(world.clock.now());
    await followed(world);
    await expectProof(world);
  });

  it.each([/^wake\.set/, /^bucket\.list/, /^load\.start/, /^load\.pull/, /^load\.load/, /^bucket\.put .*data-/, /^d1/])(
    'is harmless while %s waits',
    async pattern => {
      const world = await startedWorld();
      world.upstream.publish(['a', 'b']);
      let wakes = 0;
      world.calls.before(async call => {
        if (!pattern.test(call) || wakes >= 5) return;
        wakes += 1;
        if (world.running) await world.engine.wake();
      });
      await followed(world);
      await expectProof(world);
      await expectNewest(world);
      expect(world.upstream.requests.filter(({ subject }) => subject === 'a')).toHaveLength(1);
    },
  );
});

describe('the steps of a run', () => {
  it.each([
    ['follow', /^load\.pull/],
    ['flush', /^bucket\.put .*data-/],
    ['database', /^d1/],
  ])('go on when %s fails', async (failing, pattern) => {
    const world = await startedWorld();
    world.upstream.publish(['a', 'b']);
    await followed(world);
    const repair = world.calls.fail(pattern);
    world.upstream.publish('c');
    if (failing === 'follow') {
      await world.engine.control('flush');
      await pass(world, 5 * MINUTE);
      expect(world.fault('follow')).not.toBeNull();
    } else {
      await runUntil(world, { until: () => world.balance.changes === 3 });
      await pass(world, MINUTE);
      world.upstream.publish('d');
      await runUntil(world, { until: () => world.balance.changes === 4, withinMs: MINUTE });
    }
    repair();
    await followed(world);
    await expectProof(world);
    await expectNewest(world);
  });

  it('ended well only when none of them failed', async () => {
    const world = await startedWorld();
    const endedMs = () => world.engine.journal.state.source().last_success_ms;
    await nextRun(world);
    const first = endedMs();
    expect(first).toBe(world.clock.now());
    const repair = world.calls.fail(/^d1/);
    world.upstream.publish('a');
    await pass(world, 10 * MINUTE);
    expect(world.clock.now() - endedMs()!).toBeGreaterThan(9 * MINUTE);
    repair();
    await followed(world);
    await nextRun(world);
    expect(endedMs()).toBe(world.clock.now());
  });
});

/** No step takes a run's whole time any more, so a run is given less of it here. */
describe('a run that takes too long', () => {
  const { runMsMax } = LIMITS;
  beforeEach(() => void Object.assign(LIMITS, { runMsMax: MINUTE }));
  afterEach(() => void Object.assign(LIMITS, { runMsMax }));

  it('is given up, and starts again', async () => {
    const world = await startedWorld();
    world.upstream.publish(names(12));
    loadAlone(world, names(12));
    world.upstream.latencyMs = key => (key.startsWith('package') ? 40_000 : 0);
    await runUntil(world, { until: () => world.fault('run') !== null });
    expect(world.fault('run')).toMatchObject({ kind: 'deadline' });
    expect(world.clock.elapsedMs).toBe(MINUTE);
    world.upstream.latencyMs = () => 0;
    await followed(world);
    expect(world.fault('run')).toBeNull();
    await expectProof(world);
  });

  it('lets nothing in that it loaded after it was given up', async () => {
    const world = await startedWorld({ pageChanges: 400 });
    world.upstream.publish(names(400));
    loadAlone(world, names(8));
    world.upstream.latencyMs = key => (Number(key.split('-')[1]) < 8 ? 40_000 : 0);
    await runUntil(world, { until: () => world.fault('run') !== null });
    // The run that was given up hears its last answer while the next one loads the same changes.
    world.upstream.latencyMs = key => (Number(key.split('-')[1]) < 8 ? 5_000 : 0);
    await followed(world);
    await expectProof(world);
    await expectNewest(world);
    expect(world.balance).toMatchObject({ changes: 400, rows: 400 });
  });

  it('does not mind that its successor has settled its file', async () => {
    const world = await startedWorld();
    world.upstream.publish(names(8));
    await nextRun(world);
    world.upstream.publish(names(7));
    loadAlone(world, names(1));
    world.upstream.latencyMs = key => (key === 'package-0' ? 39_000 : 0);
    const put = world.calls.hold(/^bucket\.put .*data-/, { answer: true });
    await runUntil(world, { until: () => world.files.length === 1 });
    expect(world.log.filter(({ step }) => step === 'run')).toHaveLength(1);
    put.release();
    await drained();
    expect(world.fault('flush:npm_package')).toBeNull();
    world.upstream.latencyMs = () => 0;
    await followed(world);
    await expectProof(world);
  });
});
