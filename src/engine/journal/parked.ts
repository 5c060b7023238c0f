import { LIMITS, type RetryPace } from '../../config.ts';
import type { Failure } from '../../errors.ts';
import { policyOf } from '../../failure-policy.ts';
import type { Change } from '../../ports/change.ts';
import type { Ticket } from '../../ports/queues.ts';
import type { SqlPort, SqlValue } from '../../ports/sql.ts';
import { isoTime } from '../../time.ts';
import type { ParkedChange } from './changes.ts';
import { DeadLetters } from './letters.ts';

/** Selects dead changes; null selects all. `olderMs`: died before this time. */
export interface DeadFilter {
  reason: string | null;
  olderMs: number | null;
  numbers: number[] | null;
}

const DEAD = `died_ms IS NOT NULL AND (?1 IS NULL OR reason = ?1) AND (?2 IS NULL OR died_ms < ?2)
  AND (?3 IS NULL OR change_number IN (SELECT value FROM json_each(?3)))`;

/** Attempts in the history of one change. */
const HISTORY_ATTEMPTS_MAX = 10;
const HISTORY_DETAIL_LENGTH_MAX = 300;

/** The parked and dead changes in the object's SQLite. Callers hold the transaction. */
export class ParkedChanges {
  readonly letters: DeadLetters;
  readonly #sql: SqlPort;
  readonly #pace: RetryPace;

  constructor(sql: SqlPort, pace: RetryPace) {
    this.#sql = sql;
    this.#pace = pace;
    this.letters = new DeadLetters(sql);
  }

