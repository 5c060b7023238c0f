import type { Run } from '../../alarm/run.ts';
import { messageOf, StepError } from '../../errors.ts';
import { LIMITS, MiB, SECOND } from '../../limits.ts';
import type { Change } from '../../ports/change.ts';
import type { Permit } from '../../ports/hosts.ts';
import { callLoader, type LoadCall, loadRequest } from '../../ports/load-call.ts';
import type { Ports } from '../../ports/ports.ts';
import type { EngineSource } from '../../ports/source.ts';
import type { Outcome } from '../journal/changes.ts';
import type { Journal } from '../journal/journal.ts';
import type { Admission } from './admission.ts';
import { failureError, loaderCallMs } from './ask.ts';

/** The same for a slice of small documents from many hosts: each call waits for up to six answers at a time. */
const SPREAD_CALLS_AT_ONCE = 8;
/**
 * A Loader call starts nothing new, and waits for nothing, this long before its deadline, so that it returns in time.
 */
const LOAD_RETURN_MS = 1 * SECOND;
/** When a change has ended this many calls that it had to itself, its document is the cause. */
export const LOADER_DEATHS_MAX = 3;
/** Evidence of all changes of one call: it shares the call's message with them. */
const EVIDENCE_CALL_BYTES_MAX = 8 * MiB;
/** A change that was throttled or not answered this many times is parked. */
const THROTTLED_MAX = 3;

/** The result of a slice: an outcome a change, null where it was not loaded, and when its host has room where none had. */
export interface LoadedSlice {
  outcomes: (Outcome | null)[];
  /** The version of the evidence that each load had; null without one. */
  evidenceVersions: (number | null)[];
  waitUntilMs: number | null;
}

interface Call {
  indexes: number[];
  alone: boolean;
}

/** How a slice is loaded. `spread`: its changes may be loaded in any order, and each host is judged alone. */
interface SliceOptions {
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
  evidenceVersions: (number | null)[];
  throttled: number[];
  unanswered: { index: number; park: Extract<Outcome, { kind: 'park' }> }[];
}

interface SliceLoaderOptions {
  ports: Ports;
  source: EngineSource;
  journal: Journal;
  admission: Admission;
}

const KILLS_LOADER: Outcome = {
  kind: 'park',
  reason: 'document-kills-loader',
  detail: `its Loader died ${LOADER_DEATHS_MAX} times`,
  retryAfterMs: null,
};

/** Loads the changes of a slice: takes permits, splits them over Loader calls, and judges calls that die. */
export class SliceLoader {
  readonly #ports: Ports;
  readonly #source: EngineSource;
  readonly #journal: Journal;
  readonly #admission: Admission;

  constructor({ ports, source, journal, admission }: SliceLoaderOptions) {
    this.#ports = ports;
    this.#source = source;
    this.#journal = journal;
    this.#admission = admission;
  }

