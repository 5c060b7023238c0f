import { type Broken, inScene, LOST, NEWEST } from './broken-form.ts';

const RANGES = 'src/engine/follow/ranges.ts';
const LETTERS = 'src/engine/journal/letters.ts';

/** Mistakes with what comes late, or while something newer of the same is under way. */
export const BROKEN_LATE: Broken[] = [
  inScene('a push between a look and its result', 'late result over a newer row', NEWEST, {
    file: 'src/engine/journal/journal.ts',
    text: 'if (this.state.lastLsnOf(parked.key) !== lastLsn) return false;',
    instead: 'void lastLsn;',
  }),
  inScene('a look at a key that the tail is loading', 'result before what the tail has loaded', NEWEST, {
    file: 'src/engine/follow/retries.ts',
    text: 'const isTaken = !this.#isPending(parked.key) && this.#accept(',
    instead: 'const isTaken = this.#accept(',
  }),
  inScene('a range at a key that the tail has loaded', 'range before what the tail has loaded', NEWEST, {
    file: RANGES,
    text: 'if (!loaded || isPending(change.key)) break;',
    instead: 'if (!loaded) break;',
  }),
  inScene('a range at a key that the tail has staged', 'range before what the tail has staged', NEWEST, {
    file: 'src/engine/follow/tail.ts',
    text: 'page.changes.slice(this.#source.resumable ? done : 0).some(',
    instead: 'page.changes.slice(done).some(',
  }),
  inScene('a removal after a range has pulled its key', 'range by a page that is too old', NEWEST, {
    file: RANGES,
    text: 'if (source.resumable && lastLsns.some(',
    instead: 'if (!source.resumable && lastLsns.some(',
  }),
  inScene('a push while a range loads its key', 'range over a newer row', NEWEST, {
    file: RANGES,
    text: 'if (journal.state.lastLsnOf(change.key) !== loaded.lastLsn) {',
    instead: 'if (loaded.lastLsn < 0) {',
  }),
  inScene('a letter that is told late', 'letter told over a newer one', LOST, {
    file: LETTERS,
    text: `status = excluded.status, resolved_at = excluded.resolved_at
      WHERE json_extract(excluded.message_body, '$.version') > json_extract(failed_messages.message_body, '$.version')\``,
    instead: 'status = excluded.status, resolved_at = excluded.resolved_at`',
  }),
  inScene('a letter that turns while it is told', 'letter that turned taken for told', LOST, {
    file: LETTERS,
    text: `'UPDATE letters SET published = 1 WHERE change_number = ? AND version = ?',
        change_number,
        version,`,
    instead: `'UPDATE letters SET published = 1 WHERE change_number = ? AND ? IS NOT NULL',
        change_number,
        version,`,
  }),
];
