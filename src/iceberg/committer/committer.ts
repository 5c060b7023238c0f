import type { Table } from '../../../schemas/table.ts';
import { type CatalogSettings, LIMITS } from '../../config.ts';
import { CatalogError } from '../errors.ts';
import { RestCatalog } from '../rest/client.ts';
import { faultOf } from './policy.ts';
import type { CommitterPorts } from './ports.ts';
import { admitChange } from './rate-limit.ts';
import { CommitRun } from './run.ts';
import { CommitState } from './state.ts';
import { TableCommitter } from './table-committer.ts';

/** What a 429 without `Retry-After` asks for: the catalog counts over a minute. */
const HOLD_MS = 60_000;

interface CommitterOptions {
  ports: CommitterPorts;
  /** The tables that are committed, each with the id of its source. */
  tables: { table: Table; source: string }[];
  settings: CatalogSettings;
}

/**
 * Brings data files into the Iceberg catalog: what happens each time its object wakes. Tables take turns, and a table
 * that fails keeps no other waiting.
 */
export class Committer {
  readonly state: CommitState;
  readonly tables: TableCommitter[];
  readonly ports: CommitterPorts;
  #running: Promise<void> | null = null;
  /** Somebody asked for a run while one was going on. */
  #noted = false;

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
      admit: change => admitChange(state, change, ports.clock.now()),
    });
    const { bucket: bucketName, pace } = settings;
    this.tables = tables.map(table => new TableCommitter({ ...table, bucketName, pace, ports, state, catalog }));
  }

  /** The one way in. A second entry during a run leaves a note and an alarm. */
  async wake(): Promise<void> {
    if (this.#running) {
      this.#noted = true;
      // The alarm that brought us here is spent, and the run may still be killed.
      await this.ports.wake.set(this.ports.clock.now() + LIMITS.recoveryMs);
      return;
    }
    this.#running = this.#run();
    try {
      await this.#running;
    } finally {
      this.#running = null;
    }
  }

  async #run(): Promise<void> {
    const { clock, wake } = this.ports;
    const run = new CommitRun(clock, wake);
    // Armed, and awaited, before any work: should the run be killed, this is when the next one starts.
    await run.keepArmed();
    this.#noted = false;
    try {
      await clock.within(this.#work(run), LIMITS.runMsMax, 'run of the committer');
    } catch {
      // Too late, or a failure to set the alarm: the tables are as they were, and the next run goes on with them.
    } finally {
      run.abandon();
      const nextMs = this.#noted ? clock.now() : this.nextWakeMs();
      await clock.within(wake.set(nextMs), LIMITS.alarmCallMsMax, 'alarm after the run');
    }
  }

  async #work(run: CommitRun): Promise<void> {
    const nowMs = this.ports.clock.now();
    // Whose turn it has been for the longest comes first: a slow one must not have every run for itself.
    const due = this.tables.filter(table => this.#dueMs(table, nowMs) <= nowMs);
    due.sort((a, b) => this.#dueMs(a, nowMs) - this.#dueMs(b, nowMs));
    for (const table of due) {
      if (run.over) return;
      await this.#look(table, run);
    }
  }

  async #look(committer: TableCommitter, run: CommitRun): Promise<void> {
    const { name } = committer.table;
    const before = this.state.fault(name);
    // A probe that kills the object must not be the first thing the next run does.
    if (before?.stalls) this.state.setFault(name, { ...before, retryMs: this.ports.clock.now() + LIMITS.probeMs });
    try {
      await committer.work(run);
      this.state.setFault(name, null);
    } catch (error) {
      // Of a run that was given up nothing is noted: the next one may have got further.
      if (run.abandoned) throw error;
      this.#fail(name, error);
    }
  }

  #fail(name: string, error: unknown): void {
    const nowMs = this.ports.clock.now();
    const fault = faultOf(error, { before: this.state.fault(name), nowMs });
    this.state.setFault(name, fault);
    // The catalog's limits are on all of it: no other table is to run into them either.
    if (error instanceof CatalogError && error.status === 429) {
      const heldMs = Math.min(error.retryAfterMs ?? HOLD_MS, LIMITS.retryAfterMsMax);
      this.state.hold(nowMs + heldMs);
    }
    const { kind, reason, hint } = fault;
    this.ports.log('catalog_failed', { table: name, kind, reason, hint, retry_after_ms: fault.retryMs - nowMs });
  }

  #dueMs({ table: { name } }: TableCommitter, nowMs: number): number {
    const fault = this.state.fault(name);
    // A failure from the future is one of a clock that jumped back since; so is a look that far ahead.
    const retryMs = fault && fault.atMs <= nowMs ? fault.retryMs : 0;
    const { next_ms: nextMs } = this.state.table(name);
    return Math.max(retryMs, nextMs > nowMs + LIMITS.commitLookMs ? nowMs : nextMs);
  }

  /** The earliest time at which a table is to be looked at; null without tables. */
  nextWakeMs(): number | null {
    const nowMs = this.ports.clock.now();
    const times = this.tables.map(table => Math.max(nowMs, this.#dueMs(table, nowMs)));
    return times.length > 0 ? Math.min(...times) : null;
  }

  /** The watchdog's look: an alarm that is gone, late, or set too late is set anew. */
  async watch(): Promise<void> {
    const wantedMs = this.nextWakeMs();
    const armedMs = await this.ports.wake.get();
    const nowMs = this.ports.clock.now();
    if (wantedMs === null) return;
    const isSilent = armedMs === null || armedMs < nowMs - LIMITS.recoveryMs || armedMs > wantedMs + LIMITS.recoveryMs;
    if (!isSilent) return;
    if (this.#running) this.#noted = true;
    await this.ports.wake.set(nowMs);
  }
}
