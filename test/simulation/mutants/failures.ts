import { ALIVE, LOST, type Mutant, PAUSED, schedules } from './mutant.ts';

const JOURNAL = 'src/engine/journal/journal.ts';
const RETRY = 'src/engine/follow/retries.ts';
const PARKED = 'src/engine/journal/parked.ts';
const LETTERS = 'src/engine/journal/letters.ts';

const ATTEMPTS = 'an attempt counts once';

const DEFERRED = 'for (const ticket of tickets) parked.defer(ticket, { nowMs, dueMs: nowMs + this.#pace.leaseMs });';

/** Mutants of parked changes, their tickets and dead letters. */
export const FAILURE_MUTANTS: Mutant[] = [
  {
    name: 'attempt number of a ticket not compared',
    breaks: ATTEMPTS,
    caughtBy: schedules(),
    edits: [
      {
        file: PARKED,
        text: 'parked && parked.attempts === attempt && parked.died_ms === null',
        instead: 'parked && parked.died_ms === null',
      },
    ],
  },
  {
    name: 'change of a sent ticket not deferred',
    breaks: ALIVE,
    caughtBy: schedules(),
    edits: [{ file: RETRY, text: DEFERRED, instead: '' }],
  },
  {
    name: 'lost ticket never sent again',
    breaks: ALIVE,
    caughtBy: schedules({ from: 37, seeds: 60 }),
    edits: [
      {
        file: RETRY,
        text: DEFERRED,
        instead: 'for (const ticket of tickets) parked.defer(ticket, { nowMs, dueMs: Number.MAX_SAFE_INTEGER });',
      },
    ],
  },
  {
    name: 'admitted ticket never sent again',
    breaks: ALIVE,
    caughtBy: schedules({ from: 10 }),
    edits: [
      {
        file: RETRY,
        text: '    parked.defer(ticket, { nowMs, dueMs: nowMs + this.#pace.leaseMs });',
        instead: '    parked.defer(ticket, { nowMs, dueMs: Number.MAX_SAFE_INTEGER });',
      },
    ],
  },
  {
    name: 'tickets admitted while paused',
    breaks: PAUSED,
    caughtBy: schedules({ from: 37, seeds: 60 }),
    edits: [
      {
        file: RETRY,
        text: 'if (!change || state.source().paused === 1) return;',
        instead: 'if (!change) return;',
      },
    ],
  },
  {
    name: 'letter of a superseded change left open',
    breaks: LOST,
    caughtBy: schedules({ from: 13 }),
    edits: [
      {
        file: PARKED,
        text: 'for (const { change_number } of removed) this.letters.resolve(change_number, end);',
        instead: 'void end;',
      },
    ],
  },
  {
    name: 'letter published only once',
    breaks: LOST,
    caughtBy: schedules(),
    edits: [
      {
        file: LETTERS,
        text: `DO UPDATE SET
        message_body = excluded.message_body, error_message = excluded.error_message,
        retry_count = excluded.retry_count, failed_at = excluded.failed_at,
        status = excluded.status, resolved_at = excluded.resolved_at
      WHERE json_extract(excluded.message_body, '$.version') > json_extract(failed_messages.message_body, '$.version')\``,
        instead: 'DO NOTHING`',
      },
    ],
  },
  {
    name: 'letter inserted anew at each publish',
    breaks: ALIVE,
    caughtBy: schedules(),
    edits: [
      {
        file: LETTERS,
        text: `
      ON CONFLICT (json_extract(message_body, '$.source'), json_extract(message_body, '$.change_number')) DO UPDATE SET
        message_body = excluded.message_body, error_message = excluded.error_message,
        retry_count = excluded.retry_count, failed_at = excluded.failed_at,
        status = excluded.status, resolved_at = excluded.resolved_at
      WHERE json_extract(excluded.message_body, '$.version') > json_extract(failed_messages.message_body, '$.version')\``,
        instead: '`',
      },
    ],
  },
  {
    name: 'replay resets the attempts',
    breaks: ATTEMPTS,
    caughtBy: schedules({ from: 24, seeds: 60 }),
    edits: [
      {
        file: PARKED,
        text: 'attempts_max = attempts + ?5 WHERE',
        instead: 'attempts = 0, attempts_max = ?5 WHERE',
      },
    ],
  },
  {
    name: 'dismissed change not counted',
    breaks: LOST,
    caughtBy: schedules({ from: 4, seeds: 60 }),
    edits: [
      {
        file: JOURNAL,
        text: "if (isRemoved) countOutcome(this.#sql, 'skipped:dismissed', 1);",
        instead: '',
      },
    ],
  },
];
