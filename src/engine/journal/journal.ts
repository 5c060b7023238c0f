import { LIMITS, type RetryPace } from '../../config.ts';
import type { Change } from '../../ports/change.ts';
import type { EncodePort } from '../../ports/data-file.ts';
import type { EngineSource } from '../../ports/source.ts';
import type { SqlPort } from '../../ports/sql.ts';
import { rehearse } from '../../ports/sql-guard.ts';
import { JournalAgenda } from './agenda.ts';
import { type Accepted, type Append, type Outcome, type ParkedChange, type RangeAppend, TAIL } from './changes.ts';
import { countOutcome } from './counts.ts';
import { AppendedRows, type EntryFacts } from './entries.ts';
import { standingOf } from './key-index.ts';
import { JournalOutbox } from './outbox.ts';
import { type DeadFilter, ParkedChanges } from './parked.ts';
import { JournalPushes } from './pushes.ts';
import { JournalRanges, type Range } from './ranges.ts';
import { isLook, judgeMissed, judgeRecheck, recheckDelayMs } from './rechecks.ts';
import { JournalState, type SourceRow } from './state.ts';

/** Accepts changes: rows, parked changes and the cursor in one transaction. */
export class Journal {
  readonly state: JournalState;
  readonly parked: ParkedChanges;
  readonly ranges: JournalRanges;
  readonly pushes: JournalPushes;
  /** Null where a feed says what is to be asked for. */
  readonly agenda: JournalAgenda | null;
  readonly outbox: JournalOutbox;
  readonly #runType: 'follow' | 'refresh';
  readonly #sql: SqlPort;
  readonly #encode: EncodePort;

  constructor(
    sql: SqlPort,
    encode: EncodePort,
    { pace, agenda = null, feeds = {} }: { pace: RetryPace } & Partial<Pick<EngineSource, 'agenda' | 'feeds'>>,
  ) {
    this.#sql = sql;
    this.#encode = encode;
    this.state = new JournalState(sql);
    this.parked = new ParkedChanges(sql, pace);
    this.ranges = new JournalRanges(sql);
    this.pushes = new JournalPushes(sql);
    this.#runType = agenda ? 'refresh' : 'follow';
    this.agenda = agenda && new JournalAgenda(sql, agenda);
    this.outbox = new JournalOutbox(sql, feeds);
  }

