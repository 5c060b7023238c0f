import { LIMITS } from '../config.ts';
import { messageOf, type SkipReason } from '../errors.ts';
import {
  type DeadFilter,
  type Failure,
  type ParkedChange,
  ParkedChanges,
  recheckDelayMs,
  retryDelayMs,
} from '../failures/parked.ts';
import type { Change, LoadedRow } from '../sources/source.ts';
import { judgeMissed } from './journal-keys.ts';
import { AppendedRows, type EntryFacts } from './journal-rows.ts';
import { JournalState, type SourceRow } from './journal-state.ts';
import type { EncodePort, SqlPort } from './ports.ts';

/** The lane that follows the feed's newest end. */
export const TAIL = 'tail';

/** What an accepted change came to. */
export type Outcome =
  | { kind: 'rows'; rows: LoadedRow[]; revision: number | null; documentBytes: number }
  | { kind: 'skip'; reason: SkipReason }
  | ({ kind: 'park'; retryAfterMs: number | null } & Failure);

/** The outcome of a change whose rows SQLite refuses. */
export function refusedRows(error: unknown): Outcome {
  return { kind: 'park', reason: 'row-too-large', detail: messageOf(error), retryAfterMs: null };
}

export interface Accepted {
  change: Change;
  outcome: Outcome;
}

/** One slice of a page, in feed order, with the cursors before and after it. */
export interface Append {
  lane: string;
  cursorBefore: string;
  cursorAfter: string;
  accepted: Accepted[];
  nowMs: number;
}

/** Accepts changes: rows, parked changes and the cursor in one transaction. */
export class Journal {
  readonly state: JournalState;
  readonly parked: ParkedChanges;
  readonly #sql: SqlPort;
  readonly #encode: EncodePort;

  constructor(sql: SqlPort, encode: EncodePort) {
    this.#sql = sql;
    this.#encode = encode;
    this.state = new JournalState(sql);
    this.parked = new ParkedChanges(sql);
  }

