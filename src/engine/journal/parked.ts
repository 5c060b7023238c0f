import { LIMITS, type RetryPace } from '../../config.ts';
import type { Failure } from '../../errors.ts';
import { policyOf } from '../../failure-policy.ts';
import type { Change } from '../../ports/change.ts';
import type { Ticket } from '../../ports/queues.ts';
import type { SqlPort, SqlValue } from '../../ports/sql.ts';
import type { ParkedChange } from './changes.ts';
import { DeadLetters } from './letters.ts';

/** Which dead changes are meant: all that fit, or of some numbers those that do. `olderMs`: died before this time. */
export interface DeadFilter {
  reason: string | null;
  olderMs: number | null;
  numbers: number[] | null;
}

const DEAD = `died_ms IS NOT NULL AND (?1 IS NULL OR reason = ?1) AND (?2 IS NULL OR died_ms < ?2)
  AND (?3 IS NULL OR change_number IN (SELECT value FROM json_each(?3)))`;

/** Looks that are remembered of one change. */
const HISTORY_LOOKS_MAX = 10;
const HISTORY_DETAIL_LENGTH_MAX = 300;

/** The parked changes in the object's SQLite, dead ones with them. Callers hold the transaction. */
export class ParkedChanges {
  readonly letters: DeadLetters;
  readonly #sql: SqlPort;
  readonly #pace: RetryPace;

  constructor(sql: SqlPort, pace: RetryPace) {
    this.#sql = sql;
    this.#pace = pace;
    this.letters = new DeadLetters(sql);
  }

