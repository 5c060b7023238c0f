import type { ParkReason } from '../../errors.ts';
import { MINUTE } from '../../limits.ts';
import type { SqlPort, SqlValue } from '../../ports/sql.ts';
import { isoTime } from '../../time.ts';
import type { ParkedChange } from './changes.ts';

/** How long the object remembers a resolved dead letter. The operational database has it for good. */
const LETTERS_RETENTION_MS = 30 * 24 * 60 * MINUTE;

/** `failed` until its change has a row (`resolved`), its key has a newer change, or an operator dismisses it. */
type LetterStatus = 'failed' | 'resolved' | 'superseded' | 'dismissed';

/** The letter of a change that died. */
export interface DeadLetter {
  change_number: number;
  key: string;
  cursor: string;
  reason: ParkReason;
  detail: string;
  attempts: number;
  /** JSON list of the last attempts: `{at, reason, detail}`. */
  history: string;
  parked_ms: number;
  failed_ms: number;
  status: LetterStatus;
  resolved_ms: number | null;
  /** Why it was dismissed. */
  note: string | null;
  /** Rises with each change of the letter, so that the database can tell old from new. */
  version: number;
}

/** Selects letters; null selects all. `olderMs`: died before this time. */
export interface LetterFilter {
  reason: string | null;
  status: LetterStatus | null;
  olderMs: number | null;
}

const COLUMNS = `change_number, key, cursor, reason, detail, attempts, history, parked_ms, failed_ms, status,
  resolved_ms, note, version`;
const MATCHES = '(?1 IS NULL OR reason = ?1) AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR failed_ms < ?3)';

/**
 * The dead letters in the object's SQLite, one a change number. Every change of a letter is published to the
 * operational database. Callers hold the transaction.
 */
export class DeadLetters {
  readonly #sql: SqlPort;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  /** Writes the letter of a change that died, or died again after a replay. */
  write(parked: ParkedChange, nowMs: number): void {
    const { change_number, key, cursor, reason, detail, attempts, history, parked_ms } = parked;
    this.#sql.exec(
      `INSERT INTO letters (${COLUMNS}, published) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'failed', NULL, NULL, ?, 0)
       ON CONFLICT (change_number) DO UPDATE SET reason = excluded.reason, detail = excluded.detail,
         attempts = excluded.attempts, history = excluded.history,
         failed_ms = excluded.failed_ms, version = max(version + 1, excluded.version), published = 0`,
      change_number,
      key,
      cursor,
      reason,
      detail,
      attempts,
      history,
      parked_ms,
      nowMs,
      nowMs,
    );
  }

  /** Resolves the letter of a change that has one. */
  resolve(
    changeNumber: number,
    { status, nowMs, note = null }: { status: Exclude<LetterStatus, 'failed'>; nowMs: number; note?: string | null },
  ): void {
    this.#sql.exec(
      `UPDATE letters SET status = ?, resolved_ms = ?, note = ?, version = max(version + 1, ?), published = 0
       WHERE change_number = ? AND status = 'failed'`,
      status,
      nowMs,
      note,
      nowMs,
      changeNumber,
    );
  }

  find(changeNumber: number): DeadLetter | null {
    const statement = `SELECT ${COLUMNS} FROM letters WHERE change_number = ?`;
    return this.#sql.exec<DeadLetter & Record<string, SqlValue>>(statement, changeNumber)[0] ?? null;
  }

  /** Letters after a change number, in order. */
  list({ reason, status, olderMs }: LetterFilter, { after, limit }: { after: number; limit: number }): DeadLetter[] {
    return this.#sql.exec<DeadLetter & Record<string, SqlValue>>(
      `SELECT ${COLUMNS} FROM letters WHERE ${MATCHES} AND change_number > ?4 ORDER BY change_number LIMIT ?5`,
      reason,
      status,
      olderMs,
      after,
      limit,
    );
  }

  unpublished(limit: number): DeadLetter[] {
    return this.#sql.exec<DeadLetter & Record<string, SqlValue>>(
      `SELECT ${COLUMNS} FROM letters WHERE published = 0 ORDER BY change_number LIMIT ?`,
      limit,
    );
  }

  /**
   * Marks letters that the database has, unless they changed meanwhile. Removes those resolved long ago: the database
   * keeps them.
   */
  markPublished(letters: DeadLetter[], nowMs: number): void {
    for (const { change_number, version } of letters)
      this.#sql.exec(
        'UPDATE letters SET published = 1 WHERE change_number = ? AND version = ?',
        change_number,
        version,
      );
    this.#sql.exec(
      "DELETE FROM letters WHERE published = 1 AND status <> 'failed' AND resolved_ms < ?",
      nowMs - LETTERS_RETENTION_MS,
    );
  }
}

/** The statement that publishes a letter. Repeating it, or an older one that lands late, changes nothing. */
export function letterStatement(source: string, letter: DeadLetter): { sql: string; params: SqlValue[] } {
  const { change_number, key, cursor, reason, history, note, version } = letter;
  const body = { source, change_number, key, cursor, reason, history: JSON.parse(history), note, version };
  return {
    sql: `INSERT INTO failed_messages (queue_name, message_body, error_message, retry_count,
        original_timestamp, failed_at, status, resolved_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (json_extract(message_body, '$.source'), json_extract(message_body, '$.change_number')) DO UPDATE SET
        message_body = excluded.message_body, error_message = excluded.error_message,
        retry_count = excluded.retry_count, failed_at = excluded.failed_at,
        status = excluded.status, resolved_at = excluded.resolved_at
      WHERE json_extract(excluded.message_body, '$.version') > json_extract(failed_messages.message_body, '$.version')`,
    params: [
      RETRY_QUEUE,
      JSON.stringify(body),
      letter.detail,
      letter.attempts,
      isoTime(letter.parked_ms),
      isoTime(letter.failed_ms),
      letter.status,
      isoTime(letter.resolved_ms),
    ],
  };
}

/** The queue that carries tickets. It never holds the only copy of anything. */
const RETRY_QUEUE = 'tributary-retry';
