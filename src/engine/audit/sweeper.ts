import type { Run } from '../../alarm/run.ts';
import { LIMITS } from '../../config.ts';
import { listingKey } from '../../lake/object-keys.ts';
import type { KeyPage } from '../../ports/change.ts';
import type { Ports } from '../../ports/ports.ts';
import type { EngineSource } from '../../ports/source.ts';
import { storableKey } from '../../ports/sql-guard.ts';
import { TAIL } from '../journal/changes.ts';
import type { JournalState } from '../journal/state.ts';
import { type JournalSweep, LISTED_KINDS, type Sweep } from '../journal/sweeps.ts';
import type { Admission } from '../load/admission.ts';
import { ask } from '../load/ask.ts';

/** Pages of a listing in one run. */
const LIST_PAGES_PER_RUN = 3;
/** A sweep that finds more differing keys ends: it compares with another lake, and each key would be a load. */
export const SWEEP_DIFFERENCES_MAX = 100_000;

/** A page of a stored listing asks no host. */
const NO_REQUESTS = { requests: () => ({}) };

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
    if (this.#sweeps.differences.count(sweep.id) > SWEEP_DIFFERENCES_MAX) return this.#giveUp(sweep);
    switch (sweep.phase) {
      case 'listing': {
        if (!mayList()) return false;
        const page = await this.#list(sweep.after, sweep.listing, run);
        // Begin again where the stored listing is gone: a page of another one says nothing of the keys before it.
        if (!page) this.#sweeps.restartListing(sweep);
        // `polls` is the number of the tail's next pull, which is the first one to begin after this page was listed.
        else this.#sweeps.compareListing(sweep, page, this.#state.lane(TAIL).polls);
        return true;
      }
      case 'catching-up':
        return this.#catchUp(sweep);
      case 'checking':
        return this.#check(sweep, run, mayList);
      default:
        return this.#mend(sweep);
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
    // Check listed keys again, some a transaction, then extra keys.
    if (this.#sweeps.recheckListed(sweep.id) || (this.#isWhole && this.#sweeps.recheckExtraRows(sweep.id))) {
      await run.turn();
      return true;
    }
    // Of a listing that is asked page by page, list each extra key again.
    const extra = this.#isWhole ? null : this.#sweeps.nextExtra(sweep);
    if (!extra) {
      this.#sweeps.setPhase(sweep, 'mending');
      return true;
    }
    if (!mayList()) return false;
    const page = await this.#list(extra.after, null, run);
    if (page) this.#sweeps.recheckExtra(sweep, extra, page);
    return true;
  }

  async #mend(sweep: Sweep): Promise<boolean> {
    const nowMs = this.#ports.clock.now();
    const cursor = this.#state.lane(TAIL).cursor!;
    // Load extra keys as well where the listing is older than its answer: only their own answer says if they are gone.
    const kinds = this.#isWhole ? [...LISTED_KINDS, 'extra' as const] : LISTED_KINDS;
    const result = this.#sweeps.parkDiffering(sweep.id, { kinds, cursor, nowMs });
    if (result === 'none') await this.#end(sweep, null);
    return result === 'parked';
  }

  async #giveUp(sweep: Sweep): Promise<boolean> {
    await this.#end(
      sweep,
      `expected at most ${SWEEP_DIFFERENCES_MAX} keys to differ, got more: ask for a smaller sample`,
    );
    return false;
  }

  async #end(sweep: Sweep, reason: string | null): Promise<void> {
    // Remove the stored listing first: after a crash the sweep still runs, and ends here again.
    if (this.#isWhole) {
      const removal = this.#ports.bucket.remove([listingKey(this.#source.id)]);
      await this.#ports.clock.within(removal, LIMITS.bucketCallMsMax, 'removal of the stored listing');
    }
    this.#sweeps.end(sweep.id, { reason, nowMs: this.#ports.clock.now() });
  }

  get #isWhole(): boolean {
    return this.#source.listsWhole;
  }

  /** A page of the listing; null where the stored listing that the sweep began with is gone. */
  async #list(after: string | null, listing: string | null, run: Run): Promise<KeyPage | null> {
    const page = await ask({
      ports: this.#ports,
      source: listing === null ? this.#source : NO_REQUESTS,
      admission: this.#admission,
      run,
      step: 'list',
      request: { after, listing },
      // The Loader stores a whole listing before it answers.
      ms: this.#source.listsWhole ? LIMITS.listingMsMax + LIMITS.bucketCallMsMax : LIMITS.listMsMax,
      subject: 'list',
    });
    // Keys get the form that the tail's keys have. `next` stays as the upstream gave it, because it goes back there.
    return page && { ...page, keys: page.keys.map(storableKey) };
  }
}
