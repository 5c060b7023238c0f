import { ANSWERS_TO_ABANDONED_RUNS, DOUBLED, DURABLE, LOST, type Mutant, NEWEST, SAME, schedules } from './mutant.ts';

const JOURNAL = 'src/engine/journal/journal.ts';
const FILES = 'src/engine/journal/files.ts';
const FLUSH = 'src/engine/flush/flush.ts';
const ENGINE = 'src/engine/engine.ts';
const SYNC_TIME_UNCHECKED = {
  file: 'src/engine/publish/database.ts',
  text: 'if (cursor !== null && storedAt !== isoTime(stampMs)) {',
  instead: 'if (false) {',
};
const LATER_FILES_UNCHECKED = { file: FLUSH, text: 'await checkLaterFiles({ ports, files, table });', instead: '' };

/** Mutants of appends, files and what the database says of them. */
export const ENGINE_MUTANTS: Mutant[] = [
  {
    name: 'append without the cursor check',
    breaks: DOUBLED,
    caughtBy: schedules({ from: 24 }),
    edits: [
      {
        file: JOURNAL,
        text: 'if (this.state.lane(append.lane).cursor !== append.cursorBefore) return false;\n      // Accept',
        instead: '// Accept',
      },
      ...ANSWERS_TO_ABANDONED_RUNS,
    ],
  },
  {
    name: 'file settled before its put',
    breaks: LOST,
    caughtBy: schedules(),
    edits: [
      {
        file: FLUSH,
        text: `  const head = await put({ ports, intent, chunks, identity: files.identity(table.name) });
  return files.settle({ intent, head, startedMs, nowMs: ports.clock.now() });`,
        instead: `  const head = { key: intent.key, bytes: 0, etag: '', metadata: {} };
  const file = files.settle({ intent, head, startedMs, nowMs: ports.clock.now() });
  await put({ ports, intent, chunks, identity: files.identity(table.name) });
  return file;`,
      },
    ],
  },
  {
    name: 'flush without an intent',
    breaks: DOUBLED,
    caughtBy: schedules(),
    edits: [
      {
        file: FILES,
        text: `      this.#sql.exec('UPDATE intents SET attempts = attempts + 1 WHERE table_name = ?', table.name);
      return this.intent(table.name)!;`,
        instead: `      this.#sql.exec('DELETE FROM intents WHERE table_name = ?', table.name);
      return { table_name: table.name, first_lsn: firstLsn, last_lsn: lastLsn, key, digest, attempts: 0, started_ms: nowMs };`,
      },
    ],
  },
  {
    name: 'digest of the object under the key not compared',
    breaks: LOST,
    caughtBy: schedules({ from: 9 }),
    edits: [
      {
        file: FLUSH,
        text: 'if (head.metadata.digest !== intent.digest) {',
        instead: 'if (false) {',
      },
    ],
  },
  {
    name: 'data file put without a condition',
    breaks: SAME,
    caughtBy: schedules(),
    edits: [{ file: FLUSH, text: 'onlyIf: { absent: true },', instead: '' }],
  },
  {
    name: 'durable cursor of the first table only',
    breaks: DURABLE,
    caughtBy: schedules({ from: 19 }),
    edits: [
      {
        file: FILES,
        text: 'FROM entries WHERE cursor_before IS NOT NULL ORDER BY',
        instead:
          'FROM entries WHERE cursor_before IS NOT NULL AND table_name = (SELECT min(name) FROM tables) ORDER BY',
      },
    ],
  },
  {
    name: 'durable cursor equals the accepted one',
    breaks: DURABLE,
    caughtBy: schedules(),
    edits: [
      {
        file: FILES,
        text: 'return oldest ? oldest.cursor_before : this.#state.lane(TAIL).cursor;',
        instead: 'return oldest === null ? null : this.#state.lane(TAIL).cursor;',
      },
    ],
  },
  {
    name: 'lake not checked before the first append',
    breaks: DOUBLED,
    caughtBy: schedules({ from: 43, seeds: 200 }),
    edits: [
      { file: ENGINE, text: 'if (this.journal.state.source().lake_checked === 1) return;', instead: 'return;' },
      LATER_FILES_UNCHECKED,
    ],
  },
  {
    name: 'raw document put over a newer one',
    breaks: NEWEST,
    caughtBy: schedules({ from: 48, seeds: 60 }),
    edits: [
      {
        file: 'src/lake/newest.ts',
        text: "if (head !== null && isNewer(head, version)) return 'newer-exists';",
        instead: '',
      },
    ],
  },
  {
    name: 'accepted change supersedes nothing',
    breaks: NEWEST,
    caughtBy: schedules(),
    edits: [
      {
        file: JOURNAL,
        text: "const superseded = this.parked.removeAllOf(key, { status: 'superseded', nowMs });",
        instead: 'const superseded = 0;',
      },
    ],
  },
  {
    name: 'stamps go back with the clock',
    breaks: SAME,
    caughtBy: schedules({ from: 5 }),
    edits: [
      {
        file: JOURNAL,
        text: 'source.stamp_ms = Math.max(nowMs, source.stamp_ms);',
        instead: 'source.stamp_ms = nowMs;',
      },
    ],
  },
  {
    name: 'two months in one file',
    breaks: SAME,
    caughtBy: schedules({ from: 9 }),
    edits: [
      {
        file: 'src/engine/flush/row-buffer.ts',
        text: 'return isSameMonth && rows',
        instead: 'return (isSameMonth || true) && rows',
      },
    ],
  },
  {
    name: 'sync_state written over a newer one',
    breaks: DURABLE,
    caughtBy: schedules({ from: 4 }),
    edits: [
      {
        file: 'src/engine/publish/database.ts',
        text: 'WHERE excluded.last_sync_time > sync_state.last_sync_time`',
        instead: '`',
      },
    ],
  },
  {
    name: 'settled entries stay in the journal',
    breaks: DOUBLED,
    caughtBy: schedules(),
    edits: [
      {
        file: FILES,
        text: "this.#sql.exec('DELETE FROM entries WHERE table_name = ? AND first_lsn >= ? AND last_lsn <= ?', ...range);",
        instead: 'void range;',
      },
    ],
  },
  {
    name: 'lagging revision not parked',
    breaks: NEWEST,
    caughtBy: schedules(),
    edits: [
      {
        file: JOURNAL,
        text: 'if (change.revision !== null && outcome.revision !== null && outcome.revision < change.revision) {',
        instead: 'if (change.revision === -1) {',
      },
    ],
  },
  {
    name: 'slices of a page appended one by one',
    breaks: DURABLE,
    caughtBy: schedules({ from: 3 }),
    edits: [
      {
        file: JOURNAL,
        text: "this.#sql.exec('INSERT INTO staged (lane, slice, body) VALUES (?, ?, ?)', append.lane, slice, body);",
        instead: 'void [slice, body];\n      this.#accept({ ...append, cursorAfter: append.cursorBefore });',
      },
    ],
  },
  {
    name: 'page of several slices not stored',
    breaks: DOUBLED,
    caughtBy: schedules({ from: 31, seeds: 60 }),
    edits: [
      {
        file: 'src/engine/follow/tail.ts',
        text: 'if (!this.#source.resumable && pending.page.changes.length > 0) {',
        instead: 'if (pending.page.changes.length < 0) {',
      },
    ],
  },
  {
    name: 'flush without the check for later files',
    breaks: DOUBLED,
    caughtBy: schedules({ from: 240, seeds: 100 }),
    edits: [LATER_FILES_UNCHECKED],
  },
  {
    name: 'sync time in the database not continued from',
    breaks: DURABLE,
    caughtBy: schedules({ from: 2_660, seeds: 100 }),
    edits: [SYNC_TIME_UNCHECKED],
  },
  {
    name: 'superseded change not counted',
    breaks: LOST,
    caughtBy: schedules(),
    edits: [
      {
        file: JOURNAL,
        text: "countOutcome(this.#sql, 'skipped:superseded', superseded);",
        instead: '',
      },
    ],
  },
];
