import { LIMITS, type RetryPace } from '../../config.ts';
import { messageOf } from '../../errors.ts';
import type { Change } from '../../ports/change.ts';
import type { EncodePort } from '../../ports/data-file.ts';
import type { EngineSource } from '../../ports/source.ts';
import type { SqlPort } from '../../ports/sql.ts';
import { rehearse } from '../../ports/sql-guard.ts';
import { JournalAgenda } from './agenda.ts';
import { type Accepted, type Append, type Outcome, type ParkedChange, type RangeAppend, TAIL } from './changes.ts';
import { countOutcome } from './counts.ts';
import { dropServedExtra } from './differences.ts';
import { AppendedRows, type EntryFacts } from './entries.ts';
import { JournalEvidence } from './evidence.ts';
import { JournalInlets } from './inlets.ts';
import { noteAnnounced, rowStateOf } from './key-index.ts';
import { type DeadFilter, ParkedChanges } from './parked.ts';
import { JournalPushes, type PushedLine } from './pushes.ts';
import { JournalRanges, type Range } from './ranges.ts';
import {
  countsAsAttempt,
  isServed,
  judgeLaggingRevision,
  judgeSweepChange,
  laggingOf,
  latestOf,
  recheckDelayMs,
} from './rechecks.ts';
import { JournalRound } from './round.ts';
import { JournalSignals } from './signals.ts';
import { JournalState, type SourceRow } from './state.ts';
import { JournalVisits } from './visits.ts';

/**
 * Accepts changes: rows, parked changes and the lane's cursor in one transaction. Every accepted change gets the next
 * change number and one outcome.
 */
export class Journal {
  readonly state: JournalState;
  readonly parked: ParkedChanges;
  readonly ranges: JournalRanges;
  readonly pushes: JournalPushes;
  /** Null of a source with a feed. */
  readonly agenda: JournalAgenda | null;
  readonly visits: JournalVisits | null;
  readonly signals: JournalSignals | null;
  /** Null of a source without inlets. */
  readonly evidence: JournalEvidence | null;
  readonly inlets: JournalInlets | null;
  /** Null of a source without a round. */
  readonly round: JournalRound | null;
  readonly #runType: 'follow' | 'refresh';
  readonly #sql: SqlPort;
  readonly #encode: EncodePort;

  constructor(
    sql: SqlPort,
    encode: EncodePort,
    {
      pace,
      agenda = null,
      inlets = [],
      settleMs = 0,
      roundMs = null,
      isFull = () => false,
    }: { pace: RetryPace; isFull?: () => boolean } & Partial<
      Pick<EngineSource, 'agenda' | 'inlets' | 'settleMs' | 'roundMs'>
    >,
  ) {
    this.#sql = sql;
    this.#encode = encode;
    this.state = new JournalState(sql);
    this.parked = new ParkedChanges(sql, pace);
    this.ranges = new JournalRanges(sql);
    this.pushes = new JournalPushes(sql);
    this.#runType = agenda ? 'refresh' : 'follow';
    const evidence = new JournalEvidence(sql, { counts: agenda?.counts ?? false });
    this.agenda = agenda && new JournalAgenda(sql, agenda);
    this.visits = agenda && new JournalVisits(sql, agenda, { agenda: this.agenda!, evidence, isFull });
    this.signals = this.agenda && new JournalSignals(sql, this.agenda);
    const isFed = this.agenda !== null && inlets.length > 0;
    this.evidence = isFed ? evidence : null;
    this.round = roundMs === null ? null : new JournalRound(sql, { state: this.state, parked: this.parked });
    this.inlets = isFed ? new JournalInlets(sql, { agenda: this.agenda!, evidence, settleMs }) : null;
  }

