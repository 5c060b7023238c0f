import { describe, expect, it } from 'vitest';
import { consumeKeys, type KeysMessage } from '../../../src/queues/discovered-keys.ts';
import { readDomain } from '../../../src/sources/names/domain.ts';
import { numberOf, seedOf } from '../../budget.ts';
import { expectProof } from '../../simulation/oracle/proof.ts';
import { coalescing, type SourceKind } from '../../simulation/world/sources.ts';
import { runUntil, startedWorld, type World } from '../../simulation/world/world.ts';

const SEED = seedOf('FEEDS_SEED');
const ROUNDS = numberOf('FEEDS_ROUNDS', 10);

/** Each row has one domain for the other agenda, `internal` ones none; what is no domain is no key there. */
const feeding: SourceKind = (upstream, visit) => ({
  ...coalescing(upstream, visit),
  feeds: { whois: ({ row }) => (String(row.name).startsWith('none') ? [] : [`${row.name}.com`]) },
});

interface Told {
  acked: number;
  retried: number;
}

/** The agenda that the keys are for, and the queue's consumer. */
class Target {
  readonly watched = new Set<string>();
  readonly logged: string[] = [];
  calls = 0;
  /** The call that throws. */
  fails: 'watchKeys' | 'keysArrived' | null = null;

  async bring(world: World, body: unknown): Promise<Told> {
    const counts = { acked: 0, retried: 0 };
    const message = { body, ack: () => void counts.acked++, retry: () => void counts.retried++ };
    await consumeKeys([message], {
      objectOf: () => ({
        watchKeys: async ({ keys }) => {
          this.calls += 1;
          if (this.fails === 'watchKeys') throw new Error('the object is gone');
          for (const { key } of keys) this.watched.add(key);
          return { refused: null, atMs: 1, added: keys.length, known: 0, repeated: [] };
        },
        keysArrived: async ids => {
          if (this.fails === 'keysArrived') throw new Error('the object is gone');
          world.engine.journal.outbox.done(ids);
          world.storage.flush();
        },
      }),
      rules: source => (source === 'whois' ? { read } : undefined),
      log: event => void this.logged.push(event),
    });
    return counts;
  }
}

function read(text: string) {
  const one = readDomain(text);
  return 'domain' in one ? { key: one.domain, space: one.registry } : { rejected: one.rejected };
}

const messageOf = ({ sentKeys }: World, index: number): KeysMessage => ({ source: 'coalescing', ...sentKeys[index]! });
const isEmpty = (world: World) => () => world.isFollowed && world.engine.journal.outbox.nextDueMs() === null;

/** Delivers every message, in the way that the function says. */
async function deliverAll(world: World, target: Target, deliver: (message: KeysMessage) => Promise<unknown>) {
  let next = 0;
  const until = () => {
    for (; next < world.sentKeys.length; next++) void deliver(messageOf(world, next)).catch(() => undefined);
    return isEmpty(world)();
  };
  await runUntil(world, { until, withinMs: 24 * 3_600_000 });
  return target;
}

describe('keys for the agenda of another source', () => {
  it('are sent once their rows are accepted, and leave when they have arrived', async () => {
    const world = await startedWorld({ kind: feeding });
    world.upstream.publish(['a', 'b', 'none-of-it', 'a-']);
    await runUntil(world, { until: () => world.sentKeys.length === 1 });
    const { outbox } = world.engine.journal;
    expect(messageOf(world, 0)).toMatchObject({
      target: 'whois',
      keys: [{ key: 'a.com' }, { key: 'b.com' }, { key: 'a-.com' }],
    });
    const target = new Target();
    expect(await target.bring(world, messageOf(world, 0))).toEqual({ acked: 1, retried: 0 });
    expect([...target.watched]).toEqual(['a.com', 'b.com']);
    expect(outbox.nextDueMs()).toBeNull();
    await runUntil(world, { until: () => world.isFollowed });
    await expectProof(world);
  });

  it('of a row that was deleted are none', async () => {
    const world = await startedWorld({ kind: feeding });
    world.upstream.remove('a');
    await runUntil(world, { until: () => world.isFollowed });
    expect(world.sentKeys).toEqual([]);
  });

  it.each(['watchKeys', 'keysArrived'] as const)('are delivered again when %s failed', async call => {
    const world = await startedWorld({ kind: feeding });
    world.upstream.publish('a');
    await runUntil(world, { until: () => world.sentKeys.length === 1 });
    const target = new Target();
    target.fails = call;
    expect(await target.bring(world, messageOf(world, 0))).toEqual({ acked: 0, retried: 1 });
    target.fails = null;
    expect(await target.bring(world, messageOf(world, 0))).toEqual({ acked: 1, retried: 0 });
    expect([...target.watched]).toEqual(['a.com']);
  });

  it('that a queue lost are sent again after the lease, not before', async () => {
    const world = await startedWorld({ kind: feeding });
    world.upstream.publish('a');
    await runUntil(world, { until: () => world.sentKeys.length === 1 });
    const sentMs = world.clock.elapsedMs;
    await runUntil(world, { until: () => world.sentKeys.length === 2 });
    expect(world.clock.elapsedMs - sentMs).toBeGreaterThanOrEqual(world.options.retry.leaseMs);
  });

  it('wait while their queue takes nothing, and the source continues', async () => {
    const world = await startedWorld({ kind: feeding });
    const repair = world.calls.fail(/^feed\.send/);
    world.upstream.publish('a');
    await runUntil(world, { until: () => world.isFollowed && world.fault('feed') !== null });
    expect(world.fault('feed')).toMatchObject({ kind: 'queue-failed' });
    repair();
    await runUntil(world, { until: () => world.sentKeys.length === 1 });
  });

  it('are refused where the message is not one of keys, and the message is acknowledged', async () => {
    const world = await startedWorld({ kind: feeding });
    const target = new Target();
    for (const body of [
      null,
      7,
      { target: 'whois' },
      { source: 'a', target: 'npm', keys: [] },
      { source: 'a', target: 'whois', keys: [{ id: 'x', key: 'a.com' }] },
    ])
      expect(await target.bring(world, body)).toEqual({ acked: 1, retried: 0 });
    expect(target.logged).toEqual(Array(5).fill('keys_refused'));
  });

  it(`all arrive, whatever is lost, doubled or killed (seed ${SEED})`, async () => {
    let state = SEED;
    const random = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
    for (let round = 0; round < ROUNDS; round++) {
      const world = await startedWorld({ kind: feeding });
      const target = new Target();
      let kills = 0;
      world.calls.before(call => {
        if (kills >= 10 || random() > 0.03) return;
        kills += 1;
        world.kill();
        throw new Error(`killed at ${call}`);
      });
      const names = Array.from({ length: 1 + Math.floor(random() * 250) }, (_, index) => `n${index}`);
      world.upstream.publish(names);
      await deliverAll(world, target, async message => {
        for (let copies = Math.floor(random() * 3); copies > 0; copies--) {
          target.fails = random() < 0.2 ? 'watchKeys' : random() < 0.2 ? 'keysArrived' : null;
          await target.bring(world, message);
        }
      });
      expect([...target.watched].sort()).toEqual(names.map(name => `${name}.com`).sort());
      await expectProof(world);
    }
  });
});