  /** Parks a change; it is dead at once where its reason says that another attempt is useless. */
  park(changeNumber: number, change: Change, why: Failure & { nowMs: number; dueMs: number }): void {
    const history = historyWith('[]', why, why.nowMs);
    this.#sql.exec(
      `INSERT INTO parked (change_number, key, cursor, deleted, revision, reason, detail, attempts, attempts_max, history,
         parked_ms, handled_ms, due_ms) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)`,
      changeNumber,
      change.key,
      change.cursor,
      change.deleted ? 1 : 0,
      change.revision,
      why.reason,
      why.detail,
      this.#pace.attemptsMax,
      history,
      why.nowMs,
      why.nowMs,
      why.dueMs,
    );
    if (policyOf(why.reason).action === 'never') this.#die(changeNumber, why.nowMs);
  }

  /** Removes the parked and dead changes of a key, and resolves their letters. Returns how many. */
  removeAllOf(key: string, end: Parameters<DeadLetters['resolve']>[1]): number {
    const statement = 'DELETE FROM parked WHERE key = ? RETURNING change_number';
    const removed = this.#sql.exec<{ change_number: number }>(statement, key);
    for (const { change_number } of removed) this.letters.resolve(change_number, end);
    return removed.length;
  }

  /** Removes a change whose attempt gave an outcome; false when it is gone, or was attempted again meanwhile. */
  remove({ change_number, attempts }: ParkedChange, nowMs: number): boolean {
    const statement = 'DELETE FROM parked WHERE change_number = ? AND attempts = ? RETURNING change_number';
    const isRemoved = this.#sql.exec(statement, change_number, attempts).length === 1;
    if (!isRemoved) return false;
    this.#countAttempt();
    this.letters.resolve(change_number, { status: 'resolved', nowMs });
    return true;
  }

  /** Counts a failed attempt and sets when the next one is due; after the last one the change is dead. */
  recordFailure(parked: ParkedChange, why: Failure & { nowMs: number; dueMs: number }): void {
    const { change_number, attempts, attempts_max } = parked;
    const updated = this.#sql.exec(
      `UPDATE parked SET attempts = attempts + 1, reason = ?, detail = ?, history = ?, handled_ms = ?, due_ms = ?
       WHERE change_number = ? AND attempts = ? RETURNING change_number`,
      why.reason,
      why.detail,
      historyWith(parked.history, why, why.nowMs),
      why.nowMs,
      why.dueMs,
      change_number,
      attempts,
    );
    if (updated.length === 0) return;
    this.#countAttempt();
    // A lagging revision has its own number of attempts: see `recheckDelayMs`.
    const isLast = attempts + 1 >= attempts_max && why.reason !== 'lagging-revision';
    if (isLast || policyOf(why.reason).action === 'never') this.#die(change_number, why.nowMs);
  }

  /** Sets when a change is handed out again, without counting an attempt. */
  defer({ changeNumber, attempt }: Ticket, { nowMs, dueMs }: { nowMs: number; dueMs: number }): void {
    this.#sql.exec(
      'UPDATE parked SET handled_ms = ?, due_ms = ? WHERE change_number = ? AND attempts = ? AND died_ms IS NULL',
      nowMs,
      dueMs,
      changeNumber,
      attempt,
    );
  }

  /** Parks dead changes again, for as many attempts as new ones have. Returns how many by reason. */
  revive(filter: DeadFilter, nowMs: number): Record<string, number> {
    const counts = this.countDead(filter);
    this.#sql.exec(
      `UPDATE parked SET died_ms = NULL, due_ms = ?4, handled_ms = ?4, attempts_max = attempts + ?5 WHERE ${DEAD}`,
      filter.reason,
      filter.olderMs,
      numbersOf(filter),
      nowMs,
      this.#pace.attemptsMax,
    );
    return counts;
  }

  countDead(filter: DeadFilter): Record<string, number> {
    const counts = this.#sql.exec<{ reason: string; changes: number }>(
      `SELECT reason, count(*) AS changes FROM parked WHERE ${DEAD} GROUP BY reason ORDER BY reason`,
      filter.reason,
      filter.olderMs,
      numbersOf(filter),
    );
    return Object.fromEntries(counts.map(({ reason, changes }) => [reason, changes]));
  }

  /** Parked changes that are not dead, after a change number, in order. */
  list(
    { reason, olderMs }: Pick<DeadFilter, 'reason' | 'olderMs'>,
    { after, limit }: { after: number; limit: number },
  ): ParkedChange[] {
    return this.#sql.exec<ParkedChange & Record<string, SqlValue>>(
      `SELECT * FROM parked WHERE died_ms IS NULL AND (?1 IS NULL OR reason = ?1) AND (?2 IS NULL OR parked_ms < ?2)
         AND change_number > ?3 ORDER BY change_number LIMIT ?4`,
      reason,
      olderMs,
      after,
      limit,
    );
  }

  /** Removes a dead change because an operator dismissed it; false when it is not dead. */
  dismiss(changeNumber: number, { nowMs, note }: { nowMs: number; note: string }): boolean {
    const statement = 'DELETE FROM parked WHERE change_number = ? AND died_ms IS NOT NULL RETURNING change_number';
    const isRemoved = this.#sql.exec(statement, changeNumber).length === 1;
    if (isRemoved) this.letters.resolve(changeNumber, { status: 'dismissed', nowMs, note });
    return isRemoved;
  }

  /** The change of a ticket; null when it is gone, dead, or was attempted since the ticket was made. */
  findByTicket({ changeNumber, attempt }: Ticket): ParkedChange | null {
    const parked = this.find(changeNumber);
    return parked && parked.attempts === attempt && parked.died_ms === null ? parked : null;
  }

  find(changeNumber: number): ParkedChange | null {
    const statement = 'SELECT * FROM parked WHERE change_number = ?';
    return this.#sql.exec<ParkedChange & Record<string, SqlValue>>(statement, changeNumber)[0] ?? null;
  }

  /**
   * Changes that are due. One that was handled in the future is due too, because a clock that was ahead set its times.
   */
  due(nowMs: number, limit: number): ParkedChange[] {
    return this.#sql.exec<ParkedChange & Record<string, SqlValue>>(
      `SELECT * FROM parked WHERE died_ms IS NULL AND (due_ms <= ? OR handled_ms > ?)
       ORDER BY due_ms, change_number LIMIT ?`,
      nowMs,
      nowMs,
      limit,
    );
  }

  nextDueMs(nowMs: number): number | null {
    const [next] = this.#sql.exec<{ due: number | null; handled: number | null }>(
      `SELECT (SELECT min(due_ms) FROM parked WHERE died_ms IS NULL) AS due,
         (SELECT max(handled_ms) FROM parked WHERE died_ms IS NULL) AS handled`,
    );
    return next!.handled !== null && next!.handled > nowMs ? 0 : next!.due;
  }

  count(): { parked: number; dead: number } {
    const [count] = this.#sql.exec<{ parked: number; dead: number }>(
      'SELECT count(*) - count(died_ms) AS parked, count(died_ms) AS dead FROM parked',
    );
    return count!;
  }

  /**
   * How long a change waits after an attempt: the wait doubles, plus up to a quarter so that changes parked together
   * are not due together, and is never below the upstream's own floor.
   */
  delayMs({ changeNumber, attempt }: Ticket, { retryAfterMs }: { retryAfterMs: number | null }): number {
    const doubled = Math.min(this.#pace.waitMs * 2 ** Math.min(attempt, 20), LIMITS.parkedMsMax);
    // Knuth's multiplicative hash spreads consecutive numbers, and gives a change the same delay each time.
    const spread = ((changeNumber * 2654435761) % 4096) / 4096 / 4;
    return Math.max(Math.round(doubled * (1 + spread)), Math.min(retryAfterMs ?? 0, LIMITS.retryAfterMsMax));
  }

  #countAttempt(): void {
    this.#sql.exec('UPDATE source SET attempts = attempts + 1');
  }

  #die(changeNumber: number, nowMs: number): void {
    this.#sql.exec('UPDATE parked SET died_ms = ? WHERE change_number = ?', nowMs, changeNumber);
    this.letters.write(this.find(changeNumber)!, nowMs);
  }
}

function numbersOf({ numbers }: DeadFilter): string | null {
  return numbers === null ? null : JSON.stringify(numbers);
}

function historyWith(history: string, { reason, detail }: Failure, nowMs: number): string {
  const attempt = { at: isoTime(nowMs), reason, detail: detail.slice(0, HISTORY_DETAIL_LENGTH_MAX).toWellFormed() };
  return JSON.stringify([...(JSON.parse(history) as unknown[]), attempt].slice(-HISTORY_ATTEMPTS_MAX));
}
