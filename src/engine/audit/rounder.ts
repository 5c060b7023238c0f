import type { Run } from '../../alarm/run.ts';
import { LIMITS } from '../../config.ts';
import type { Change } from '../../ports/change.ts';
import type { Permit } from '../../ports/hosts.ts';
import type { Ports } from '../../ports/ports.ts';
import type { EngineSource } from '../../ports/source.ts';
import { TAIL } from '../journal/changes.ts';
import { type JournalRound, RECHECKS_WAITING_MAX } from '../journal/round.ts';
import type { JournalState } from '../journal/state.ts';
import type { Admission } from '../load/admission.ts';
import { failureError, loaderCallMs } from '../load/ask.ts';

/** Failures in a row of the step that wait for the host to recover: their waits are four minutes together. */
const FAILURES_MAX = 8;

interface RounderOptions {
  ports: Ports;
  source: EngineSource;
  state: JournalState;
  round: JournalRound;
  admission: Admission;
  /** The time in which every present key is checked once. */
  everyMs: number;
  /** Whether a change of this key has been pulled, and perhaps loaded, and is not accepted yet. */
  isPending: (key: string) => boolean;
  /** Called when facts of keys are others now: what was loaded with the old ones must not be accepted. */
  onChanged: () => void;
}

/**
 * Checks small facts of every present key in turn, some keys a run. Its pace follows the number of keys: it checks as many
 * as are due since the last time. What was due while the source could not check is not made up for.
 */
export class Rounder {
  readonly #options: RounderOptions;

  constructor(options: RounderOptions) {
    this.#options = options;
  }

  /** When the next keys are due: a poll's worth of them, or one where fewer are due in that time. */
  nextMs(nowMs: number): number | null {
    const { round, source } = this.#options;
    const keyMs = this.#keyMs();
    if (keyMs === null) return null;
    const current = round.current();
    if (!current || current.paced_ms > nowMs) return nowMs;
    const dueMs = current.paced_ms + Math.ceil(Math.max(keyMs, Math.min(source.pollMs, LIMITS.roundKeysMax * keyMs)));
    // Count the waiting changes only when keys are due, because that reads all parked ones.
    if (dueMs > nowMs) return dueMs;
    return round.waiting() >= RECHECKS_WAITING_MAX ? nowMs + source.pollMs : dueMs;
  }

  /** Checks the keys that are due. Throws `StepError`; the round is then where it was. */
  async work(run: Run): Promise<void> {
    const { ports, source, state, round, isPending, onChanged } = this.#options;
    const nowMs = ports.clock.now();
    const keyMs = this.#keyMs();
    const cursor = state.lane(TAIL).cursor;
    if (keyMs === null || cursor === null || run.over) return;
    // Begin, or wait until some keys are due and few changes of the round wait for their load.
    const before = round.current() ?? round.begin(nowMs);
    // A clock that was ahead may have set its pace.
    if (before.paced_ms > nowMs) return round.setPace(nowMs);
    if (this.nextMs(nowMs)! > nowMs) return;
    // Choose the keys: those of the time since the last ones.
    const due = Math.floor((nowMs - before.paced_ms) / keyMs);
    // After many failures ask for one key alone: where that fails too, it is counted, and the round goes on after it.
    const isStuck = (state.fault('round')?.failures ?? 0) >= FAILURES_MAX;
    const wanted = isStuck ? 1 : Math.min(due, LIMITS.roundKeysMax);
    const found = round.next(before, wanted);
    const changes = found.map(key => round.withFacts({ key, cursor, deleted: false, revision: null, skip: null }));
    // Ask for as many as their host has room for.
    const { admitted, permits } = this.#admit(changes, nowMs);
    const answers = admitted.length === 0 ? [] : await this.#ask(admitted, permits, run);
    // Store what changed, each with a change that loads it.
    const keys = admitted.map(({ key }) => key);
    const isEnd = found.length < wanted && keys.length === found.length;
    const isLate = due > wanted || keys.length < found.length || keys.length === 0;
    const paced = isLate ? ports.clock.now() : before.paced_ms + keys.length * keyMs;
    const checked = { before, keys, answers, isEnd, pacedMs: Math.round(paced), cursor, nowMs: ports.clock.now() };
    const changed = round.accept(checked, isPending);
    if (changed !== null && changed.length > 0) onChanged();
    const failed = answers.flatMap(answer => (answer?.kind === 'failed' ? [answer.reason] : []));
    if (changed?.length || failed.length > 0)
      ports.log('round_checked', {
        source: source.id,
        keys: keys.length,
        changes: changed?.length ?? 0,
        errors: failed.length,
        reason: failed[0] ?? null,
      });
  }

  /** The time between two keys; null while there is none. */
  #keyMs(): number | null {
    const keys = this.#options.round.countKeys();
    return keys === 0 ? null : this.#options.everyMs / keys;
  }

  /** The first of the changes whose hosts have room. Throws `upstream-throttled` where there is none for one. */
  #admit(changes: Change[], nowMs: number): { admitted: Change[]; permits: Permit[] } {
    const { source, admission } = this.#options;
    const hasRoom = (count: number) =>
      Object.entries(source.requests('round', changes.slice(0, count))).every(
        ([host, want]) => admission.room({ host, want, nowMs, windowMs: LIMITS.slicePermitMsMax }).count >= want,
      );
    let count = changes.length;
    while (count > 1 && !hasRoom(count)) count = Math.floor(count / 2);
    const admitted = changes.slice(0, count);
    return { admitted, permits: admission.takeAll(source.requests('round', admitted), nowMs) };
  }

  async #ask(changes: Change[], permits: Permit[], run: Run) {
    const { ports, admission } = this.#options;
    const limits = { ms: loaderCallMs(LIMITS.pullMsMax), subject: `round of ${changes.length} keys` };
    const answer = await run.call(() => ports.load.run('round', { changes, permits }), limits);
    admission.learn(answer.hosts, ports.clock.now());
    if (!answer.ok) throw failureError(answer.failure);
    return answer.value;
  }
}
