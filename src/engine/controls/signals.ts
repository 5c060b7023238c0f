import type { Signal, SignalResult, SignalStatus } from '../../contract/signals.ts';
import { isoTime } from '../../time.ts';
import type { Engine } from '../engine.ts';

/**
 * Makes the watched keys that a signal names due now. It does nothing else, so that a signal that is lost costs time
 * only; one that comes while its key is visited is lost, because that visit sets the next due time. A delivery that was
 * taken before does nothing.
 */
export async function takeSignal(engine: Engine, signal: Signal): Promise<SignalResult> {
  const { journal, ports } = engine;
  const { signals } = journal;
  if (!signals) throw new Error(`${engine.source.id}: expected a source with an agenda, got one with a feed`);
  const due = ports.sql.transaction(() => signals.take(signal, ports.clock.now()));
  if (due === null) return { due: 0, ignored: 0, repeated: true };
  if (due > 0) await engine.arm();
  return { due, ignored: signal.keys.length - due + signal.unread, repeated: false };
}

/** How many signals came, and what they did. */
export function signalStatus({ journal }: Engine): SignalStatus {
  const { last_ms, ...counts } = journal.signals!.counts();
  return { ...counts, last_at: isoTime(last_ms) };
}
