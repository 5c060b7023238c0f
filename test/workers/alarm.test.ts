/// <reference types="@cloudflare/vitest-plugin/types" />
import { createScheduledController, evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import worker from '../../src/index.ts';
import { SourceObject } from '../../src/worker/source-object.ts';
import { flushed, prepare, prove, restart, set, source, sql, until, untilAccepted } from './source.ts';
import { openUpstream, type Upstream } from './upstream.ts';

let upstream: Upstream;

beforeAll(async () => {
  upstream = await openUpstream({ only: [], changes: 100, rows: 3 });
  await prepare(upstream);
});

/** Does what the cron trigger does each minute. */
function scheduled(): Promise<void> {
  return worker.scheduled(createScheduledController(), env);
}

const alarm = () => runInDurableObject(source(), (_, state) => state.storage.getAlarm());
const deleteAlarm = () => runInDurableObject(source(), (_, state) => state.storage.deleteAlarm());
const pulls = async () => (await upstream.requests()).filter(path => path.endsWith('/_changes')).length;

/** Waits until the source has pulled `count` times more. */
async function pulledMore(count: number): Promise<void> {
  const before = await pulls();
  await vi.waitFor(async () => expect(await pulls()).toBeGreaterThanOrEqual(before + count), { timeout: 30_000 });
}

describe('the watchdog', () => {
  it('does not start a source that the settings do not name', async () => {
    set({ SOURCES: ',' });
    await scheduled();
    expect(await source().status()).toMatchObject({ state: 'paused', next_wake_at: null });
    await restart({ SOURCES: 'npm' });
    expect(await upstream.requests()).toEqual([]);
  });

  it('starts a source that the settings name', async () => {
    await scheduled();
    await untilAccepted(upstream);
    await prove(upstream);
  });

  it('sets the alarm of a source that has lost it', async () => {
    await restart({ NPM_POLL_MS: '3600000' });
    // One more alarm of the short interval may come; the next one is an hour away.
    await until(({ next_wake_at }) => Date.parse(next_wake_at ?? '') > Date.now() + 60_000);
    await deleteAlarm();
    await upstream.release(2);
    await sql('UPDATE lanes SET next_pull_ms = 0');
    await restart();
    expect((await source().status()).next_wake_at).toBeNull();
    await scheduled();
    await untilAccepted(upstream);
    expect(await alarm()).toBeGreaterThan(Date.now());
  });

  it('does not change an alarm that is due in time', async () => {
    const before = await alarm();
    const asked = await pulls();
    for (let i = 0; i < 3; i++) await scheduled();
    expect(await alarm()).toBe(before);
    expect(await pulls()).toBe(asked);
  });

  it.each([
    ['long past', -3_600_000],
    ['years ahead', 3 * 365 * 24 * 3_600_000],
  ])('replaces an alarm that is %s', async (_, aheadMs) => {
    // The runtime would have run an alarm that is long past, so a proxy of the storage reports the time.
    const armed = await runInDurableObject(source(), async (_, state) => {
      const setAlarm = vi.fn();
      const { storage } = state;
      const proxy = new Proxy(storage, {
        get(target, name) {
          if (name === 'getAlarm') return () => Promise.resolve(Date.now() + aheadMs);
          if (name === 'setAlarm') return setAlarm;
          const value = Reflect.get(target, name) as unknown;
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      await withContext(state, { storage: proxy }, object => object.watch());
      return setAlarm.mock.calls.length;
    });
    expect(armed).toBe(1);
  });

  it('does not start a source that was paused by a control', async () => {
    await source().control('pause');
    await flushed();
    await until(({ next_wake_at }) => next_wake_at === null);
    await scheduled();
    await restart();
    await scheduled();
    expect(await source().status()).toMatchObject({ state: 'paused', next_wake_at: null });
  });

  it('throws for a wrong setting, and works when the setting is corrected', async () => {
    await restart({ FLUSH_AGE_MS: 'soon' });
    await expect(scheduled()).rejects.toThrow('FLUSH_AGE_MS');
    set({ FLUSH_AGE_MS: '3600000' });
    await expect(scheduled()).resolves.toBeUndefined();
  });
});

describe('an alarm', () => {
  it('is still set after an eviction', async () => {
    await source().control('start');
    await until(({ next_wake_at }) => Date.parse(next_wake_at ?? '') > Date.now() + 60_000);
    const before = await alarm();
    await evictDurableObject(source());
    expect(await alarm()).toBe(before);
  });

  it('wakes an object that is not in memory', async () => {
    await restart({ NPM_POLL_MS: '400' });
    await sql('UPDATE lanes SET next_pull_ms = 0');
    await source().control('start');
    for (let i = 0; i < 5; i++) {
      await pulledMore(1);
      await evictDurableObject(source());
    }
    await pulledMore(1);
    await upstream.release(2);
    await untilAccepted(upstream);
    await prove(upstream);
  });

  it('is set again before the work of a run', async () => {
    await restart({ NPM_POLL_MS: '3600000' });
    const { id } = (await upstream.release(1))[0]!;
    await upstream.fault(id, [{ delayMs: 2_000 }]);
    await sql('UPDATE lanes SET next_pull_ms = 0');
    const startedMs = Date.now();
    const run = runInDurableObject(source(), instance => instance.alarm());
    await vi.waitFor(async () => expect(await upstream.requests()).toContain(`/${encodeURIComponent(id)}`));
    // The alarm that started the run is gone. This one, which the run has set, would restart the object if it were killed.
    const atMs = await alarm();
    expect(atMs).toBeGreaterThanOrEqual(startedMs + 10_000);
    expect(atMs).toBeLessThanOrEqual(Date.now() + 10_000);
    await run;
    expect(await alarm()).toBeGreaterThan(Date.now() + 60_000);
  });
});

describe('an object woken without its name', () => {
  it('reads it from its journal', async () => {
    const status = await runInDurableObject(source(), (_, state) =>
      withContext(state, { id: {} }, async object => {
        await object.alarm();
        return object.status();
      }),
    );
    expect(status).toMatchObject({ source: 'npm', balance: { balanced: true } });
    expect(status.balance.changes).toBe((await upstream.rows()).length);
  });

  it('throws when the journal has none either', async () => {
    const stranger = env.SOURCES_NS.get(env.SOURCES_NS.newUniqueId());
    await expect(runInDurableObject(stranger, () => undefined)).rejects.toThrow('name of a source');
  });

  it('is the same object when it is found by its id', async () => {
    await evictDurableObject(source());
    const found = env.SOURCES_NS.get(env.SOURCES_NS.idFromString(source().id.toString()));
    expect(await found.status()).toMatchObject({ source: 'npm', balance: { balanced: true } });
    await prove(upstream);
  });
});

/** Creates another object on the same state with one property of its context replaced, and works with it. */
async function withContext<T>(
  state: DurableObjectState,
  replaced: { id?: unknown; storage?: unknown },
  work: (object: SourceObject) => Promise<T>,
): Promise<T> {
  const [[name, value]] = Object.entries(replaced) as [[string, unknown]];
  const original = Reflect.get(state, name) as unknown;
  Object.defineProperty(state, name, { value, configurable: true });
  try {
    return await work(new SourceObject(state, env));
  } finally {
    Object.defineProperty(state, name, { value: original, configurable: true });
  }
}
