import type { Table } from '../../../schemas/table.ts';
import { AlarmLoop } from '../../alarm/alarm-loop.ts';
import type { Run } from '../../alarm/run.ts';
import { type CatalogSettings, LIMITS } from '../../config.ts';
import { CatalogError } from '../errors.ts';
import { RestCatalog } from '../rest/client.ts';
import { faultOf } from './policy.ts';
import type { CommitterPorts } from './ports.ts';
import { admitWrite } from './rate-limit.ts';
import { CommitState } from './state.ts';
import { TableCommitter } from './table-committer.ts';

/** The wait after a 429 without `Retry-After`: the catalog counts requests over a minute. */
const HOLD_MS = 60_000;

interface CommitterOptions {
  ports: CommitterPorts;
  /** The tables to commit, each with the id of its source. */
  tables: { table: Table; source: string }[];
  settings: CatalogSettings;
}

/** Commits data files to the Iceberg catalog. Tables take turns, and a table that fails holds up no other. */
export class Committer {
  readonly state: CommitState;
  readonly tables: TableCommitter[];
  readonly ports: CommitterPorts;
  readonly #loop: AlarmLoop;

  /** Throws `SettingError` for a token that no header can carry. */
  constructor({ ports, tables, settings }: CommitterOptions) {
    this.ports = ports;
    this.state = new CommitState(
      ports.sql,
      tables.map(({ table }) => table.name),
    );
    const { state } = this;
    const catalog = new RestCatalog({
      ...settings,
      fetch: ports.fetch,
      clock: ports.clock,
      admit: write => admitWrite(state, write, ports.clock.now()),
    });
    const { bucket: bucketName, pace } = settings;
    this.#loop = new AlarmLoop({
      clock: ports.clock,
      wake: ports.wake,
      work: run => this.#work(run),
      // A run that failed or took too long leaves the tables as they were, and the next run goes on with them.
      onFailure: () => undefined,
      nextWakeMs: () => this.nextWakeMs(),
    });
    this.tables = tables.map(table => new TableCommitter({ ...table, bucketName, pace, ports, state, catalog }));
  }

  /** What the alarm calls; see `AlarmLoop`. */
  wake(): Promise<void> {
    return this.#loop.wake();
  }

  /** For the watchdog: wakes a committer whose alarm is gone, late, or set too late. */
  watch(): Promise<void> {
    return this.#loop.watch();
  }

  async #work(run: Run): Promise<void> {
    const nowMs = this.ports.clock.now();
    // Begin with the table that is due longest, so that a slow table does not take every run for itself.
    const due = this.tables.filter(table => this.#dueMs(table, nowMs) <= nowMs);
    due.sort((a, b) => this.#dueMs(a, nowMs) - this.#dueMs(b, nowMs));
    for (const table of due) {
      if (run.over) return;
      await this.#workOn(table, run);
    }
  }

  async #workOn(committer: TableCommitter, run: Run): Promise<void> {
    const { name } = committer.table;
    const before = this.state.fault(name);
    // Postpone the next probe of a stalled table first, so that a probe which kills the object is not repeated at once.
    if (before?.stalls) this.state.setFault(name, { ...before, retryMs: this.ports.clock.now() + LIMITS.probeMs });
    try {
      await committer.work(run);
      this.state.setFault(name, null);
    } catch (error) {
      // Note nothing of an abandoned run, because the next one may have got further.
      if (run.abandoned) throw error;
      this.#fail(name, error);
    }
  }

  #fail(name: string, error: unknown): void {
    const nowMs = this.ports.clock.now();
    const fault = faultOf(error, { before: this.state.fault(name), nowMs });
    this.state.setFault(name, fault);
    // Hold all tables, because the catalog's limits count the requests of all of them.
    if (error instanceof CatalogError && error.status === 429) {
      const heldMs = Math.min(error.retryAfterMs ?? HOLD_MS, LIMITS.retryAfterMsMax);
      this.state.setHeldUntilMs(nowMs + heldMs);
    }
    const { kind, reason, hint } = fault;
    this.ports.log('catalog_failed', { table: name, kind, reason, hint, retry_after_ms: fault.retryMs - nowMs });
  }

  #dueMs({ table: { name } }: TableCommitter, nowMs: number): number {
    const fault = this.state.fault(name);
    // A failure in the future, or a check too far ahead, was noted by a clock that has jumped back since.
    const retryMs = fault && fault.atMs <= nowMs ? fault.retryMs : 0;
    const { next_ms: nextMs } = this.state.table(name);
    return Math.max(retryMs, nextMs > nowMs + LIMITS.commitCheckMs ? nowMs : nextMs);
  }

  /** The earliest time at which a table is due; null without tables. */
  nextWakeMs(): number | null {
    const nowMs = this.ports.clock.now();
    const times = this.tables.map(table => Math.max(nowMs, this.#dueMs(table, nowMs)));
    return times.length > 0 ? Math.min(...times) : null;
  }
}
