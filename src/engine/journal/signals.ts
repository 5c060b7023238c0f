import { LIMITS, MINUTE } from '../../limits.ts';
import type { SqlPort } from '../../ports/sql.ts';
import type { JournalAgenda } from './agenda.ts';

/** How long a delivery is recognized when it comes again: senders repeat one within hours. */
const REMEMBERED_MS = 24 * 60 * MINUTE;
/** Old deliveries that one signal forgets at most: more than it adds, and never a long transaction. */
const FORGOTTEN_AT_ONCE = 100;

/** How many signals came, and what their keys came to. */
export interface SignalCounts {
  taken: number;
  repeated: number;
  due: number;
  ignored: number;
  last_ms: number | null;
}

/** Signals in the object's SQLite: which deliveries were taken lately, and counts. The caller holds the transaction. */
export class JournalSignals {
  readonly #sql: SqlPort;
  readonly #agenda: JournalAgenda;

  constructor(sql: SqlPort, agenda: JournalAgenda) {
    this.#sql = sql;
    this.#agenda = agenda;
  }

  /**
   * Makes the watched ones of some keys due now, and returns how many those are; null for a delivery that was taken
   * before. `unread`: how many keys the signal named besides, all of them ignored.
   */
  take({ id, keys, unread }: { id: string; keys: string[]; unread: number }, nowMs: number): number | null {
    if (!this.#remember(id, nowMs)) {
      this.#sql.exec('UPDATE signal_counts SET repeated = repeated + 1');
      return null;
    }
    const due = keys.filter(key => this.#agenda.hasten(key, { dueMs: nowMs, reason: 'signal' })).length;
    this.#sql.exec(
      'UPDATE signal_counts SET taken = taken + 1, due = due + ?, ignored = ignored + ?, last_ms = ?',
      due,
      keys.length - due + unread,
      nowMs,
    );
    if (due > 0) this.#agenda.wakeVisitor();
    return due;
  }

  counts(): SignalCounts {
    return this.#sql.exec<SignalCounts & Record<string, number | null>>(
      'SELECT taken, repeated, due, ignored, last_ms FROM signal_counts',
    )[0]!;
  }

  /** Remembers a delivery, and forgets old ones. False when it is known. */
  #remember(id: string, nowMs: number): boolean {
    const oldMs = nowMs - REMEMBERED_MS;
    const isKnown = this.#sql.exec('SELECT id FROM signals WHERE id = ? AND at_ms >= ?', id, oldMs).length > 0;
    if (isKnown) return false;
    this.#sql.exec('DELETE FROM signals WHERE id = ?', id);
    this.#sql.exec('INSERT INTO signals (id, at_ms) VALUES (?, ?)', id, nowMs);
    this.#sql.exec(
      `DELETE FROM signals WHERE number IN (SELECT number FROM signals ORDER BY number LIMIT ?1)
         AND (at_ms < ?2 OR number <= (SELECT max(number) FROM signals) - ?3)`,
      FORGOTTEN_AT_ONCE,
      oldMs,
      LIMITS.signalsRememberedMax,
    );
    return true;
  }
}
