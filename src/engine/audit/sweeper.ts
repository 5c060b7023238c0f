import type { Run } from '../../alarm/run.ts';
import { LIMITS } from '../../config.ts';
import type { KeyPage } from '../../ports/change.ts';
import type { Ports } from '../../ports/ports.ts';
import type { EngineSource } from '../../ports/source.ts';
import { storableKey } from '../../ports/sql-guard.ts';
import { TAIL } from '../journal/changes.ts';
import type { JournalState } from '../journal/state.ts';
import type { JournalSweep, Sweep } from '../journal/sweeps.ts';
import type { Admission } from '../load/admission.ts';
import { ask } from '../load/ask.ts';

/** Pages of a listing in one run. */
const LIST_PAGES_PER_RUN = 3;
/** A sweep that finds more differing keys ends: it compares with another lake, and each key would be a load. */
export const SWEEP_DIFFERENCES_MAX = 100_000;

interface SweeperOptions {
  ports: Ports;
  source: EngineSource;
  state: JournalState;
  sweeps: JournalSweep;
  admission: Admission;
}

/**
 * Does the work of a sweep, a few pages of the listing a run. Each step is one transaction, which drops a page that
 * arrives after the sweep has moved on.
 */
export class Sweeper {
  readonly #ports: Ports;
  readonly #source: EngineSource;
  readonly #state: JournalState;
  readonly #sweeps: JournalSweep;
  readonly #admission: Admission;

  constructor({ ports, source, state, sweeps, admission }: SweeperOptions) {
    this.#ports = ports;
    this.#source = source;
    this.#state = state;
    this.#sweeps = sweeps;
    this.#admission = admission;
  }

  /** Continues the sweep until it has to wait, or has had its share of the run. Throws `StepError`. */
  async work(run: Run): Promise<void> {
    const endMs = this.#ports.clock.now() + LIMITS.auditStepMsMax;
    let pages = 0;
    // The sweep has a time of its own, because a tail with a backlog uses up every run.
    const mayList = () => pages++ < LIST_PAGES_PER_RUN && this.#ports.clock.now() < endMs;
    for (let sweep = this.#sweeps.running(); sweep; sweep = this.#sweeps.running()) {
      if (!(await this.#step(sweep, run, mayList))) return;
    }
  }

  /** When there is something to do; null while the sweep waits for the tail, whose runs continue it. */
  nextMs(nowMs: number): number | null {
    const phase = this.#sweeps.running()?.phase;
    if (phase === 'listing' || phase === 'checking') return nowMs;
    return phase === 'mending' ? nowMs + this.#source.pollMs : null;
  }

  /** One step; false when the next one has to wait. */
  async #step(sweep: Sweep, run: Run, mayList: () => boolean): Promise<boolean> {
    if (this.#sweeps.countDifferences(sweep.id) > SWEEP_DIFFERENCES_MAX) return this.#giveUp(sweep);
    switch (sweep.phase) {
      case 'listing': {
        if (!mayList()) return false;
        const page = await this.#list(sweep.after, run);
        // `polls` is the number of the tail's next pull, which is the first one to begin after this page was listed.
        this.#sweeps.compareListing(sweep, page, this.#state.lane(TAIL).polls);
        return true;
      }
      case 'catching-up':
        return this.#catchUp(sweep);
      case 'checking':
        return this.#check(sweep, run, mayList);
      default:
        return this.#parkMissing(sweep);
    }
  }

  /** Waits until a pull that began after the listing has reached the head of the feed. */
  #catchUp(sweep: Sweep): boolean {
    const { head_poll } = this.#state.lane(TAIL);
    if (head_poll === null || head_poll < sweep.first_poll!) return false;
    this.#sweeps.setPhase(sweep, 'checking');
    return true;
  }

  async #check(sweep: Sweep, run: Run, mayList: () => boolean): Promise<boolean> {
    // Check missing and deleted keys again, some a transaction.
    if (this.#sweeps.recheckMissing(sweep.id)) {
      await run.turn();
      return true;
    }
    // Then list each extra key again.
    const extra = this.#sweeps.nextExtra(sweep);
    if (!extra) {
      this.#sweeps.setPhase(sweep, 'mending');
      return true;
    }
    if (!mayList()) return false;
    this.#sweeps.recheckExtra(sweep, extra, await this.#list(extra.after, run));
    return true;
  }

  #parkMissing(sweep: Sweep): boolean {
    const nowMs = this.#ports.clock.now();
    const cursor = this.#state.lane(TAIL).cursor!;
    const result = this.#sweeps.parkMissing(sweep.id, { cursor, nowMs });
    if (result === 'none') this.#sweeps.end(sweep.id, { reason: null, nowMs });
    return result === 'parked';
  }

  #giveUp(sweep: Sweep): boolean {
    const reason = `expected at most ${SWEEP_DIFFERENCES_MAX} keys to differ, got more: ask for a smaller sample`;
    this.#sweeps.end(sweep.id, { reason, nowMs: this.#ports.clock.now() });
    return false;
  }

  async #list(after: string | null, run: Run): Promise<KeyPage> {
    const { keys, next } = await ask({
      ports: this.#ports,
      source: this.#source,
      admission: this.#admission,
      run,
      step: 'list',
      request: { after },
      ms: LIMITS.listMsMax,
      subject: 'list',
    });
    // Keys get the form that the tail's keys have. `next` stays as the upstream gave it, because it goes back there.
    return { keys: keys.map(storableKey), next };
  }
}