  /**
   * Appends a slice. False, without any effect, when the lane's cursor is no longer the one that its page was pulled
   * from.
   */
  append(append: Append): boolean {
    return this.#sql.transaction(() => {
      // Check that no other run has moved the lane meanwhile.
      if (this.state.lane(append.lane).cursor !== append.cursorBefore) return false;
      // Accept the changes and move the lane's cursor.
      this.#accept(append);
      return true;
    });
  }

  /** Starts a range, which replaces the lane's last one. */
  startRange(range: Parameters<JournalRanges['start']>[0]): void {
    this.#sql.transaction(() => {
      this.ranges.start(range, this.#nextRun());
    });
  }

  #nextRun(): number {
    const run = this.state.source().last_run + 1;
    this.state.updateSource({ last_run: run });
    return run;
  }

  /** Appends a slice of a range, and moves the range. */
  appendRange({ lane, run }: Range, { accepted, patch, nowMs }: RangeAppend): void {
    this.#sql.transaction(() => {
      this.#acceptOutsideTail(accepted, { run, runType: lane === 'rewind' ? 'replay' : 'backfill', nowMs });
      this.ranges.update(lane, patch);
    });
  }

  /**
   * Appends the lines of a request that pushes rows, but those it has accepted before. Returns how many were new. Throws
   * `PushConflict`, and appends nothing, where such a line held another row then.
   */
  appendPush(identity: string, { lines, nowMs }: { lines: (Accepted & PushedLine)[]; nowMs: number }): number {
    return this.#sql.transaction(() => {
      const known = this.pushes.runOf(identity);
      const run = known ?? this.#nextRun();
      if (known === null) this.pushes.start(identity, { run, nowMs });
      const unmarked = this.pushes.unmarked(
        identity,
        lines.map(({ line }) => line),
      );
      this.pushes.checkSame(
        identity,
        lines.filter(({ line }) => !unmarked.has(line)),
      );
      const accepted = lines.filter(({ line }) => unmarked.has(line));
      if (accepted.length === 0) return 0;
      this.#acceptOutsideTail(accepted, { run, runType: 'push', nowMs });
      this.pushes.mark(identity, unmarked);
      this.pushes.noteDigests(identity, accepted);
      return accepted.length;
    });
  }

  /**
   * Stages a slice of a page that has no cursors within it, until `appendStaged`. False when the lane has moved
   * meanwhile.
   */
  stage({ slice, done, append }: { slice: number; done: number; append: Append }): boolean {
    // Find out now whether SQLite takes the slice, because a staged slice can only be appended whole.
    rehearse(this.#sql, () => this.#accept(append));
    return this.#sql.transaction(() => {
      if (this.state.lane(append.lane).cursor !== append.cursorBefore) return false;
      const body = this.#encode.pack(JSON.stringify(append.accepted));
      this.#sql.exec('INSERT INTO staged (lane, slice, body) VALUES (?, ?, ?)', append.lane, slice, body);
      this.state.updateLane(append.lane, { page_done: done });
      return true;
    });
  }

  /**
   * Appends all staged slices of a page, then the last one, which carries the page's cursor. False when the lane has
   * moved.
   */
  appendStaged(last: Append): boolean {
    return this.#sql.transaction(() => {
      if (this.state.lane(last.lane).cursor !== last.cursorBefore) return false;
      const slices = this.#sql.exec<{ slice: number }>(
        'SELECT slice FROM staged WHERE lane = ? ORDER BY slice',
        last.lane,
      );
      for (const { slice } of slices) {
        const [staged] = this.#sql.exec<{ body: Uint8Array }>(
          'SELECT body FROM staged WHERE lane = ? AND slice = ?',
          last.lane,
          slice,
        );
        const accepted = JSON.parse(this.#encode.unpack(staged!.body)) as Accepted[];
        this.#accept({ ...last, cursorAfter: last.cursorBefore, accepted });
      }
      this.#accept(last);
      this.#sql.exec('DELETE FROM staged WHERE lane = ?', last.lane);
      this.state.updateLane(last.lane, { page: null, page_done: 0 });
      return true;
    });
  }

  /**
   * Accepts the outcome of an attempt at a parked change. `lastLsn`: the key's newest row when the attempt began. False
   * when the outcome is too late: the key has got a row since, or the change was removed or attempted meanwhile.
   */
  acceptRetry({
    parked,
    outcome,
    lastLsn,
    evidenceVersion = null,
    nowMs,
  }: {
    parked: ParkedChange;
    outcome: Outcome;
    lastLsn: number;
    /** The version of the evidence that the attempt had; null where the source has no inlets. */
    evidenceVersion?: number | null;
    nowMs: number;
  }): boolean {
    return this.#sql.transaction(() => {
      // Refuse what was loaded before the key's newest row.
      if (this.state.lastLsnOf(parked.key) !== lastLsn) return false;
      // Keep the change parked when the attempt failed, or brought an older revision again.
      const known = this.state.revisionOf(parked.key);
      const isLagging = parked.reason === 'lagging-revision';
      const judged = isLagging
        ? judgeLaggingRevision(parked, outcome, known)
        : judgeSweepChange(this.#sql, parked, outcome, known);
      if (parked.from_sweep === 1 && isServed(outcome)) dropServedExtra(this.#sql, parked.key);
      if (judged === null) {
        this.#postponeRecheck(parked, outcome, nowMs);
        return true;
      }
      if (judged.kind === 'park') {
        const next = { changeNumber: parked.change_number, attempt: parked.attempts + 1 };
        const delayMs = this.parked.delayMs(next, judged);
        this.parked.recordFailure(parked, { ...judged, nowMs, dueMs: nowMs + delayMs });
        return true;
      }
      // Give the change its outcome under its own number, as a run of its own.
      if (!this.parked.remove(parked, nowMs)) return false;
      this.#sql.exec('DELETE FROM suspects WHERE cursor = ?', parked.cursor);
      const source = this.state.source();
      const run = source.last_run + 1;
      const change: Change = { ...parked, deleted: parked.deleted === 1, skip: null };
      const rows = new AppendedRows(this.#sql);
      const visited = this.#acceptVisit({ change, outcome: judged, evidenceVersion }, nowMs);
      this.#recordOutcome(parked.change_number, visited, { rows, source, run, isPush: false, nowMs });
      source.last_run = run;
      // Write its rows without a cursor before them, because the durable cursor has passed the change.
      const cursorAfter = this.state.lane(TAIL).cursor ?? '';
      const facts = { runType: this.#runType, cursorBefore: null, cursorAfter };
      this.#write(rows, { ...facts, source, changes: 0, parked: 0, nowMs });
      return true;
    });
  }

  /** Whether a key was deleted after a change of it: what a range loads for an older change is then perhaps gone. */
  isDeletedSince({ key, revision }: Change): boolean {
    const latest = revision === null ? null : latestOf(this.#sql, key, { withRows: true });
    return latest?.deleted === true && latest.revision > revision!;
  }

  /** Why SQLite refuses the rows of a change; null when it takes them. */
  refusalOf(accepted: Accepted, nowMs: number): string | null {
    try {
      rehearse(this.#sql, () => this.#acceptOutsideTail([accepted], { run: 0, runType: 'replay', nowMs }));
      return null;
    } catch (error) {
      return messageOf(error);
    }
  }

  #accept({ lane, cursorBefore, cursorAfter, accepted, nowMs }: Append): void {
    this.#acceptChanges(accepted, { run: null, runType: this.#runType, cursorBefore, cursorAfter, nowMs });
    this.state.updateLane(lane, { cursor: cursorAfter });
  }

  /** Accepts changes that the tail did not pull. The durable cursor does not wait for their rows. */
  #acceptOutsideTail(
    accepted: Accepted[],
    facts: { run: number; runType: EntryFacts['runType']; nowMs: number },
  ): void {
    const cursorAfter = this.state.lane(TAIL).cursor ?? '';
    this.#acceptChanges(accepted, { ...facts, cursorBefore: null, cursorAfter });
  }

  #acceptChanges(
    accepted: Accepted[],
    { run, nowMs, ...facts }: Omit<EntryFacts, 'source'> & { run: number | null; nowMs: number },
  ): void {
    const source = this.state.source();
    const rows = new AppendedRows(this.#sql);
    const isPush = facts.runType === 'push';
    let parked = 0;
    for (const one of accepted) {
      // End what is parked or dead for the key, because this change is newer, whatever its outcome. A pushed row is no
      // change of the upstream and ends nothing.
      let { change } = one;
      if (!isPush) {
        change = this.#supersede(one, { isTail: run === null, nowMs });
      }
      // Give the change its number and its outcome.
      const visited = isPush ? one : this.#acceptVisit({ ...one, change }, nowMs);
      parked += this.#recordOutcome(++source.change_number, visited, { rows, source, run, isPush, nowMs });
      this.#sql.exec('DELETE FROM suspects WHERE cursor = ?', one.change.cursor);
    }
    // Write the rows as entries of the journal.
    this.#write(rows, { ...facts, source, changes: accepted.length, parked, nowMs });
  }

  /** Ends what is parked or dead for a change's key. Returns the change, with the revision that it has to wait for now. */
  #supersede({ change, outcome }: Accepted, { isTail, nowMs }: { isTail: boolean; nowMs: number }): Change {
    const { key, revision } = change;
    // Leave it to the later change of the page that this one is coalesced with.
    if (outcome.kind === 'skip' && outcome.reason === 'coalesced') return change;
    // What a range pulled may be older than a parked change of the tail, and than the key's newest row: it must not end
    // the wait for a later revision, and where its document is older than what is known, a later one is waited for.
    const latest = isTail || revision === null ? null : latestOf(this.#sql, key, { withRows: isServed(outcome) });
    const superseded = this.parked.removeAllOf(key, { status: 'superseded', nowMs });
    countOutcome(this.#sql, 'skipped:superseded', superseded);
    return latest !== null && latest.revision > revision! ? { ...change, ...latest } : change;
  }

  /** The change with the outcome that the agenda gives it, which also sets when its key is due again. */
  #acceptVisit(one: Accepted, nowMs: number): Accepted {
    if (!this.visits) return one;
    const rowState = rowStateOf(this.#sql, one.change.key);
    const outcome = this.visits.accept(one, { nowMs, rowState });
    return { change: { ...one.change, key: this.visits.keyAfter(one) }, outcome };
  }

  /** Removes keys from the agenda, with their parked and dead changes. Returns how many were watched. */
  unwatch(keys: string[], nowMs: number): number {
    return this.#sql.transaction(() => {
      const removed = keys.filter(key => this.agenda?.unwatch(key));
      const status = { status: 'dismissed', note: 'its key is no longer watched' } as const;
      for (const key of removed)
        countOutcome(this.#sql, 'skipped:unwatched', this.parked.removeAllOf(key, { ...status, nowMs }));
      return removed.length;
    });
  }

  /**
   * Records the outcome of a change. Returns 1 when it is parked, else 0. A row of an older revision than the feed
   * announced also makes a parked change, with a number of its own, which waits for the announced revision.
   */
  #recordOutcome(
    number: number,
    { change, outcome }: Accepted,
    ctx: { rows: AppendedRows; source: SourceRow; run: number | null; isPush: boolean; nowMs: number },
  ): number {
    if (outcome.kind === 'park') {
      const dueMs = ctx.nowMs + this.parked.delayMs({ changeNumber: number, attempt: 0 }, outcome);
      this.parked.park(number, change, { ...outcome, nowMs: ctx.nowMs, dueMs });
      return 1;
    }
    if (outcome.kind === 'skip' || outcome.rows.length === 0) {
      if (change.revision !== null) noteAnnounced(this.#sql, change.key, change.revision);
      countOutcome(this.#sql, `skipped:${outcome.kind === 'skip' ? outcome.reason : 'no-rows'}`, 1);
      return 0;
    }
    const cursor = ctx.run === null ? change.cursor : `${change.cursor}#${ctx.run}`;
    const rows = ctx.rows.add(change, { ...outcome, cursor, isPush: ctx.isPush, isTail: ctx.run === null });
    // A change that brought nothing but rows that immutable tables have already says nothing new.
    const isTombstone = rows.every(row => row.op === 'delete');
    if (rows.length > 0 && isTombstone && !ctx.isPush) this.round?.forget(change.key);
    countOutcome(this.#sql, rows.length === 0 ? 'skipped:unchanged' : isTombstone ? 'tombstones' : 'rows', 1);
    if (change.revision !== null && outcome.revision !== null && outcome.revision < change.revision) {
      this.parked.park(++ctx.source.change_number, change, {
        ...laggingOf(change, outcome),
        nowMs: ctx.nowMs,
        dueMs: ctx.nowMs + LIMITS.recheckMs[0],
      });
    }
    return 0;
  }

  /** Parks a lagging revision for another attempt; after the last one, counts it as never served. */
  #postponeRecheck(parked: ParkedChange, outcome: Outcome, nowMs: number): void {
    const { change_number: changeNumber, attempts: attempt, key, revision } = parked;
    const delayMs = recheckDelayMs(parked, outcome);
    if (!countsAsAttempt(outcome)) this.parked.defer({ changeNumber, attempt }, { nowMs, dueMs: nowMs + delayMs! });
    else if (delayMs !== null)
      this.parked.recordFailure(parked, { ...laggingOf(parked, outcome), nowMs, dueMs: nowMs + delayMs });
    else if (this.parked.remove(parked, nowMs)) {
      countOutcome(this.#sql, 'skipped:revision-never-served', 1);
      if (revision !== null) noteAnnounced(this.#sql, key, revision);
    }
  }

  /** Parks dead changes again. Returns how many by reason. */
  revive(filter: DeadFilter, nowMs: number): Record<string, number> {
    return this.#sql.transaction(() => this.parked.revive(filter, nowMs));
  }

  /** Removes a dead change because an operator dismissed it; false when it is not dead. */
  dismiss(changeNumber: number, { nowMs, note }: { nowMs: number; note: string }): boolean {
    return this.#sql.transaction(() => {
      const isRemoved = this.parked.dismiss(changeNumber, { nowMs, note });
      if (isRemoved) countOutcome(this.#sql, 'skipped:dismissed', 1);
      return isRemoved;
    });
  }

  /**
   * Stamps and numbers the rows, writes them as entries, and saves the source's counters, also where there is no row.
   */
  #write(rows: AppendedRows, append: EntryFacts & { changes: number; parked: number; nowMs: number }): void {
    const { source, nowMs } = append;
    // Never stamp earlier than the last append, because LSN order must be time order.
    source.stamp_ms = Math.max(nowMs, source.stamp_ms);
    source.append_number += 1;
    source.uncounted_changes += append.changes;
    source.uncounted_parked += append.parked;
    const { written, overtaken } = rows.write(this.#encode, append);
    // Let the next visit of a key give its row again, because its newest row is another's now.
    for (const key of overtaken) this.agenda?.forgetDigests(key);
    this.state.countMinute({ rows: written, changes: append.changes, parked: append.parked, nowMs });
    const { change_number, append_number, last_run, stamp_ms, uncounted_changes, uncounted_parked } = source;
    this.state.updateSource({ change_number, append_number, last_run, stamp_ms, uncounted_changes, uncounted_parked });
  }
}