  /** Lets a slice in. False when the lane's cursor is no longer the one its page was pulled from: nothing happened. */
  append(append: Append): boolean {
    return this.#sql.transaction(() => {
      if (this.state.lane(append.lane).cursor !== append.cursorBefore) return false;
      this.#accept(append);
      return true;
    });
  }

  /** Keeps a slice of a page whose changes are no resume points, until `appendStaged`. */
  stage({ slice, done, append }: { slice: number; done: number; append: Append }): boolean {
    // What SQLite refuses must be known now: once staged, a slice can only be let in whole.
    this.#rehearse(append);
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
      if (this.lastLsnOf(parked.key) !== lastLsn) return false;
      const recheck = parked.reason === 'lagging-revision';
      const settled = recheck ? this.#judgeRecheck(parked, outcome) : judgeMissed(this.#sql, parked, outcome);
      if (settled === null) {
        this.#postponeRecheck(parked, outcome, nowMs);
        return true;
      }
      if (settled.kind === 'park') {
        const delayMs = retryDelayMs({
          changeNumber: parked.change_number,
          attempts: parked.attempts + 1,
          retryAfterMs: settled.retryAfterMs,
        });
        this.parked.postpone(parked, { ...settled, nowMs, dueMs: nowMs + delayMs });
        return true;
      }
      if (!this.parked.take(parked, nowMs)) return false;
      this.#sql.exec('DELETE FROM suspects WHERE place = ?', parked.place);
      const source = this.state.source();
      const run = source.retry_run + 1;
      const change: Change = { ...parked, deleted: parked.deleted === 1, skip: null };
      const rows = new AppendedRows();
      this.#settleChange(parked.change_number, { change, outcome: settled }, { rows, source, run, nowMs });
      source.retry_run = run;
      // No cursor before: a change that comes back late never holds the durable cursor up.
      const cursorAfter = this.state.lane(TAIL).cursor ?? '';
      this.#write(rows, { source, cursorBefore: null, cursorAfter, changes: 0, parked: 0, nowMs });
      return true;
    });
  }

  /** The newest LSN of a key over all tables, 0 when it has no row. */
  lastLsnOf(key: string): number {
    return (
      this.#sql.exec<{ lsn: number | null }>('SELECT max(last_lsn) AS lsn FROM keys WHERE key = ?', key)[0]!.lsn ?? 0
    );
  }

  /** The newest LSN of all tables together: it only rises, and with every row. */
  lastLsn(): number {
    return this.state.tables().reduce((sum, table) => sum + table.last_lsn, 0);
  }

  /** Size of a key's last document, where one is known. */
  documentBytesOf(key: string): number | null {
    return this.#sql.exec<{ bytes: number | null }>(
      'SELECT max(document_bytes) AS bytes FROM keys WHERE key = ?',
      key,
    )[0]!.bytes;
  }

  /** Compressed bytes of rows not yet in a file, and of staged slices. */
  packedBytes(): number {
    const [entries] = this.#sql.exec<{ bytes: number }>('SELECT coalesce(sum(packed_bytes), 0) AS bytes FROM entries');
    const [staged] = this.#sql.exec<{ bytes: number }>('SELECT coalesce(sum(length(body)), 0) AS bytes FROM staged');
    return entries!.bytes + staged!.bytes;
  }

  /** Lets a slice in and takes it back; throws what SQLite throws. */
  #rehearse(append: Append): void {
    const rehearsed = new Error('rehearsed');
    try {
      this.#sql.transaction(() => {
        this.#accept(append);
        throw rehearsed;
      });
    } catch (error) {
      if (error !== rehearsed) throw error;
    }
  }

  #accept({ lane, cursorBefore, cursorAfter, accepted, nowMs }: Append): void {
    const source = this.state.source();
    const rows = new AppendedRows();
    let parked = 0;
    for (const one of accepted) {
      // What waits for the same key is older than this change, whatever this change came to.
      this.#countOutcome('skipped:superseded', this.parked.supersede(one.change.key, nowMs));
      parked += this.#settleChange(++source.change_number, one, { rows, source, run: null, nowMs });
      this.#sql.exec('DELETE FROM suspects WHERE place = ?', one.change.place);
    }
    this.#write(rows, { source, cursorBefore, cursorAfter, changes: accepted.length, parked, nowMs });
    this.state.updateLane(lane, { cursor: cursorAfter });
  }

  /** Gives a change its outcome; returns 1 when that is parked. A lagging revision is owed a second look: a change of its own. */
  #settleChange(
    number: number,
    { change, outcome }: Accepted,
    ctx: { rows: AppendedRows; source: SourceRow; run: number | null; nowMs: number },
  ): number {
    if (outcome.kind === 'park') {
      const dueMs = ctx.nowMs + retryDelayMs({ changeNumber: number, attempts: 0, retryAfterMs: outcome.retryAfterMs });
      this.parked.park(number, change, { ...outcome, nowMs: ctx.nowMs, dueMs });
      return 1;
    }
    if (outcome.kind === 'skip' || outcome.rows.length === 0) {
      this.#countOutcome(`skipped:${outcome.kind === 'skip' ? outcome.reason : 'no-rows'}`, 1);
      return 0;
    }
    const cursor = ctx.run === null ? change.place : `${change.place}#${ctx.run}`;
    for (const row of outcome.rows) ctx.rows.add(change, { ...outcome, row, cursor });
    this.#countOutcome(outcome.rows.every(row => row.op === 'delete') ? 'tombstones' : 'rows', 1);
    if (change.revision !== null && outcome.revision !== null && outcome.revision < change.revision) {
      const detail = `expected revision ${change.revision}, got ${outcome.revision}`;
      this.parked.park(++ctx.source.change_number, change, {
        ...{ reason: 'lagging-revision', detail, nowMs: ctx.nowMs, dueMs: ctx.nowMs + LIMITS.recheckMs[0] },
      });
    }
    return 0;
  }

  /** What another look at a lagging revision means: an outcome, or null for "not yet". */
  #judgeRecheck(parked: ParkedChange, outcome: Outcome): Outcome | null {
    if (outcome.kind !== 'rows') return null;
    const [known] = this.#sql.exec<{ revision: number | null }>(
      'SELECT max(revision) AS revision FROM keys WHERE key = ?',
      parked.key,
    );
    const isNews = outcome.revision === null || known!.revision === null || outcome.revision > known!.revision;
    if (isNews) return outcome;
    const isReached = parked.revision === null || outcome.revision! >= parked.revision;
    return isReached ? { kind: 'skip', reason: 'unchanged' } : null;
  }

  #postponeRecheck(parked: ParkedChange, outcome: Outcome, nowMs: number): void {
    const { reason, detail, attempts } = parked;
    if (outcome.kind === 'park') {
      // Nobody answered: that was no look.
      const waitMs = Math.max(recheckDelayMs(attempts) ?? LIMITS.parkedMsMax, outcome.retryAfterMs ?? 0);
      const ticket = { changeNumber: parked.change_number, attempt: attempts };
      this.parked.defer(ticket, { nowMs, dueMs: nowMs + waitMs });
      return;
    }
    const delayMs = recheckDelayMs(attempts + 1);
    if (delayMs !== null) {
      this.parked.postpone(parked, { reason, detail, nowMs, dueMs: nowMs + delayMs });
    } else if (this.parked.take(parked, nowMs)) {
      this.#countOutcome('skipped:revision-never-served', 1);
    }
  }

  /** Dead changes are looked at again; says how many, by reason. */
  revive(filter: DeadFilter, nowMs: number): Record<string, number> {
    return this.#sql.transaction(() => this.parked.revive(filter, nowMs));
  }

  /** Takes a dead change out on somebody's word; false when it is not dead. */
  dismiss(changeNumber: number, { nowMs, note }: { nowMs: number; note: string }): boolean {
    return this.#sql.transaction(() => {
      const isTaken = this.parked.dismiss(changeNumber, { nowMs, note });
      if (isTaken) this.#countOutcome('skipped:dismissed', 1);
      return isTaken;
    });
  }

  #countOutcome(outcome: string, changes: number): void {
    if (changes === 0) return;
    this.#sql.exec(
      'INSERT INTO outcomes (outcome, changes) VALUES (?, ?) ON CONFLICT (outcome) DO UPDATE SET changes = changes + excluded.changes',
      ...[outcome, changes],
    );
  }

  /** Stamps and numbers the rows and writes them as entries; saves the source's counters in any case. */
  #write(rows: AppendedRows, append: EntryFacts & { changes: number; parked: number; nowMs: number }): void {
    const { source, nowMs } = append;
    // Time never runs backwards from one LSN to the next, whatever the clock does.
    source.stamp_ms = Math.max(nowMs, source.stamp_ms);
    source.append_number += 1;
    source.loose_changes += append.changes;
    source.loose_parked += append.parked;
    const written = rows.write(this.#sql, this.#encode, append);
    this.state.count({ rows: written, changes: append.changes, parked: append.parked, nowMs });
    const { change_number, append_number, retry_run, stamp_ms, loose_changes, loose_parked } = source;
    this.state.updateSource({ change_number, append_number, retry_run, stamp_ms, loose_changes, loose_parked });
  }
}
