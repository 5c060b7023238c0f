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

interface Parts {
  ports: Ports;
  source: EngineSource;
  state: JournalState;
  sweeps: JournalSweep;
  admission: Admission;
}

/**
 * Does a sweep's work, a few pages a run. Each step is one transaction of what was asked and is still wanted: a page
 * that comes when the sweep has gone on is thrown away.
 */
export class Sweeper {
  readonly #ports: Ports;
  readonly #source: EngineSource;
  readonly #state: JournalState;
  readonly #sweeps: JournalSweep;
  readonly #admission: Admission;

  constructor({ ports, source, state, sweeps, admission }: Parts) {
    this.#ports = ports;
    this.#source = source;
    this.#state = state;
    this.#sweeps = sweeps;
    this.#admission = admission;
  }

  /** Goes on with the sweep until it waits for others, or has had its share of the run. Throws `StepError`. */
  async work(run: Run): Promise<void> {
    const endMs = this.#ports.clock.now() + LIMITS.auditStepMsMax;
    let pages = 0;
    // The tail may have used up the run: a backlog must not keep a sweep from its end.
    const mayList = () => pages++ < LIMITS.listPagesPerRun && this.#ports.clock.now() < endMs;
    for (let sweep = this.#sweeps.running(); sweep; sweep = this.#sweeps.running()) {
      if (!(await this.#step(sweep, run, mayList))) return;
    }
  }

  /** When there is something to do; null while the tail's own runs are what is waited for. */
  nextMs(nowMs: number): number | null {
    const phase = this.#sweeps.running()?.phase;
    if (phase === 'listing' || phase === 'checking') return nowMs;
    return phase === 'mending' ? nowMs + this.#source.pollMs : null;
  }

  /** One step; false when the next one has to wait. */
  async #step(sweep: Sweep, run: Run, mayList: () => boolean): Promise<boolean> {
    if (this.#sweeps.differences(sweep.id) > LIMITS.sweepDifferencesMax) return this.#giveUp(sweep);
    switch (sweep.phase) {
      case 'listing': {
        if (!mayList()) return false;
        const page = await this.#list(sweep.after, run);
        // The pull that comes next is the first one to begin after all this was listed.
        this.#sweeps.compare(sweep, page, this.#state.lane(TAIL).polls);
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

  /** Waits until a pull that began after the listing has shown all there was. */
  #catchUp(sweep: Sweep): boolean {
    const { shown_poll } = this.#state.lane(TAIL);
    if (shown_poll === null || shown_poll < sweep.polls!) return false;
    this.#sweeps.enter(sweep, 'checking');
    return true;
  }

  async #check(sweep: Sweep, run: Run, mayList: () => boolean): Promise<boolean> {
    if (this.#sweeps.checkHere(sweep.id)) {
      await run.turn();
      return true;
    }
    const extra = this.#sweeps.nextExtra(sweep);
    if (!extra) {
      this.#sweeps.enter(sweep, 'mending');
      return true;
    }
    if (!mayList()) return false;
    this.#sweeps.checkThere(sweep, extra, await this.#list(extra.after, run));
    return true;
  }

  #mend(sweep: Sweep): boolean {
    const nowMs = this.#ports.clock.now();
    const cursor = this.#state.lane(TAIL).cursor!;
    const came = this.#sweeps.mend(sweep.id, { cursor, nowMs });
    if (came === 'none') this.#sweeps.end(sweep.id, { reason: null, nowMs });
    return came === 'some';
  }

  #giveUp(sweep: Sweep): boolean {
    const reason = `expected at most ${LIMITS.sweepDifferencesMax} keys to differ, got more: ask for a smaller sample`;
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
    // Keys are kept here as the tail keeps them; what listing goes on after is the upstream's own word.
    return { keys: keys.map(storableKey), next };
  }
}
