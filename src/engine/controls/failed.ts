import type { FailedChange, FailedQuery, ReplayResult } from '../../contract/failed.ts';
import { policyOf } from '../../failure-policy.ts';
import { isoTime } from '../../time.ts';
import type { Engine } from '../engine.ts';
import type { ParkedChange } from '../journal/changes.ts';
import type { DeadLetter, LetterFilter } from '../journal/letters.ts';

/** Failed changes after a change number, in order: dead ones, or parked ones. */
export function failedOf(engine: Engine, query: FailedQuery & { after: number; limit: number }): FailedChange[] {
  const { parked } = engine.journal;
  const filter = filterOf(engine, query);
  if (query.state === 'parked') return parked.list(filter, query).map(one => ofParked(engine, one));
  return parked.letters.list(filter, query).map(letter => ofLetter(engine, letter));
}

/** One failed change, also one that is resolved by now; null when there is none of the number. */
export function failedChange(engine: Engine, changeNumber: number): FailedChange | null {
  const { parked } = engine.journal;
  const letter = parked.letters.find(changeNumber);
  if (letter) return ofLetter(engine, letter);
  const change = parked.find(changeNumber);
  return change ? ofParked(engine, change) : null;
}

/** Retries dead changes: those with these numbers, or all that fit the query. A dry run only counts them, by reason. */
export async function replayFailed(
  engine: Engine,
  { numbers, query, dryRun }: { numbers: number[] | null; query: FailedQuery; dryRun: boolean },
): Promise<ReplayResult> {
  const { journal, ports } = engine;
  const filter = { ...filterOf(engine, query), numbers };
  const counts = dryRun ? journal.parked.countDead(filter) : journal.revive(filter, ports.clock.now());
  if (!dryRun) await engine.poke();
  const changes = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return { changes, by_reason: counts };
}

/** Dismisses a dead change. False when it was ended before; null when no letter has the number. */
export function dismissFailed(engine: Engine, changeNumber: number, note: string): boolean | null {
  const { journal, ports } = engine;
  if (!journal.parked.letters.find(changeNumber)) return null;
  return journal.dismiss(changeNumber, { nowMs: ports.clock.now(), note });
}

function filterOf({ ports }: Engine, { reason, olderThanSeconds }: FailedQuery): LetterFilter {
  const olderMs = olderThanSeconds === null ? null : ports.clock.now() - olderThanSeconds * 1000;
  return { reason, olderMs, status: 'failed' };
}

function ofLetter(engine: Engine, letter: DeadLetter): FailedChange {
  const isReplayed = letter.status === 'failed' && engine.journal.parked.find(letter.change_number)?.died_ms === null;
  return {
    ...factsOf(engine, letter),
    state: isReplayed ? 'replaying' : letter.status === 'failed' ? 'dead' : letter.status,
    failed_at: isoTime(letter.failed_ms),
    next_look_at: null,
    resolved_at: isoTime(letter.resolved_ms),
    note: letter.note,
  };
}

function ofParked(engine: Engine, parked: ParkedChange): FailedChange {
  const unknown = { failed_at: null, resolved_at: null, note: null };
  return { ...factsOf(engine, parked), ...unknown, state: 'parked', next_look_at: isoTime(parked.due_ms) };
}

function factsOf({ source }: Engine, { change_number, key, cursor, reason, ...facts }: DeadLetter | ParkedChange) {
  return {
    id: `${source.id}-${change_number}`,
    source: source.id,
    change_number,
    key,
    cursor,
    reason,
    message: facts.detail,
    hint: policyOf(reason).hint,
    attempts: facts.attempts,
    history: JSON.parse(facts.history) as FailedChange['history'],
    parked_at: isoTime(facts.parked_ms),
  };
}