  /** Throws `StepError` when one of our own parts failed; the slice then counts nothing. */
  async load(changes: Change[], { run, afresh, spread = false }: SliceOptions): Promise<LoadedSlice> {
    const outcomes = changes.map((change): Outcome | null =>
      change.skip ? { kind: 'skip', reason: change.skip } : null,
    );
    // Admit the changes whose hosts have room.
    const wanted = changes.flatMap((change, index) => (change.skip ? [] : [index]));
    const { admitted, waitUntilMs } = this.#admit(changes, { wanted, afresh, spread });
    const evidenceVersions = changes.map((): number | null => null);
    if (admitted.length === 0) return { outcomes, evidenceVersions, waitUntilMs };
    // Fetch what the changes share.
    const prepared = await this.#prepare(
      admitted.map(index => changes[index]!),
      run,
    );
    // Load most of them in calls at once.
    const startedMs = this.#ports.clock.now();
    const results = { outcomes, evidenceVersions, throttled: [], unanswered: [] };
    const slice: Slice = { changes, afresh, spread, run, prepared, startedMs, ...results };
    const { together, alone } = this.#plan(slice, admitted);
    const large = (
      await Promise.all(together.map((call, lane) => this.#call(slice, call, { lane, lanes: together.length })))
    ).flat();
    // Load each large or suspect document alone, one at a time, because it may need the whole budget.
    for (const [turn, index] of [...alone, ...large].entries()) {
      if (run.callsLeft <= 0) break;
      // Leave the rest to the next slice when time is up: a run must not end before its slice does.
      if (turn > 0 && this.#isLate(slice)) break;
      await this.#call(slice, { indexes: [index], alone: true }, { lane: 0, lanes: 1 });
    }
    // Judge the changes that got no answer, or were throttled: one by one where hosts differ, else as a whole.
    if (spread) {
      // Where all keys are asked of the same hosts, a slice of which nothing was answered says that these are throttling
      // us, and nothing of a key.
      const isHostLimiting = !this.#source.agenda?.directory && admitted.every(index => outcomes[index] === null);
      for (const { index, park } of slice.unanswered) outcomes[index] = park;
      if (!isHostLimiting) this.#countThrottled(slice);
    } else {
      this.#judgeThrottled(slice, admitted);
      this.#judgeUnanswered(slice, admitted);
    }
    return { outcomes, evidenceVersions, waitUntilMs };
  }

  #isLate({ run, spread, startedMs }: Slice): boolean {
    const elapsedMs = this.#ports.clock.now() - startedMs;
    return spread ? run.over || elapsedMs >= LIMITS.visitMsMax : elapsedMs >= LIMITS.sliceLoadMsMax;
  }

  /**
   * If some change of the slice was answered, each one without an answer is parked, because its document is to blame. If
   * none was, the upstream is down: wait and park nothing, but for one change that got no answer `throttledMax` times,
   * so that it alone cannot hold the feed up. A change that is loaded afresh is parked already and only waits longer.
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
    if (this.#journal.state.suspect(cursor)!.throttled >= THROTTLED_MAX) outcomes[first.index] = first.park;
    else throw new StepError('upstream-unreachable', first.park.detail, first.park.retryAfterMs);
  }

  /**
   * If every change of the slice was throttled, the host is rate-limiting us: wait and count nothing. If some change was
   * answered, or one is all that is left, count it per change, and park a change after `throttledMax` times.
   */
  #judgeThrottled({ changes, outcomes, throttled }: Slice, admitted: number[]): void {
    const { state } = this.#journal;
    const isKnown = (index: number) => state.suspect(changes[index]!.cursor) !== null;
    if (admitted.length > 1 && admitted.every(index => outcomes[index] === null) && !admitted.every(isKnown)) return;
    this.#countThrottled({ changes, outcomes, throttled });
  }