  /** Lets a slice in. False when the lane's cursor is no longer the one its page was pulled from: nothing happened. */
  append(append: Append): boolean {
    return this.#sql.transaction(() => {
      if (this.state.lane(append.lane).cursor !== append.cursorBefore) return false;
      this.#accept(append);
      return true;
    });
  }

  /** Begins a range in the place of the lane's last one. */
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

  /** Lets a slice of a range in, with the range's own new place. */
  appendRange({ lane, run }: Range, { accepted, patch, nowMs }: RangeAppend): void {
    this.#sql.transaction(() => {
      this.#acceptBeside(accepted, { run, runType: lane === 'rewind' ? 'replay' : 'backfill', nowMs });
      this.ranges.update(lane, patch);
    });
  }

  /** Lets in what is new of a request that pushes rows. Returns how many lines that were. */
  appendPush(identity: string, { lines, nowMs }: { lines: (Accepted & { line: number })[]; nowMs: number }): number {
    return this.#sql.transaction(() => {
      const known = this.pushes.runOf(identity);
      const run = known ?? this.#nextRun();
      if (known === null) this.pushes.begin(identity, { run, nowMs });
      const asked = lines.map(({ line }) => line);
      const missing = this.pushes.missing(identity, asked);
      const accepted = lines.filter(({ line }) => missing.has(line));
      if (accepted.length === 0) return 0;
      this.#acceptBeside(accepted, { run, runType: 'push', nowMs });
      this.pushes.mark(identity, missing);
      return accepted.length;
    });
  }

  /** Keeps a slice of a page whose changes are no resume points, until `appendStaged`. */
  stage({ slice, done, append }: { slice: number; done: number; append: Append }): boolean {
    // What SQLite refuses must be known now: once staged, a slice can only be let in whole.
    rehearse(this.#sql, () => this.#accept(append));
    return this.#sql.transaction(() => {
      if (this.state.lane(append.lane).cursor !== append.cursorBefore) return false;
      const body = this.#encode.pack(JSON.stringify(append.accepted));
      this.#sql.exec('INSERT INTO staged (lane, slice, body) VALUES (?, ?, ?)', append.lane, slice, body);
      this.state.updateLane(append.lane, { page_done: done });
      return true;
    });
  }

  /** Lets all staged slices of a page in, then the last one, which carries the page's cursor. */
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
   * Takes the result of another look at a parked change. Refused, and looked at again later, when the change is no
   * longer parked as it was handed out or its key got a row since.
   */
  acceptRetry({
    parked,
    outcome,
    lastLsn,
    nowMs,
  }: {
    parked: ParkedChange;
    outcome: Outcome;
    lastLsn: number;
    nowMs: number;
  }): boolean {
    return this.#sql.transaction(() => {
      if (this.state.lastLsnOf(parked.key) !== lastLsn) return false;
      const recheck = parked.reason === 'lagging-revision';
      const settled = recheck
        ? judgeRecheck(parked, outcome, this.state.revisionOf(parked.key))
        : judgeMissed(this.#sql, parked, outcome);
      if (settled === null) {
        this.#postponeRecheck(parked, outcome, nowMs);
        return true;
      }
      if (settled.kind === 'park') {
        const next = { changeNumber: parked.change_number, attempt: parked.attempts + 1 };
        const delayMs = this.parked.delayMs(next, settled);
        this.parked.postpone(parked, { ...settled, nowMs, dueMs: nowMs + delayMs });
        return true;
      }
      if (!this.parked.take(parked, nowMs)) return false;
      this.#sql.exec('DELETE FROM suspects WHERE cursor = ?', parked.cursor);
      const source = this.state.source();
      const run = source.last_run + 1;
      const change: Change = { ...parked, deleted: parked.deleted === 1, skip: null };
      const rows = new AppendedRows();
      const visited = this.#visited({ change, outcome: settled }, nowMs);
      this.#settleChange(parked.change_number, visited, { rows, source, run, nowMs });
      source.last_run = run;
      // No cursor before: a change that comes back late never holds the durable cursor up.
      const cursorAfter = this.state.lane(TAIL).cursor ?? '';
      const facts = { runType: this.#runType, cursorBefore: null, cursorAfter };
      this.#write(rows, { ...facts, source, changes: 0, parked: 0, nowMs });
      return true;
    });
  }

  /** Whether SQLite takes this change. */
  takes(accepted: Accepted, nowMs: number): boolean {
    try {
      rehearse(this.#sql, () => this.#acceptBeside([accepted], { run: 0, runType: 'replay', nowMs }));
      return true;
    } catch {
      return false;
    }
  }

  #accept({ lane, cursorBefore, cursorAfter, accepted, nowMs }: Append): void {
    this.#acceptChanges(accepted, { run: null, runType: this.#runType, cursorBefore, cursorAfter, nowMs });
    this.state.updateLane(lane, { cursor: cursorAfter });
  }

  /** Accepts what comes beside the tail: it never holds the durable cursor up. */
  #acceptBeside(accepted: Accepted[], facts: { run: number; runType: EntryFacts['runType']; nowMs: number }): void {
    const cursorAfter = this.state.lane(TAIL).cursor ?? '';
    this.#acceptChanges(accepted, { ...facts, cursorBefore: null, cursorAfter });
  }

  #acceptChanges(
    accepted: Accepted[],
    { run, nowMs, ...facts }: Omit<EntryFacts, 'source'> & { run: number | null; nowMs: number },
  ): void {
    const source = this.state.source();
    const rows = new AppendedRows();
    let parked = 0;
    for (const one of accepted) {
      // What waits for the same key is older than this change, whatever this change came to. What somebody pushes says
      // nothing of upstream's changes.
      if (facts.runType !== 'push') {
        const superseded = this.parked.takeOut(one.change.key, { status: 'superseded', nowMs });
        countOutcome(this.#sql, 'skipped:superseded', superseded);
      }
      const visited = facts.runType === 'push' ? one : this.#visited(one, nowMs);
      parked += this.#settleChange(++source.change_number, visited, { rows, source, run, nowMs });
      this.#sql.exec('DELETE FROM suspects WHERE cursor = ?', one.change.cursor);
    }
    this.#write(rows, { ...facts, source, changes: accepted.length, parked, nowMs });
  }

  /** The change as the agenda takes it, which makes its key due again. */
  #visited(one: Accepted, nowMs: number): Accepted {
    if (!this.agenda) return one;
    return { ...one, outcome: this.agenda.settle(one, { nowMs, standing: standingOf(this.#sql, one.change.key) }) };
  }

  /** Takes keys off the agenda, and with them what failed of theirs. Returns how many were on it. */
  unwatch(keys: string[], nowMs: number): number {
    return this.#sql.transaction(() => {
      const removed = keys.filter(key => this.agenda?.remove(key));
      const status = { status: 'dismissed', note: 'its key is no longer watched' } as const;
      for (const key of removed)
        countOutcome(this.#sql, 'skipped:unwatched', this.parked.takeOut(key, { ...status, nowMs }));
      return removed.length;
    });
  }

  /** Gives a change its outcome; returns 1 when that is parked. A lagging revision is owed a second look: a change of its own. */
  #settleChange(
    number: number,
    { change, outcome }: Accepted,
    ctx: { rows: AppendedRows; source: SourceRow; run: number | null; nowMs: number },
  ): number {
    if (outcome.kind === 'park') {
      const dueMs = ctx.nowMs + this.parked.delayMs({ changeNumber: number, attempt: 0 }, outcome);
      this.parked.park(number, change, { ...outcome, nowMs: ctx.nowMs, dueMs });
      return 1;
    }
    if (outcome.kind === 'skip' || outcome.rows.length === 0) {
      countOutcome(this.#sql, `skipped:${outcome.kind === 'skip' ? outcome.reason : 'no-rows'}`, 1);
      return 0;
    }
    const cursor = ctx.run === null ? change.cursor : `${change.cursor}#${ctx.run}`;
    for (const row of outcome.rows) ctx.rows.add(change, { ...outcome, row, cursor });
    this.outbox.add(outcome.rows, ctx.nowMs);
    countOutcome(this.#sql, outcome.rows.every(row => row.op === 'delete') ? 'tombstones' : 'rows', 1);
    if (change.revision !== null && outcome.revision !== null && outcome.revision < change.revision) {
      const detail = `expected revision ${change.revision}, got ${outcome.revision}`;
      this.parked.park(++ctx.source.change_number, change, {
        reason: 'lagging-revision',
        detail,
        nowMs: ctx.nowMs,
        dueMs: ctx.nowMs + LIMITS.recheckMs[0],
      });
    }
    return 0;
  }

  /** Notes a look that settled nothing, or that there were enough of them. */
  #postponeRecheck(parked: ParkedChange, outcome: Outcome, nowMs: number): void {
    const { change_number: changeNumber, attempts: attempt, reason, detail } = parked;
    const delayMs = recheckDelayMs(parked, outcome);
    if (!isLook(outcome)) this.parked.defer({ changeNumber, attempt }, { nowMs, dueMs: nowMs + delayMs! });
    else if (delayMs !== null) this.parked.postpone(parked, { reason, detail, nowMs, dueMs: nowMs + delayMs });
    else if (this.parked.take(parked, nowMs)) countOutcome(this.#sql, 'skipped:revision-never-served', 1);
  }

  /** Dead changes are looked at again; says how many, by reason. */
  revive(filter: DeadFilter, nowMs: number): Record<string, number> {
    return this.#sql.transaction(() => this.parked.revive(filter, nowMs));
  }

  /** Takes a dead change out on somebody's word; false when it is not dead. */
  dismiss(changeNumber: number, { nowMs, note }: { nowMs: number; note: string }): boolean {
    return this.#sql.transaction(() => {
      const isTaken = this.parked.dismiss(changeNumber, { nowMs, note });
      if (isTaken) countOutcome(this.#sql, 'skipped:dismissed', 1);
      return isTaken;
    });
  }

  /** Stamps and numbers the rows and writes them as entries; saves the source's counters in any case. */
  #write(rows: AppendedRows, append: EntryFacts & { changes: number; parked: number; nowMs: number }): void {
    const { source, nowMs } = append;
    // Time never runs backwards from one LSN to the next, whatever the clock does.
    source.stamp_ms = Math.max(nowMs, source.stamp_ms);
    source.append_number += 1;
    source.uncounted_changes += append.changes;
    source.uncounted_parked += append.parked;
    const written = rows.write(this.#sql, this.#encode, append);
    this.state.count({ rows: written, changes: append.changes, parked: append.parked, nowMs });
    const { change_number, append_number, last_run, stamp_ms, uncounted_changes, uncounted_parked } = source;
    this.state.updateSource({ change_number, append_number, last_run, stamp_ms, uncounted_changes, uncounted_parked });
  }
}
