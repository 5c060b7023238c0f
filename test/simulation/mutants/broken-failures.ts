import { ALIVE, type Broken, LOST, one, PAUSED } from './broken-form.ts';

const JOURNAL = 'src/engine/journal/journal.ts';
const RETRY = 'src/engine/follow/retries.ts';
const PARKED = 'src/engine/journal/parked.ts';
const LETTERS = 'src/engine/journal/letters.ts';

const LOOKS = 'a look counts once';

const NOTED_AS_OUT =
  'for (const ticket of tickets) parked.defer(ticket, { nowMs, dueMs: nowMs + this.#pace.leaseMs });';

/** Mistakes with parked changes, their tickets and dead letters. */
export const BROKEN_FAILURES: Broken[] = [
  one('attempt of a ticket not compared', LOOKS, {
    file: PARKED,
    text: 'parked && parked.attempts === attempt && parked.died_ms === null',
    instead: 'parked && parked.died_ms === null',
  }),
  one('ticket not noted as out', ALIVE, { file: RETRY, text: NOTED_AS_OUT, instead: '' }),
  one(
    'lost ticket never sent again',
    ALIVE,
    {
      file: RETRY,
      text: NOTED_AS_OUT,
      instead: 'for (const ticket of tickets) parked.defer(ticket, { nowMs, dueMs: Number.MAX_SAFE_INTEGER });',
    },
    60,
    31,
  ),
  one('admitted ticket never sent again', ALIVE, {
    file: RETRY,
    text: '      parked.defer(ticket, { nowMs, dueMs: nowMs + this.#pace.leaseMs });',
    instead: '      parked.defer(ticket, { nowMs, dueMs: Number.MAX_SAFE_INTEGER });',
  }),
  one(
    'tickets admitted while paused',
    PAUSED,
    {
      file: RETRY,
      text: 'if (!change || state.source().paused === 1) continue;',
      instead: 'if (!change) continue;',
    },
    60,
    31,
  ),
  one('letter of a superseded change left open', LOST, {
    file: PARKED,
    text: 'for (const { change_number } of removed) this.letters.resolve(change_number, end);',
    instead: 'void end;',
  }),
  one('letter told once and never again', LOST, {
    file: LETTERS,
    text: `DO UPDATE SET
        message_body = excluded.message_body, error_message = excluded.error_message,
        error_stack = excluded.error_stack, retry_count = excluded.retry_count, failed_at = excluded.failed_at,
        status = excluded.status, resolved_at = excluded.resolved_at
      WHERE json_extract(excluded.message_body, '$.version') > json_extract(failed_messages.message_body, '$.version')\``,
    instead: 'DO NOTHING`',
  }),
  one('letter told as if it were new each time', ALIVE, {
    file: LETTERS,
    text: `
      ON CONFLICT (json_extract(message_body, '$.source'), json_extract(message_body, '$.change_number')) DO UPDATE SET
        message_body = excluded.message_body, error_message = excluded.error_message,
        error_stack = excluded.error_stack, retry_count = excluded.retry_count, failed_at = excluded.failed_at,
        status = excluded.status, resolved_at = excluded.resolved_at
      WHERE json_extract(excluded.message_body, '$.version') > json_extract(failed_messages.message_body, '$.version')\``,
    instead: '`',
  }),
  one(
    'replay that sets looks back',
    LOOKS,
    {
      file: PARKED,
      text: 'attempts_max = attempts + ?5 WHERE',
      instead: 'attempts = 0, attempts_max = ?5 WHERE',
    },
    60,
    21,
  ),
  one(
    'dismissed and not counted',
    LOST,
    {
      file: JOURNAL,
      text: "if (isRemoved) countOutcome(this.#sql, 'skipped:dismissed', 1);",
      instead: '',
    },
    60,
    241,
  ),
];
