import type { Run } from '../../alarm/run.ts';
import type { AuditStatus, SelfCheckStatus, SweepStatus } from '../../contract/audit.ts';
import type { Ports } from '../../ports/ports.ts';
import type { EngineSource } from '../../ports/source.ts';
import type { SqlPort } from '../../ports/sql.ts';
import { isoTime } from '../../time.ts';
import type { DifferenceKind } from '../journal/differences.ts';
import type { Journal } from '../journal/journal.ts';
import { JournalProblems, type SelfCheckRow } from '../journal/problems.ts';
import { JournalSweep, type Sweep } from '../journal/sweeps.ts';
import type { Admission } from '../load/admission.ts';
import { wilson } from './capture-rate.ts';
import { Rounder } from './rounder.ts';
import { SelfCheck } from './self-check.ts';
import { Sweeper } from './sweeper.ts';

interface AuditOptions {
  sql: SqlPort;
  ports: Ports;
  source: EngineSource;
  journal: Journal;
  admission: Admission;
  /** The time from the start of one self-check to that of the next. */
  selfCheckMs: number;
  /** See `Rounder`. */
  isPending: (key: string) => boolean;
  onFactsChanged: () => void;
}

/** A step of a run, and when it has something to do. */
interface AuditStep {
  step: string;
  atMs: number | null;
  work: (run: Run) => Promise<void>;
}

/** The steps of an audit. Their failures do not change the state of the source. */
export const AUDIT_STEPS: ReadonlySet<string> = new Set(['audit', 'self-check', 'damage', 'round']);

/** Whether a failed step makes the source unhealthy. A failed audit step does not; damage that an audit found does. */
export function isUnhealthy({ step }: { step: string }): boolean {
  return step === 'damage' || !AUDIT_STEPS.has(step);
}

/** Compares the key index with the upstream (a sweep), and the lake with the journal (a self-check). */
export class Audit {
  readonly #source: EngineSource;
  readonly #ports: Ports;
  readonly #sweeps: JournalSweep;
  readonly #sweeper: Sweeper;
  readonly #problems: JournalProblems;
  readonly #selfCheck: SelfCheck;
  /** Null of a source without a round. */
  readonly #rounder: Rounder | null;

  constructor({ sql, ports, source, journal, admission, selfCheckMs, isPending, onFactsChanged }: AuditOptions) {
    this.#source = source;
    this.#ports = ports;
    this.#sweeps = new JournalSweep(sql, journal);
    this.#sweeper = new Sweeper({ ports, source, state: journal.state, sweeps: this.#sweeps, admission });
    this.#problems = new JournalProblems(sql);
    const tables = source.tables.map(({ name }) => name);
    this.#selfCheck = new SelfCheck({ ports, tables, problems: this.#problems, everyMs: selfCheckMs });
    const { round, state } = journal;
    const parts = { ports, source, state, admission, isPending, onChanged: onFactsChanged };
    this.#rounder = round && source.roundMs !== null ? new Rounder({ ...parts, round, everyMs: source.roundMs }) : null;
  }

  /**
   * The steps of an audit, in order. A paused source asks its upstream nothing, and checks its lake on request only.
   */
  steps({ nowMs, paused }: { nowMs: number; paused: boolean }): AuditStep[] {
    const check = this.#selfCheck;
    const periodic = !paused;
    return [
      {
        step: 'self-check',
        atMs: check.nextMs(nowMs, { periodic }),
        work: run => check.work(run, { periodic }),
      },
      { step: 'damage', atMs: check.isDamaged ? nowMs : null, work: run => check.recheckDamage(run) },
      {
        step: 'audit',
        atMs: paused ? null : this.#sweeper.nextMs(nowMs),
        work: async run => (paused ? undefined : this.#sweeper.work(run)),
      },
      {
        step: 'round',
        atMs: paused ? null : (this.#rounder?.nextMs(nowMs) ?? null),
        work: async run => (paused ? undefined : this.#rounder?.work(run)),
      },
    ];
  }

  /** Takes the keys of a page that the tail has pulled. */
  keysPulled(keys: string[]): void {
    this.#sweeps.dropPulled(keys);
  }

  /** Starts a sweep; false when one is running, null where the upstream does not list its keys. */
  startSweep(sample: number): boolean | null {
    return this.#source.lists ? this.#sweeps.start(sample, this.#ports.clock.now()) : null;
  }

  /** Requests a self-check; false when one is requested or running. */
  startSelfCheck(): boolean {
    return this.#problems.request();
  }

  status(): AuditStatus {
    const [running, last] = [this.#sweeps.running(), this.#sweeps.last()];
    return {
      source: this.#source.id,
      running: running && this.#sweepStatus(running),
      last: last && this.#sweepStatus(last),
      self_check: this.#selfCheckStatus(this.#problems.current()),
    };
  }

  /** Differences are null until they have been checked again. */
  #sweepStatus(sweep: Sweep): SweepStatus {
    const { id, phase, sample, ordered, listed, sampled, present, failed, deleted, loaded_afresh, reason } = sweep;
    const isChecked = phase === 'mending' || phase === 'done';
    const isExtraKnown = isChecked && ordered === 1;
    const { present: hits, missing, stale } = sweep;
    const keysOf = (kind: DifferenceKind) => this.#sweeps.differences.confirmedKeys(id, kind);
    const capture = isChecked ? wilson(hits, hits + failed + missing) : null;
    return {
      phase,
      sample,
      listed,
      sampled,
      present,
      failed,
      deleted,
      missing: isChecked ? missing : null,
      stale: isChecked ? stale : null,
      extra: isExtraKnown ? sweep.extra : null,
      capture_rate: capture && rounded(capture.share),
      capture_rate_low: capture && rounded(capture.low),
      capture_rate_high: capture && rounded(capture.high),
      missing_keys: isChecked ? keysOf('missing') : [],
      stale_keys: isChecked ? keysOf('stale') : [],
      extra_keys: isExtraKnown ? keysOf('extra') : [],
      loaded_afresh,
      reason,
      started_at: isoTime(sweep.started_ms),
      ended_at: isoTime(sweep.ended_ms),
    };
  }

  #selfCheckStatus({ requested, started_ms, ended_ms, files, problems }: SelfCheckRow): SelfCheckStatus | null {
    if (started_ms === null && requested === 0) return null;
    const isRunning = requested === 1 || ended_ms === null;
    const found = this.#problems.problems().map(({ key, subject, expected, actual, found_ms }) => ({
      key,
      subject,
      expected,
      actual,
      found_at: isoTime(found_ms),
    }));
    return {
      running: isRunning,
      files,
      found: problems,
      problems: found,
      started_at: isoTime(started_ms),
      ended_at: isoTime(ended_ms),
      next_at: isRunning ? null : isoTime(this.#selfCheck.nextMs(this.#ports.clock.now(), { periodic: true })),
    };
  }
}

/** Rounds to eight digits: one key in four million still makes a difference. */
function rounded(share: number): number {
  return Math.round(share * 1e8) / 1e8;
}