  /** Counts throttled loads per change, and parks a change after `throttledMax` of them. */
  #countThrottled({ changes, outcomes, throttled }: Pick<Slice, 'changes' | 'outcomes' | 'throttled'>): void {
    const { state } = this.#journal;
    for (const index of throttled) {
      const { cursor } = changes[index]!;
      state.suspectChange(cursor, { deaths: 0, throttled: 1 });
      const times = state.suspect(cursor)!.throttled;
      if (times < THROTTLED_MAX) continue;
      outcomes[index] = { kind: 'park', reason: 'http-429', detail: `throttled ${times} times`, retryAfterMs: null };
    }
  }

  /**
   * As many of the wanted changes, in order, as their hosts have room for in this slice. One without room ends them,
   * because later changes must not overtake it; where the order does not matter, only that one waits.
   */
  #admit(
    changes: Change[],
    { wanted, afresh, spread }: { wanted: number[]; afresh: boolean; spread: boolean },
  ): { admitted: number[]; waitUntilMs: number | null } {
    const nowMs = this.#ports.clock.now();
    const asked = wanted.map(index => Object.entries(this.#requests([changes[index]!], afresh)));
    // A change may need several requests of one host.
    const wants = new Map<string, number>();
    for (const [host, count] of asked.flat()) wants.set(host, (wants.get(host) ?? 0) + count);
    const left = new Map<string, number>();
    const admitted: number[] = [];
    let waitUntilMs: number | null = null;
    for (const [place, index] of wanted.entries()) {
      const requests = asked[place]!;
      for (const [host] of requests) {
        if (left.has(host)) continue;
        const want = wants.get(host)!;
        const { count, atMs } = this.#admission.room({ host, want, nowMs, windowMs: LIMITS.slicePermitMsMax });
        if (count === 0) waitUntilMs ??= atMs;
        left.set(host, count);
      }
      if (requests.some(([host, count]) => left.get(host)! < count)) {
        if (spread) continue;
        break;
      }
      for (const [host, count] of requests) left.set(host, left.get(host)! - count);
      admitted.push(index);
    }
    return { admitted, waitUntilMs: spread || admitted.length === 0 ? waitUntilMs : null };
  }

  /** What the source fetches in bulk for the slice; null when that failed, because loads can do without. */
  async #prepare(changes: Change[], run: Run): Promise<unknown> {
    if (!this.#source.prepares) return null;
    const requests = this.#source.requests('prepare', changes);
    const permits = this.#admission.takeSome(requests, this.#ports.clock.now());
    if (permits.length === 0) return null;
    try {
      const call = { ms: loaderCallMs(LIMITS.sliceLoadMsMax), subject: `prepare of ${changes.length} changes` };
      const answer = await run.call(() => this.#ports.load.run('prepare', { changes, permits }), call);
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
    const count = spread ? SPREAD_CALLS_AT_ONCE : LIMITS.loadCallsAtOnce;
    const lanes: number[][] = Array.from({ length: count }, () => []);
    const laneOf = new Map<string, number[]>();
    for (const index of admitted) {
      const { key, cursor } = changes[index]!;
      const isLarge = (this.#journal.state.documentBytesOf(key) ?? 0) > LIMITS.documentBytesLarge;
      if (isLarge || this.#journal.state.suspect(cursor)) {
        alone.push(index);
        continue;
      }
      // Where hosts differ, keep the keys of one host in one call, so that a slow host holds up no other.
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
    // Give each change its key's facts and evidence, and leave those that do not fit to the next slice.
    const { round } = this.#journal;
    const withFacts = (change: Change) => (round ? round.withFacts(change) : change);
    const { changes, evidenceBytes } = this.#withEvidence(call.indexes.map(index => withFacts(slice.changes[index]!)));
    const indexes = call.indexes.slice(0, changes.length);
    for (const [at, index] of indexes.entries()) slice.evidenceVersions[index] = changes[at]!.evidence?.version ?? null;
    const nowMs = this.#ports.clock.now();
    const ms = slice.spread ? LIMITS.visitMsMax : LIMITS.sliceLoadMsMax;
    const callsAtOnce = slice.spread ? SPREAD_CALLS_AT_ONCE : LIMITS.loadCallsAtOnce;
    const permits = this.#permits(changes, { afresh: slice.afresh, nowMs });
    if (!permits) return [];
    const request = loadRequest({
      changes,
      prepared: slice.prepared,
      permits,
      afresh: slice.afresh,
      alone: call.alone,
      callsAtOnce,
      knownBytes: changes.map(({ key }, position) => this.#bytesOf(key, evidenceBytes[position]!)),
      deadlineAtMs: nowMs + ms - LOAD_RETURN_MS,
    });
    const limits = {
      ms: loaderCallMs(ms),
      subject: `load of ${changes.length} changes (call ${lane + 1} of ${lanes})`,
    };
    const answer = await callLoader(() => slice.run.call(() => this.#ports.load.run('load', request), limits), {
      alone: call.alone,
      load: this.#ports.load,
      clock: this.#ports.clock,
    });
    if ('died' in answer) {
      // The call of an abandoned run did not die: its run stopped waiting for it.
      if (slice.run.abandoned) throw new StepError('deadline', answer.message);
      this.#noteDeath(changes, { ...answer, alone: call.alone });
      slice.outcomes[indexes[0]!] = KILLS_LOADER;
      return [];
    }
    const endMs = this.#ports.clock.now();
    this.#admission.learn(answer.hosts, endMs, endMs - nowMs);
    if (!answer.ok) throw failureError(answer.failure);
    return indexes.filter((index, position) => {
      const outcome = answer.value[position]!;
      if (outcome.kind === 'unanswered') slice.unanswered.push({ index, park: { ...outcome, kind: 'park' } });
      else if (outcome.kind !== 'deferred') slice.outcomes[index] = outcome;
      else if (outcome.reason === 'throttled') slice.throttled.push(index);
      return outcome.kind === 'deferred' && outcome.reason === 'large';
    });
  }

  /** As many of the changes as one call holds with their evidence, and at least one. */
  #withEvidence(changes: Change[]): { changes: Change[]; evidenceBytes: number[] } {
    const { evidence } = this.#journal;
    if (!evidence) return { changes, evidenceBytes: changes.map(() => 0) };
    const taken: Change[] = [];
    const evidenceBytes: number[] = [];
    let total = 0;
    for (const change of changes) {
      const found = evidence.of(change.key);
      total += found.bytes;
      if (taken.length > 0 && total > EVIDENCE_CALL_BYTES_MAX) break;
      taken.push({ ...change, evidence: found.evidence });
      evidenceBytes.push(found.bytes);
    }
    return { changes: taken, evidenceBytes };
  }

  /** What a load may hold: the source's limit, or the key's last document, and its evidence; null where neither is known. */
  #bytesOf(key: string, evidenceBytes: number): number | null {
    const documentBytes = this.#source.documentBytes ?? this.#journal.state.documentBytesOf(key);
    return documentBytes === null ? null : documentBytes + evidenceBytes;
  }

  /** Returns once the document of a call alone has killed its Loader `loaderDeathsMax` times; throws before that. */
  #noteDeath(
    changes: Change[],
    { alone, died, message }: Extract<LoadCall, { died: string }> & { alone: boolean },
  ): void {
    const { state } = this.#journal;
    const failure = new StepError('loader-failed', `Loader call of ${changes.length} changes: ${message}`);
    // Load the changes of a shared call alone the next time.
    if (!alone) for (const { cursor } of changes) state.suspectChange(cursor, { deaths: 0, throttled: 0 });
    // Count only a death that its document is to blame for.
    if (died === 'loader') throw failure;
    const { cursor } = changes[0]!;
    state.suspectChange(cursor, { deaths: 1, throttled: 0 });
    if (state.suspect(cursor)!.deaths < LOADER_DEATHS_MAX) throw failure;
  }

  /** Permits for a call's requests, or null when a host has too few left. */
  #permits(changes: Change[], { afresh, nowMs }: { afresh: boolean; nowMs: number }): Permit[] | null {
    const requests = Object.entries(this.#requests(changes, afresh));
    const windowMs = LIMITS.sliceLoadMsMax;
    const hasRoom = requests.every(
      ([host, count]) => this.#admission.room({ host, want: count, nowMs, windowMs }).count >= count,
    );
    return hasRoom ? requests.map(([host, count]) => this.#admission.take({ host, count, nowMs })) : null;
  }

  /** Loading afresh fetches deleted items as well, so their requests count. */
  #requests(changes: Change[], afresh: boolean): Record<string, number> {
    return this.#source.requests('load', afresh ? changes.map(change => ({ ...change, deleted: false })) : changes);
  }
}
