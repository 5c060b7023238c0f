import type { Run } from '../../alarm/run.ts';
import { LIMITS } from '../../config.ts';
import { messageOf, StepError } from '../../errors.ts';
import type { Change } from '../../ports/change.ts';
import type { Permit } from '../../ports/hosts.ts';
import type { Ports } from '../../ports/ports.ts';
import type { EngineSource } from '../../ports/source.ts';
import type { Outcome } from '../journal/changes.ts';
import type { Journal } from '../journal/journal.ts';
import type { Admission } from './admission.ts';
import { failureError } from './ask.ts';

/** What came of a slice: an outcome a change, null where it was not looked at, and when more can be asked for. */
export interface LoadedSlice {
  outcomes: (Outcome | null)[];
  waitUntilMs: number | null;
}

interface Call {
  indexes: number[];
  alone: boolean;
}

/** How a slice is loaded. `spread`: its changes need not come in order, and each host answers for itself. */
interface Way {
  run: Run;
  afresh: boolean;
  spread?: boolean;
}

interface Slice {
  changes: Change[];
  afresh: boolean;
  spread: boolean;
  run: Run;
  prepared: unknown;
  startedMs: number;
  outcomes: (Outcome | null)[];
  throttled: number[];
  unanswered: { index: number; park: Extract<Outcome, { kind: 'park' }> }[];
}

/** Loads the changes of a slice: takes permits, splits them over Loader calls, and judges calls that die. */
export class SliceLoader {
  readonly #ports: Ports;
  readonly #source: EngineSource;
  readonly #journal: Journal;
  readonly #admission: Admission;

  constructor({
    ports,
    source,
    journal,
    admission,
  }: { ports: Ports; source: EngineSource; journal: Journal; admission: Admission }) {
    this.#ports = ports;
    this.#source = source;
    this.#journal = journal;
    this.#admission = admission;
  }

  /** Throws `StepError` when one of our own parts failed: nothing of the slice counts then. */
  async load(changes: Change[], { run, afresh, spread = false }: Way): Promise<LoadedSlice> {
    const outcomes = changes.map((change): Outcome | null =>
      change.skip ? { kind: 'skip', reason: change.skip } : null,
    );
    const wanted = changes.flatMap((change, index) => (change.skip ? [] : [index]));
    const { admitted, waitUntilMs } = this.#admit(changes, { wanted, afresh });
    if (admitted.length === 0) return { outcomes, waitUntilMs };
    const prepared = await this.#prepare(
      admitted.map(index => changes[index]!),
      run,
    );
    const startedMs = this.#ports.clock.now();
    const slice: Slice = { changes, afresh, spread, run, prepared, startedMs, outcomes, throttled: [], unanswered: [] };
    const { together, alone } = this.#plan(slice, admitted);
    const large = (
      await Promise.all(together.map((call, lane) => this.#call(slice, call, { lane, lanes: together.length })))
    ).flat();
    // Alone and one at a time: a document of this size, or of this suspicion, gets the whole budget.
    for (const [turn, index] of [...alone, ...large].entries()) {
      if (run.callsLeft <= 0) break;
      // A run must not end before its slice does, nor hosts wait for all that another is asked alone: the rest comes next.
      if (turn > 0 && this.#isLate(slice)) break;
      await this.#call(slice, { indexes: [index], alone: true }, { lane: 0, lanes: 1 });
    }
    if (spread) {
      // Each for itself: who got no answer waits alone, and whose host said "wait" is not visited yet.
      for (const { index, park } of slice.unanswered) outcomes[index] = park;
      this.#countThrottled(slice);
    } else {
      this.#judgeThrottled(slice, admitted);
      this.#judgeUnanswered(slice, admitted);
    }
    return { outcomes, waitUntilMs };
  }

  #isLate({ run, spread, startedMs }: Slice): boolean {
    const elapsedMs = this.#ports.clock.now() - startedMs;
    return spread ? run.over || elapsedMs >= LIMITS.visitMsMax : elapsedMs >= LIMITS.sliceLoadMsMax;
  }

  /**
   * Where others were answered, no answer is the document's doing and parks it. Where nobody was, the upstream is
   * down: nothing is parked, but for one change that got no answer three times, so that it alone cannot hold us up.
   * A change that is parked already only waits longer.
   */
  #judgeUnanswered({ changes, outcomes, unanswered, afresh }: Slice, admitted: number[]): void {
    const [first] = unanswered;
    if (!first) return;
    if (afresh || admitted.some(index => outcomes[index] !== null)) {
      for (const { index, park } of unanswered) outcomes[index] = park;
      return;
    }
    const { cursor } = changes[first.index]!;
    this.#journal.state.suspectChange(cursor, { deaths: 0, throttled: 1 });
    if (this.#journal.state.suspect(cursor)!.throttled >= LIMITS.throttledMax) outcomes[first.index] = first.park;
    else throw new StepError('upstream-unreachable', first.park.detail, first.park.retryAfterMs);
  }

  /**
   * A host that says "wait" to all is only waited for. Who is told so again and again while others are answered, or
   * is all that is left, is parked, so that the others need not wait with it.
   */
  #judgeThrottled({ changes, outcomes, throttled }: Slice, admitted: number[]): void {
    const { state } = this.#journal;
    const isKnown = (index: number) => state.suspect(changes[index]!.cursor) !== null;
    if (admitted.length > 1 && admitted.every(index => outcomes[index] === null) && !admitted.every(isKnown)) return;
    this.#countThrottled({ changes, outcomes, throttled });
  }

