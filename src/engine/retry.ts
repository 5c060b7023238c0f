import { LIMITS } from '../config.ts';
import { OwnError } from '../errors.ts';
import { type Journal, refusedRows } from './journal.ts';
import type { Ports } from './ports.ts';
import type { Run } from './run.ts';
import type { SliceLoader } from './slice.ts';

/**
 * Looks again at parked changes that are due, always asking afresh. What comes back goes into the journal only while
 * the change is parked as it was handed out and nothing newer came for its key. Returns the keys that were looked at.
 */
export async function retryParked({
  ports,
  journal,
  slices,
  run,
}: {
  ports: Ports;
  journal: Journal;
  slices: SliceLoader;
  run: Run;
}): Promise<Set<string>> {
  const due = journal.parked.due(ports.clock.now(), LIMITS.parkedPerRun);
  if (due.length === 0) return new Set();
  const handedOut = due.map(parked => ({ parked, lastLsn: journal.lastLsnOf(parked.key) }));
  const changes = due.map(({ key, place, deleted, revision }) => ({
    key,
    place,
    deleted: deleted === 1,
    revision,
    skip: null,
  }));
  const { outcomes, waitUntilMs } = await slices.load(changes, { run, afresh: true });
  let judged = 0;
  for (const [index, outcome] of outcomes.entries()) {
    if (!outcome) continue;
    judged += 1;
    accept(journal, { ...handedOut[index]!, outcome, nowMs: ports.clock.now() });
  }
  if (judged > 0) return new Set(due.map(parked => parked.key));
  const waitMs = waitUntilMs === null ? 0 : waitUntilMs - ports.clock.now();
  throw new OwnError(
    'upstream-throttled',
    `${due.length} parked changes: expected room to ask, got none yet`,
    Math.max(0, waitMs),
  );
}

/** Rows that SQLite refuses leave the change parked, and the others of the retry as they are. */
function accept(journal: Journal, retry: Parameters<Journal['acceptRetry']>[0]): void {
  try {
    journal.acceptRetry(retry);
  } catch (error) {
    if (retry.outcome.kind !== 'rows') throw error;
    journal.acceptRetry({ ...retry, outcome: refusedRows(error) });
  }
}
