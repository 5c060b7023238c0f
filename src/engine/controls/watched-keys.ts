import type { AgendaStatus, WatchedKey, WatchPart, WatchResult } from '../../contract/watched-keys.ts';
import { StepError } from '../../errors.ts';
import { policyOf } from '../../failure-policy.ts';
import { MINUTE } from '../../limits.ts';
import { isoTime } from '../../time.ts';
import type { Engine } from '../engine.ts';
import { type AgendaCount, agendaOf, type Watched } from '../journal/agenda.ts';
import { signalStatus } from './signals.ts';

/** A key that has been due for longer counts as overdue. */
const OVERDUE_MS = 60 * MINUTE;

/**
 * Adds keys to the agenda, due at once. Known keys stay as they are; `repeated` names keys this request added before.
 * Refuses a part with new keys while the object's database is full.
 */
export async function watchKeys(engine: Engine, { atMs, keys }: WatchPart): Promise<WatchResult> {
  const { journal, ports } = engine;
  const agenda = agendaOf(journal);
  const addedMs = atMs ?? ports.clock.now();
  const refused = refusalOf(engine, keys);
  if (refused) return { refused, atMs: addedMs, added: 0, known: 0, repeated: [] };
  const since = ports.sql.transaction(() => keys.map(key => agenda.watch(key, addedMs)));
  const repeated = keys.filter((_, index) => since[index] === addedMs).map(({ line }) => line);
  const added = since.filter(ms => ms === null).length;
  if (added > 0) {
    agenda.wakeVisitor();
    await engine.arm();
  }
  return { refused: null, atMs: addedMs, added, known: keys.length - added - repeated.length, repeated };
}

/** Why keys cannot be added now; null where they can, or all of them are watched already. */
function refusalOf(engine: Engine, keys: WatchPart['keys']): WatchResult['refused'] {
  try {
    engine.checkNewKeys();
    return null;
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    const agenda = agendaOf(engine.journal);
    if (keys.every(({ key }) => agenda.find(key) !== null)) return null;
    return { message: error.message, hint: policyOf(error.kind).hint };
  }
}

/** Removes keys from the agenda, and their parked changes with them. Returns how many keys were on it. */
export function unwatchKeys({ journal, ports }: Engine, keys: string[]): number {
  return journal.unwatch(keys, ports.clock.now());
}

/** Watched keys after one, in order. */
export function watchedKeys(
  { journal }: Engine,
  { after, limit }: { after: string | null; limit: number },
): WatchedKey[] {
  return agendaOf(journal).list({ after, limit }).map(keyOf);
}

/** One watched key; null when it is not on the agenda. */
export function watchedKey({ journal }: Engine, key: string): WatchedKey | null {
  const watched = agendaOf(journal).find(key);
  return watched && keyOf(watched);
}

/** How many keys there are, and how many are due now; null for a source with a feed. */
export function agendaCount({ journal, ports }: Engine): AgendaCount | null {
  const nowMs = ports.clock.now();
  return journal.agenda?.count({ nowMs, overdueMs: nowMs - OVERDUE_MS }) ?? null;
}

/** How many keys are due, and how long visiting all keys takes; null for a source with a feed. */
export function agendaStatus(engine: Engine): AgendaStatus | null {
  const { journal, ports, source, admission } = engine;
  const { agenda, visits } = journal;
  const count = agendaCount(engine);
  if (!agenda || !visits || !count) return null;
  const { keys, due, firstDue, overdue, oldestDueMs } = count;
  const nowMs = ports.clock.now();
  const requests = new Map<string, number>();
  // With a probe, most keys cost their share of its requests.
  const step = source.probeKeysMax === null ? 'load' : 'probe';
  const keysAtOnce = source.probeKeysMax ?? 1;
  for (const { name, keys } of agenda.spaces()) {
    const change = { key: '', cursor: '', deleted: false, revision: null, skip: null, server: agenda.serverOf(name) };
    for (const [host, count] of Object.entries(source.requests(step, [change])))
      requests.set(host, (requests.get(host) ?? 0) + (count * keys) / keysAtOnce);
  }
  // Hosts are asked at the same time, so the slowest one decides.
  const seconds = [...requests].map(([host, count]) => count / admission.rateOf(host, nowMs));
  return {
    keys,
    due,
    first_due: firstDue,
    overdue,
    oldest_due_at: isoTime(oldestDueMs),
    seconds_at_rate: seconds.length === 0 ? null : Math.ceil(seconds.reduce((most, one) => Math.max(most, one))),
    stretch: agenda.pace.stretch(),
    refused_keys: visits.refusals(),
    signals: signalStatus(engine),
  };
}

function keyOf({ key, due_ms, reason, added_ms, checked_ms, outcome, times }: Watched): WatchedKey {
  return {
    key,
    due_at: isoTime(due_ms),
    reason,
    added_at: isoTime(added_ms),
    last_checked_at: isoTime(checked_ms),
    outcome,
    times,
  };
}