  /** Parks who was told "wait" often enough. */
  #countThrottled({ changes, outcomes, throttled }: Pick<Slice, 'changes' | 'outcomes' | 'throttled'>): void {
    const { state } = this.#journal;
    for (const index of throttled) {
      const { cursor } = changes[index]!;
      state.suspectChange(cursor, { deaths: 0, throttled: 1 });
      const times = state.suspect(cursor)!.throttled;
      if (times < LIMITS.throttledMax) continue;
      outcomes[index] = { kind: 'park', reason: 'http-429', detail: `throttled ${times} times`, retryAfterMs: null };
    }
  }

  /** As many of the wanted changes, in order, as their hosts have room for in this slice. */
  #admit(
    changes: Change[],
    { wanted, afresh }: { wanted: number[]; afresh: boolean },
  ): { admitted: number[]; waitUntilMs: number | null } {
    const nowMs = this.#ports.clock.now();
    const left = new Map<string, number>();
    const admitted: number[] = [];
    for (const index of wanted) {
      const requests = Object.entries(this.#requests([changes[index]!], afresh));
      for (const [host] of requests) {
        if (left.has(host)) continue;
        const { count, atMs } = this.#admission.room({
          host,
          want: wanted.length,
          nowMs,
          windowMs: LIMITS.slicePermitMsMax,
        });
        if (count === 0 && admitted.length === 0) return { admitted, waitUntilMs: atMs };
        left.set(host, count);
      }
      if (requests.some(([host, count]) => left.get(host)! < count)) break;
      for (const [host, count] of requests) left.set(host, left.get(host)! - count);
      admitted.push(index);
    }
    return { admitted, waitUntilMs: null };
  }

  /** What is fetched in bulk for the slice. Its failure fails nothing: `load` does without. */
  async #prepare(changes: Change[], run: Run): Promise<unknown> {
    if (!this.#source.prepares) return null;
    const requests = this.#source.requests('prepare', changes);
    const permits = this.#admission.takeSome(requests, this.#ports.clock.now());
    if (permits.length === 0) return null;
    try {
      const call = { ms: LIMITS.sliceLoadMsMax, subject: `prepare of ${changes.length} changes` };
      const answer = await run.call(() => this.#ports.load.prepare(changes, permits), call);
      this.#admission.learn(answer.hosts, this.#ports.clock.now());
      if (answer.ok) return answer.value;
      this.#ports.log('prepare_failed', { source: this.#source.id, reason: answer.failure.message });
    } catch (error) {
      this.#ports.log('prepare_failed', { source: this.#source.id, reason: messageOf(error) });
    }
    return null;
  }

  /** Distributes changes over calls, those of one key together and in order; suspects and large documents go alone. */
  #plan({ changes, spread }: Slice, admitted: number[]): { together: Call[]; alone: number[] } {
    const alone: number[] = [];
    const count = spread ? LIMITS.spreadCallsAtOnce : LIMITS.loadCallsAtOnce;
    const lanes: number[][] = Array.from({ length: count }, () => []);
    const laneOf = new Map<string, number[]>();
    for (const index of admitted) {
      const { key, cursor } = changes[index]!;
      const isLarge = (this.#journal.state.documentBytesOf(key) ?? 0) > LIMITS.documentBytesLarge;
      if (isLarge || this.#journal.state.suspect(cursor)) {
        alone.push(index);
        continue;
      }
      // Keys of one host stay in one call as well, where a slow one must not hold the others up.
      const host = spread ? Object.keys(this.#source.requests('load', [changes[index]!]))[0] : undefined;
      const group = host ?? key;
      const lane = laneOf.get(group) ?? lanes[laneOf.size % lanes.length]!;
      laneOf.set(group, lane);
      lane.push(index);
    }
    const together = lanes.filter(indexes => indexes.length > 0).map(indexes => ({ indexes, alone: false }));
    return { together, alone };
  }

  /** Makes one call and writes its outcomes into the slice; returns what must be loaded alone because of its size. */
  async #call(slice: Slice, call: Call, { lane, lanes }: { lane: number; lanes: number }): Promise<number[]> {
    const changes = call.indexes.map(index => slice.changes[index]!);
    const nowMs = this.#ports.clock.now();
    const ms = slice.spread ? LIMITS.visitMsMax : LIMITS.sliceLoadMsMax;
    const callsAtOnce = slice.spread ? LIMITS.spreadCallsAtOnce : LIMITS.loadCallsAtOnce;
    const permits = this.#permits(changes, { afresh: slice.afresh, nowMs });
    if (!permits) return [];
    const request = {
      changes,
      prepared: slice.prepared,
      permits,
      afresh: slice.afresh,
      large: call.alone,
      budgetBytes: call.alone ? LIMITS.loadBytesMax : LIMITS.loadBytesMax / callsAtOnce,
      knownBytes: changes.map(change => this.#journal.state.documentBytesOf(change.key) ?? this.#source.documentBytes),
      rowBytesMax: LIMITS.sliceRowBytesMax / callsAtOnce,
      deadlineAtMs: nowMs + ms - LIMITS.loadReturnMs,
    };
    const limits = {
      ms,
      subject: `load of ${changes.length} changes (call ${lane + 1} of ${lanes})`,
    };
    const answer = await slice.run
      .call(() => this.#ports.load.load(request), limits)
      .catch(error => this.#died(changes, call, error));
    if (answer === null) {
      slice.outcomes[call.indexes[0]!] = {
        kind: 'park',
        reason: 'document-kills-loader',
        detail: `its Loader died ${LIMITS.loaderDeathsMax} times`,
        retryAfterMs: null,
      };
      return [];
    }
    const endMs = this.#ports.clock.now();
    this.#admission.learn(answer.hosts, endMs, endMs - nowMs);
    if (!answer.ok) throw failureError(answer.failure);
    return call.indexes.filter((index, position) => {
      const outcome = answer.value[position]!;
      if (outcome.kind === 'unanswered') slice.unanswered.push({ index, park: { ...outcome, kind: 'park' } });
      else if (outcome.kind !== 'deferred') slice.outcomes[index] = outcome;
      else if (outcome.reason === 'throttled') slice.throttled.push(index);
      return outcome.kind === 'deferred' && outcome.reason === 'large';
    });
  }

  /** Null when the one change of a lone call has killed its Loader often enough; throws otherwise. */
  async #died(changes: Change[], { alone }: Call, error: unknown): Promise<null> {
    const message = `Loader call of ${changes.length} changes: ${messageOf(error)}`;
    if (!alone) {
      for (const { cursor } of changes) this.#journal.state.suspectChange(cursor, { deaths: 0, throttled: 0 });
      throw new StepError('loader-failed', message);
    }
    // Only a death among Loaders that live is the document's doing.
    await this.#ports.clock.within(this.#ports.load.ping(), LIMITS.pullMsMax, 'Loader').catch(cause => {
      throw new StepError('loader-failed', messageOf(cause));
    });
    const { cursor } = changes[0]!;
    this.#journal.state.suspectChange(cursor, { deaths: 1, throttled: 0 });
    if (this.#journal.state.suspect(cursor)!.deaths < LIMITS.loaderDeathsMax)
      throw new StepError('loader-failed', message);
    return null;
  }

  /** Slots for a call's requests, or null when a host has none left. */
  #permits(changes: Change[], { afresh, nowMs }: { afresh: boolean; nowMs: number }): Permit[] | null {
    const requests = Object.entries(this.#requests(changes, afresh));
    const windowMs = LIMITS.sliceLoadMsMax;
    const hasRoom = requests.every(
      ([host, count]) => this.#admission.room({ host, want: count, nowMs, windowMs }).count >= count,
    );
    return hasRoom ? requests.map(([host, count]) => this.#admission.take({ host, count, nowMs })) : null;
  }

  /** Another look asks for deleted items as well. */
  #requests(changes: Change[], afresh: boolean): Record<string, number> {
    return this.#source.requests('load', afresh ? changes.map(change => ({ ...change, deleted: false })) : changes);
  }
}