  /** Parks a change; one that no other look can help is dead at once. */
  park(changeNumber: number, change: Change, why: Failure & { nowMs: number; dueMs: number }): void {
    const history = historyWith('[]', why, why.nowMs);
    this.#sql.exec(
      `INSERT INTO parked (change_number, key, cursor, deleted, revision, reason, detail, stack, attempts, attempts_max,
         history, parked_ms, handled_ms, due_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)`,
      changeNumber,
      change.key,
      change.cursor,
      change.deleted ? 1 : 0,
      change.revision,
      why.reason,
      why.detail,
      why.stack ?? null,
      this.#pace.attemptsMax,
      history,
      why.nowMs,
      why.nowMs,
      why.dueMs,
    );
    if (policyOf(why.reason).action === 'never') this.#die(changeNumber, why.nowMs);
  }

  /** Takes out what is parked or dead for a key, for a reason that ends its letters too. Returns how many. */
  takeOut(key: string, end: Parameters<DeadLetters['resolve']>[1]): number {
    const statement = 'DELETE FROM parked WHERE key = ? RETURNING change_number';
    const taken = this.#sql.exec<{ change_number: number }>(statement, key);
    for (const { change_number } of taken) this.letters.resolve(change_number, end);
    return taken.length;
  }

  /** Takes one out that has come to something; false when it is gone already or was looked at again meanwhile. */
  take({ change_number, attempts }: ParkedChange, nowMs: number): boolean {
    const statement = 'DELETE FROM parked WHERE change_number = ? AND attempts = ? RETURNING change_number';
    const isTaken = this.#sql.exec(statement, change_number, attempts).length === 1;
    if (!isTaken) return false;
    this.#countLook();
    this.letters.resolve(change_number, { status: 'resolved', nowMs });
    return true;
  }

  /** Notes another failed look and when the next is due; after the last one the change is dead. */
  postpone(parked: ParkedChange, why: Failure & { nowMs: number; dueMs: number }): void {
    const { change_number, attempts, attempts_max } = parked;
    const noted = this.#sql.exec(
      `UPDATE parked SET attempts = attempts + 1, reason = ?, detail = ?, stack = ?, history = ?, handled_ms = ?, due_ms = ?
       WHERE change_number = ? AND attempts = ? RETURNING change_number`,
      why.reason,
      why.detail,
      why.stack ?? null,
      historyWith(parked.history, why, why.nowMs),
      why.nowMs,
      why.dueMs,
      change_number,
      attempts,
    );
    if (noted.length === 0) return;
    this.#countLook();
    // A lagging revision has looks of its own, and an end of its own.
    const isLast = attempts + 1 >= attempts_max && why.reason !== 'lagging-revision';
    if (isLast || policyOf(why.reason).action === 'never') this.#die(change_number, why.nowMs);
  }

  /** Notes when to hand one out again; whatever came of it does not count as a look. */
  defer({ changeNumber, attempt }: Ticket, { nowMs, dueMs }: { nowMs: number; dueMs: number }): void {
    this.#sql.exec(
      'UPDATE parked SET handled_ms = ?, due_ms = ? WHERE change_number = ? AND attempts = ? AND died_ms IS NULL',
      nowMs,
      dueMs,
      changeNumber,
      attempt,
    );
  }

  /** Dead changes are looked at again, as often as new ones. Says how many, by reason. */
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

  /** Those that are not dead, after a change number, in order. */
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

  /** Takes a dead change out on somebody's word. False when it is not dead. */
  dismiss(changeNumber: number, { nowMs, note }: { nowMs: number; note: string }): boolean {
    const statement = 'DELETE FROM parked WHERE change_number = ? AND died_ms IS NOT NULL RETURNING change_number';
    const isTaken = this.#sql.exec(statement, changeNumber).length === 1;
    if (isTaken) this.letters.resolve(changeNumber, { status: 'dismissed', nowMs, note });
    return isTaken;
  }

  /** The change a ticket is for; null when it is gone, dead, or was looked at since. */
  ofTicket({ changeNumber, attempt }: Ticket): ParkedChange | null {
    const parked = this.find(changeNumber);
    return parked && parked.attempts === attempt && parked.died_ms === null ? parked : null;
  }

  find(changeNumber: number): ParkedChange | null {
    const statement = 'SELECT * FROM parked WHERE change_number = ?';
    return this.#sql.exec<ParkedChange & Record<string, SqlValue>>(statement, changeNumber)[0] ?? null;
  }

  /** Those whose time has come; a look that lies ahead was one by a clock that jumped back since. */
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
    const [next] = this.#sql.exec<{ due: number | null; looked: number | null }>(
      `SELECT (SELECT min(due_ms) FROM parked WHERE died_ms IS NULL) AS due,
         (SELECT max(handled_ms) FROM parked WHERE died_ms IS NULL) AS looked`,
    );
    return next!.looked !== null && next!.looked > nowMs ? 0 : next!.due;
  }

  count(): { parked: number; dead: number } {
    const [count] = this.#sql.exec<{ parked: number; dead: number }>(
      'SELECT count(*) - count(died_ms) AS parked, count(died_ms) AS dead FROM parked',
    );
    return count!;
  }

  /**
   * How long a change waits after its `attempts`-th look: doubling, spread by up to a quarter so that changes parked
   * together do not come back together; never before the upstream's own floor.
   */
  delayMs({ changeNumber, attempt }: Ticket, { retryAfterMs }: { retryAfterMs: number | null }): number {
    const doubled = Math.min(this.#pace.waitMs * 2 ** Math.min(attempt, 20), LIMITS.parkedMsMax);
    // Knuth's multiplicative hash: spreads dense numbers, and gives the same delay whenever it is asked.
    const spread = ((changeNumber * 2654435761) % 4096) / 4096 / 4;
    return Math.max(Math.round(doubled * (1 + spread)), Math.min(retryAfterMs ?? 0, LIMITS.retryAfterMsMax));
  }

  #countLook(): void {
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
  const look = { at: new Date(nowMs).toISOString(), reason, detail: detail.slice(0, HISTORY_DETAIL_LENGTH_MAX) };
  return JSON.stringify([...(JSON.parse(history) as unknown[]), look].slice(-HISTORY_LOOKS_MAX));
}
