import { LIMITS } from '../config.ts';
import type { SqlPort } from '../engine/ports.ts';
import type { ParkReason } from '../errors.ts';
import type { Change } from '../sources/source.ts';

/** A change that failed and is being retried, or a revision that is still owed. */
export interface ParkedChange {
  change_number: number;
  key: string;
  place: string;
  deleted: number;
  revision: number | null;
  reason: ParkReason;
  detail: string;
  attempts: number;
  parked_ms: number;
  /** When it was last looked at, or parked. */
  looked_ms: number;
  due_ms: number;
}

/** The parked changes in the object's SQLite. Callers hold the transaction. */
export class ParkedChanges {
  readonly #sql: SqlPort;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  park(
    changeNumber: number,
    change: Change,
    why: { reason: ParkReason; detail: string; nowMs: number; dueMs: number },
  ): void {
    this.#sql.exec(
      `INSERT INTO parked (change_number, key, place, deleted, revision, reason, detail, attempts, parked_ms, looked_ms, due_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)`,
      ...[changeNumber, change.key, change.place, change.deleted ? 1 : 0, change.revision],
      ...[why.reason, why.detail, why.nowMs, why.nowMs, why.dueMs],
    );
  }

  /** Takes out what is parked for a key, since something newer of it was accepted. Returns how many. */
  supersede(key: string): number {
    return this.#sql.exec('DELETE FROM parked WHERE key = ? RETURNING change_number', key).length;
  }

  /** Takes one out; false when it is gone already or was tried again meanwhile. */
  take({ change_number, attempts }: ParkedChange): boolean {
    const statement = 'DELETE FROM parked WHERE change_number = ? AND attempts = ? RETURNING change_number';
    return this.#sql.exec(statement, change_number, attempts).length === 1;
  }

  /** Notes when to look again, and whether this look counts; nothing happens when the change is no longer parked as it was. */
  postpone(
    { change_number, attempts }: ParkedChange,
    why: { reason: ParkReason; detail: string; nowMs: number; dueMs: number; attempts?: number },
  ): void {
    this.#sql.exec(
      'UPDATE parked SET attempts = attempts + ?, reason = ?, detail = ?, looked_ms = ?, due_ms = ? WHERE change_number = ? AND attempts = ?',
      ...[why.attempts ?? 1, why.reason, why.detail, why.nowMs, why.dueMs, change_number, attempts],
    );
  }

  /** Those whose time has come; a look that lies ahead was one by a clock that jumped back since. */
  due(nowMs: number, limit: number): ParkedChange[] {
    return this.#sql.exec<ParkedChange & Record<string, never>>(
      'SELECT * FROM parked WHERE due_ms <= ? OR looked_ms > ? ORDER BY due_ms, change_number LIMIT ?',
      ...[nowMs, nowMs, limit],
    );
  }

  nextDueMs(nowMs: number): number | null {
    return this.#sql.exec<{ due: number | null }>(
      'SELECT min(iif(looked_ms > ?, 0, due_ms)) AS due FROM parked',
      nowMs,
    )[0]!.due;
  }

  count(): number {
    return this.#sql.exec<{ parked: number }>('SELECT count(*) AS parked FROM parked')[0]!.parked;
  }
}

/**
 * How long a parked change waits after its `attempts`-th look: doubling, spread by up to a quarter so that changes
 * parked together do not come back together; never before the upstream's own floor.
 */
export function retryDelayMs({
  changeNumber,
  attempts,
  retryAfterMs,
}: {
  changeNumber: number;
  attempts: number;
  retryAfterMs: number | null;
}): number {
  const doubled = Math.min(LIMITS.parkedMsMin * 2 ** Math.min(attempts, 20), LIMITS.parkedMsMax);
  // Knuth's multiplicative hash: spreads dense numbers, and gives the same delay whenever it is asked.
  const spread = ((changeNumber * 2654435761) % 4096) / 4096 / 4;
  return Math.max(Math.round(doubled * (1 + spread)), Math.min(retryAfterMs ?? 0, LIMITS.retryAfterMsMax));
}

/** When a lagging revision is looked at again after `attempts` looks; null when it was looked at often enough. */
export function recheckDelayMs(attempts: number): number | null {
  return LIMITS.recheckMs[attempts] ?? null;
}
