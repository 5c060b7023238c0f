import { describe, expect, it } from 'vitest';
import { expectProof } from '../../simulation/oracle/proof.ts';
import { agendaWorld, unwatch, visitCount, watch } from '../../simulation/world/visits.ts';
import { pass, runUntil, type World } from '../../simulation/world/world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const KEYS = ['a.red', 'b.red', 'c.blue'];
/** Visits of an unchanged key until then: at once, and after 1 and 3 hours. */
const UNTIL_MS = 3.5 * HOUR;
const VISITS = 3 * KEYS.length;

async function watchedWorld(): Promise<World> {
  const world = await agendaWorld({ pollMs: HOUR, selfCheckMs: 30 * 24 * HOUR });
  world.upstream.publish(KEYS, 'text');
  await watch(world, KEYS);
  return world;
}

/** Ends the instance at each call of a number, before the call has its effect or before its answer is heard. */
function killAt(world: World, { at, when, lose }: { at: number[]; when: 'before' | 'after'; lose: boolean }): void {
  const start = world.calls.made.length;
  const left = new Set(at);
  world.calls[when](() => {
    if (!left.delete(world.calls.made.length - start)) return;
    world.kill({ lose });
    if (when === 'before') throw new Error('the instance is dead');
  });
}

async function expectVisits(world: World, label: string): Promise<void> {
  // The watchdog re-arms an object whose alarm was lost.
  for (let elapsed = 0; elapsed < UNTIL_MS; elapsed += 30 * MINUTE) {
    await pass(world, 30 * MINUTE);
    // That may kill it too; then there is no answer.
    void world.engine.watch();
  }
  await runUntil(world, { until: () => world.isFollowed });
  expect(visitCount(world), label).toBe(VISITS);
  expect(world.balance, label).toMatchObject({ changes: VISITS, rows: KEYS.length, balanced: true });
  await expectProof(world);
}

describe('an agenda whose object is killed', () => {
  it('forgets no key and visits none twice, at whatever call', async () => {
    const calm = await watchedWorld();
    const before = calm.calls.made.length;
    await runUntil(calm, { until: () => visitCount(calm) === 2 * KEYS.length && calm.isFollowed });
    const calls = calm.calls.made.length - before;
    expect(calls).toBeGreaterThan(30);
    for (let at = 1; at <= calls; at++)
      for (const when of ['before', 'after'] as const) {
        const world = await watchedWorld();
        killAt(world, { at: [at], when, lose: at % 2 === 0 });
        await expectVisits(world, `killed ${when} call ${at}`);
        await world.recycle();
      }
  });

  it('again and again forgets no key and visits none twice', async () => {
    for (const step of [3, 5, 7, 11, 13]) {
      const world = await watchedWorld();
      killAt(world, { at: Array.from({ length: 40 }, (_, index) => step * (index + 1)), when: 'after', lose: true });
      await expectVisits(world, `killed at every ${step}th call`);
      await world.recycle();
    }
  });

  it('before a removal is safe tells so, and has it when it is asked again', async () => {
    const world = await watchedWorld();
    await runUntil(world, { until: () => world.isFollowed });
    const answer = world.calls.hold(/^object\.unwatch/);
    const removed = unwatch(world, ['a.red']);
    await answer.made;
    world.kill();
    answer.release();
    await removed.catch(() => 0);
    await unwatch(world, ['a.red']);
    expect(world.engine.journal.agenda!.find('a.red')).toBeNull();
    expect(world.engine.journal.agenda!.spaces()).toMatchObject([{ keys: 1 }, { keys: 1 }]);
  });
});
