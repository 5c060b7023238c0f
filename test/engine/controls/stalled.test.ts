import { expect, it } from 'vitest';
import { LIMITS } from '../../../src/config.ts';
import { metricsOf } from '../../../src/engine/controls/metrics.ts';
import { StalledSource } from '../../../src/engine/controls/stalled.ts';
import { statusOf } from '../../../src/engine/controls/status.ts';
import { JournalLayoutError } from '../../../src/errors.ts';
import { policyOf } from '../../../src/failure-policy.ts';
import type { LogFields } from '../../../src/log.ts';
import { startedWorld } from '../../simulation/world/world.ts';

const NOW_MS = Date.UTC(2026, 10, 29);
const HINT = policyOf('journal-layout').hint;
const error = new JournalLayoutError('journal of npm: expected layout 10, got 9');

function stalledSource() {
  const logged: [string, LogFields][] = [];
  let wakeMs: number | null = null;
  const wake = {
    get: async () => wakeMs,
    async set(atMs: number | null) {
      wakeMs = atMs;
    },
  };
  const clock = { now: () => NOW_MS, within: <T>(work: Promise<T>) => work, turn: async () => undefined };
  const ports = { clock, wake, log: (event: string, fields: LogFields) => void logged.push([event, fields]) };
  return { stalled: new StalledSource({ source: 'npm', ports, error }), logged, wake };
}

it('a stalled source answers with its state, the error and the hint', async () => {
  const { stalled } = stalledSource();
  expect(await stalled.status()).toMatchObject({
    source: 'npm',
    state: 'stalled',
    cursor: { accepted: null, durable: null, head: null },
    tables: {},
    last_error: {
      kind: 'journal-layout',
      reason: error.message,
      hint: HINT,
      retry: null,
      at: new Date(NOW_MS).toISOString(),
    },
  });
  expect(await stalled.metrics()).toMatchObject({ source: 'npm', state: 'stalled', tables: [], next_wake_at: null });
  expect(stalled.health()).toEqual({ id: 'npm', state: 'stalled', ok: false, reason: error.message });
});

it('a stalled source answers in the forms of a source that works', async () => {
  const { engine } = await startedWorld();
  const { stalled } = stalledSource();
  const [status, working] = [await stalled.status(), await statusOf(engine)];
  expect(Object.keys(status)).toEqual(Object.keys(working));
  for (const field of ['cursor', 'lag', 'rate', 'buffer', 'balance', 'last_flush', 'upstream', 'last_error'] as const)
    expect(Object.keys(status[field])).toEqual(Object.keys(working[field]));
  expect(Object.keys(status.balance.skipped)).toEqual(Object.keys(working.balance.skipped));
  const [metrics, measured] = [await stalled.metrics(), await metricsOf(engine)];
  expect(Object.keys(metrics)).toEqual(Object.keys(measured));
  expect(metrics.flush_seconds.buckets).toHaveLength(measured.flush_seconds.buckets.length);
});

it('a stalled source sets its alarm again after 5 minutes, and logs why', async () => {
  const { stalled, logged, wake } = stalledSource();
  await stalled.watch();
  expect(await wake.get()).toBe(NOW_MS + LIMITS.probeMs);
  expect(logged).toMatchObject([
    ['step_failed', { source: 'npm', step: 'journal', kind: 'journal-layout', hint: HINT, reason: error.message }],
  ]);
  await wake.set(NOW_MS + 1);
  await stalled.watch();
  expect(await wake.get()).toBe(NOW_MS + 1);
  await stalled.wake();
  expect(await wake.get()).toBe(NOW_MS + LIMITS.probeMs);
});
