import { LOST, type Mutant, NEWEST, scene } from './mutant.ts';

const RANGES = 'src/engine/follow/ranges.ts';
const LETTERS = 'src/engine/journal/letters.ts';

/** Mutants of results that arrive after something newer of the same key. */
export const LATE_RESULT_MUTANTS: Mutant[] = [
  {
    name: 'late result appended over a newer row',
    breaks: NEWEST,
    caughtBy: scene('a push between an attempt and its result'),
    edits: [
      {
        file: 'src/engine/journal/journal.ts',
        text: 'if (this.state.lastLsnOf(parked.key) !== lastLsn) return false;',
        instead: 'void lastLsn;',
      },
    ],
  },
  {
    name: "retry appended before the tail's loaded change",
    breaks: NEWEST,
    caughtBy: scene('an attempt at a key that the tail is loading'),
    edits: [
      {
        file: 'src/engine/follow/retries.ts',
        text: 'const isTaken = !this.#isPending(parked.key) && this.#accept(',
        instead: 'const isTaken = this.#accept(',
      },
    ],
  },
  {
    name: "range appended before the tail's loaded change",
    breaks: NEWEST,
    caughtBy: scene('a range at a key that the tail has loaded'),
    edits: [
      {
        file: RANGES,
        text: 'if (!loaded || isPending(change.key)) break;',
        instead: 'if (!loaded) break;',
      },
    ],
  },
  {
    name: "range appended before the tail's staged change",
    breaks: NEWEST,
    caughtBy: scene('a range at a key that the tail has staged'),
    edits: [
      {
        file: 'src/engine/follow/tail.ts',
        text: 'page.changes.slice(this.#source.resumable ? done : 0).some(',
        instead: 'page.changes.slice(done).some(',
      },
    ],
  },
  {
    name: 'range appends from an outdated page',
    breaks: NEWEST,
    caughtBy: scene('a removal after a range has pulled its key'),
    edits: [
      {
        file: RANGES,
        text: 'if (source.resumable && lastLsns.some(',
        instead: 'if (!source.resumable && lastLsns.some(',
      },
      // A change that is loaded as a deletion would do as well.
      {
        file: RANGES,
        text: 'if (journal.isDeletedSince(change)) page',
        instead: 'if (change.deleted) page',
      },
    ],
  },
  {
    name: 'range appended over a newer row',
    breaks: NEWEST,
    caughtBy: scene('a push while a range loads its key'),
    edits: [
      {
        file: RANGES,
        text: 'if (journal.state.lastLsnOf(change.key) !== loaded.lastLsn) {',
        instead: 'if (loaded.lastLsn < 0) {',
      },
    ],
  },
  {
    name: 'letter published over a newer version',
    breaks: LOST,
    caughtBy: scene('a letter that is published late'),
    edits: [
      {
        file: LETTERS,
        text: `status = excluded.status, resolved_at = excluded.resolved_at
      WHERE json_extract(excluded.message_body, '$.version') > json_extract(failed_messages.message_body, '$.version')\``,
        instead: 'status = excluded.status, resolved_at = excluded.resolved_at`',
      },
    ],
  },
  {
    name: 'changed letter marked as published',
    breaks: LOST,
    caughtBy: scene('a letter that changes while it is published'),
    edits: [
      {
        file: LETTERS,
        text: `'UPDATE letters SET published = 1 WHERE change_number = ? AND version = ?',
        change_number,
        version,`,
        instead: `'UPDATE letters SET published = 1 WHERE change_number = ? AND ? IS NOT NULL',
        change_number,
        version,`,
      },
    ],
  },
];
