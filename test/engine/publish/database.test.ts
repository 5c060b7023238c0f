import { describe, expect, it } from 'vitest';
import { StepError } from '../../../src/errors.ts';
import { expectProof } from '../../simulation/oracle/proof.ts';
import { followed, nextRun, pass, runUntil, startedWorld, type World } from '../../simulation/world/world.ts';

const MINUTE = 60_000;
const syncTimes = (world: World) => world.database.rows('SELECT last_sequence, last_sync_time FROM sync_state');

describe('the operational database', () => {
  it('delays nothing while it fails, and gets everything afterwards', async () => {
    const world = await startedWorld();
    const repair = world.calls.fail(/^d1/);
    for (const key of ['a', 'b', 'c']) {
      world.upstream.publish(key);
      await runUntil(world, { until: () => world.files.at(-1)?.cursor === String(world.upstream.seq) });
    }
    expect(world.database.runs()).toEqual([]);
    expect(world.fault('database')).toMatchObject({ kind: 'database-failed' });
    expect(world.state).toBe('backing-off');
    expect(world.engine.files.durableCursor()).toBe(String(world.upstream.seq));
    repair();
    await runUntil(world, { until: () => world.isFollowed, withinMs: 6 * MINUTE });
    expect(world.database.runs()).toHaveLength(3);
    await expectProof(world);
  });

  it('that refuses one dead letter gets the others, the files and the cursor, and that one in short', async () => {
    const world = await startedWorld();
    const keys = ['a', 'b', 'poison', 'c', 'd'];
    for (const key of keys) world.upstream.faults.set(key, { status: 451 });
    const { d1 } = world.engine.ports;
    const { batch } = d1;
    const isWhole = ({ params }: { params: unknown[] }) => /"key":"poison".*"history":\[\{/.test(String(params[1]));
    d1.batch = async statements => {
      if (statements.some(isWhole)) throw new StepError('database-failed', 'database batch: too big');
      return batch(statements);
    };
    world.upstream.publish([...keys, 'good']);
    await followed(world);
    await runUntil(world, { until: () => world.engine.journal.parked.letters.unpublished(1).length === 0 });
    const letters = world.database.rows('SELECT message_body, error_message FROM failed_messages ORDER BY id');
    const bodies = letters.map(({ message_body }) => JSON.parse(String(message_body)) as Record<string, unknown>);
    expect(bodies.map(({ key }) => key).sort()).toEqual([...keys].sort());
    const at = bodies.findIndex(({ key }) => key === 'poison');
    expect(bodies[at]).toMatchObject({ reason: 'http-451', history: [] });
    expect(letters[at]).toMatchObject({ error_message: 'database batch: too big' });
    expect(world.database.runs()).toHaveLength(1);
    expect(world.fault('database')).toBe(null);
  });

  it('has each run once when the answer was lost', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    await nextRun(world);
    world.calls.fail(/^d1/, { times: 2, answer: 'lost' });
    await followed(world);
    expect(world.database.runs()).toHaveLength(1);
    await expectProof(world);
  });

  it('is not set back by an older batch that lands late', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    await nextRun(world);
    const old = world.calls.hold(/^d1/);
    await runUntil(world, { until: () => world.fault('database') !== null });
    expect(world.fault('database')).toMatchObject({ kind: 'deadline' });
    await followed(world);
    world.upstream.publish('b');
    await followed(world);
    const before = syncTimes(world);
    expect(before[0]!.last_sequence).toBe(String(world.upstream.seq));
    old.release();
    await pass(world, MINUTE);
    expect(syncTimes(world)).toEqual(before);
    expect(world.database.runs()).toHaveLength(2);
    await expectProof(world);
  });

  it('is not set back by the batch of a dead instance', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    await nextRun(world);
    const old = world.calls.hold(/^d1/);
    void old.made.then(() => world.kill());
    await followed(world);
    world.upstream.publish('b');
    await followed(world);
    old.release();
    await pass(world, MINUTE);
    await expectProof(world);
  });

  it('has stamps in order though the clock went back', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    await followed(world);
    world.clock.jump(-60 * MINUTE);
    await world.engine.poke();
    world.upstream.publish('b');
    await followed(world);
    expect(world.database.lastSequence('coalescing')).toBe(String(world.upstream.seq));
    await expectProof(world);
  });

  it('takes the stamps of an object that lost its journal while its clock was ahead', async () => {
    const world = await startedWorld();
    world.clock.jump(60 * MINUTE);
    await followed(world);
    expect(world.database.lastSequence('coalescing')).toBe('0');
    world.clock.jump(-60 * MINUTE);
    world.kill();
    world.storage.wipe();
    world.kill();
    await world.engine.watch();
    world.upstream.publish('a');
    await followed(world);
    expect(world.database.lastSequence('coalescing')).toBe(String(world.upstream.seq));
    await expectProof(world);
  });

  it('gets many files in batches', async () => {
    const world = await startedWorld({ flushBytesMax: 1 });
    const repair = world.calls.fail(/^d1/);
    for (let file = 0; file < 120; file++) {
      world.upstream.publish(`package-${file}`);
      await runUntil(world, { until: () => world.files.length === file + 1 });
    }
    repair();
    await runUntil(world, { until: () => world.isFollowed, withinMs: 6 * MINUTE });
    expect(world.database.runs()).toHaveLength(120);
    await expectProof(world);
  });
});
