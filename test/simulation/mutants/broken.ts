import { BROKEN_AGENDA } from './broken-agenda.ts';
import { BROKEN_AUDIT } from './broken-audit.ts';
import { BROKEN_BESIDE } from './broken-beside.ts';
import { BROKEN_FAILURES } from './broken-failures.ts';
import {
  ALIVE,
  ANSWERS_TO_NOBODY,
  type Broken,
  CALLS_WITHOUT_END,
  DOUBLED,
  DURABLE,
  LOST,
  NEWEST,
  one,
  PAUSED,
  SAME,
} from './broken-form.ts';
import { BROKEN_LATE } from './broken-late.ts';

const JOURNAL = 'src/engine/journal/journal.ts';
const FILES = 'src/engine/journal/files.ts';
const FLUSH = 'src/engine/flush/flush.ts';
const ENGINE = 'src/engine/engine.ts';
const LOOP = 'src/alarm/alarm-loop.ts';
const RUN = 'src/alarm/run.ts';

const FORMER_STAMP = {
  file: 'src/engine/publish/database.ts',
  text: 'if (cursor !== null && stands !== iso(stampMs)) {',
  instead: 'if (false) {',
};

const NO_LATER_FILES = { file: FLUSH, text: 'await checkLaterFiles({ ports, files, table });', instead: '' };

export const BROKEN: Broken[] = [
  {
    name: 'append without the cursor check',
    breaks: DOUBLED,
    firstSeed: 1,
    seeds: 300,
    edits: [
      {
        file: JOURNAL,
        text: 'if (this.state.lane(append.lane).cursor !== append.cursorBefore) return false;\n      this.#accept(append);',
        instead: 'this.#accept(append);',
      },
      ...ANSWERS_TO_NOBODY,
    ],
  },
  one('settled before its put', LOST, {
    file: FLUSH,
    text: `  const head = await put({ ports, intent, chunks });
  return files.settle({ intent, head, startedMs, nowMs: ports.clock.now() });`,
    instead: `  const head = { key: intent.key, bytes: 0, etag: '', metadata: {} };
  const file = files.settle({ intent, head, startedMs, nowMs: ports.clock.now() });
  await put({ ports, intent, chunks });
  return file;`,
  }),
  one('intent not written down', DOUBLED, {
    file: FILES,
    text: `      this.#sql.exec('UPDATE intents SET attempts = attempts + 1 WHERE table_name = ?', table.name);
      return this.intent(table.name)!;`,
    instead: `      this.#sql.exec('DELETE FROM intents WHERE table_name = ?', table.name);
      return { table_name: table.name, first_lsn: firstLsn, last_lsn: lastLsn, key, digest, attempts: 0, started_ms: nowMs };`,
  }),
  one('digest not compared', LOST, {
    file: FLUSH,
    text: 'if (head.metadata.digest !== intent.digest) {',
    instead: 'if (false) {',
  }),
  one('put over what stands there', SAME, { file: FLUSH, text: 'onlyIf: { absent: true },', instead: '' }),
  one('durable cursor of one table', DURABLE, {
    file: FILES,
    text: 'FROM entries WHERE cursor_before IS NOT NULL ORDER BY',
    instead: 'FROM entries WHERE cursor_before IS NOT NULL AND table_name = (SELECT min(name) FROM tables) ORDER BY',
  }),
  one('durable cursor is the accepted one', DURABLE, {
    file: FILES,
    text: 'return oldest ? oldest.cursor_before : this.#state.lane(TAIL).cursor;',
    instead: 'return oldest === null ? null : this.#state.lane(TAIL).cursor;',
  }),
  {
    name: 'lake not looked at',
    breaks: DOUBLED,
    firstSeed: 41,
    seeds: 200,
    edits: [
      { file: ENGINE, text: 'if (this.journal.state.source().lake_checked === 1) return;', instead: 'return;' },
      NO_LATER_FILES,
    ],
  },
  one(
    'raw document put over a newer one',
    NEWEST,
    {
      file: 'src/lake/newest.ts',
      text: "if (head !== null && isNewer(head, { fetchedAtMs, revision })) return 'newer-exists';",
      instead: '',
    },
    60,
    41,
  ),
  {
    name: 'run without an end',
    breaks: ALIVE,
    firstSeed: 1,
    seeds: 300,
    edits: [
      {
        file: LOOP,
        text: "await clock.within(work(run), LIMITS.runMsMax, 'run');",
        instead: 'await work(run);',
      },
      CALLS_WITHOUT_END,
    ],
  },
  one('nothing superseded', NEWEST, {
    file: JOURNAL,
    text: "const superseded = this.parked.takeOut(one.change.key, { status: 'superseded', nowMs });",
    instead: 'const superseded = 0;',
  }),
  one('stamps follow the clock', SAME, {
    file: JOURNAL,
    text: 'source.stamp_ms = Math.max(nowMs, source.stamp_ms);',
    instead: 'source.stamp_ms = nowMs;',
  }),
  one('months mixed in a file', SAME, {
    file: 'src/engine/flush/row-buffer.ts',
    text: 'return isSameMonth && rows',
    instead: 'return (isSameMonth || true) && rows',
  }),
  one('alarm not armed before the work', ALIVE, {
    file: RUN,
    text: "await this.#clock.within(this.#wake.set(this.#armedMs), LIMITS.alarmCallMsMax, 'alarm of the run');",
    instead: '',
  }),
  one('alarm not armed after the work', ALIVE, {
    file: LOOP,
    text: "await clock.within(wake.set(nextMs), LIMITS.alarmCallMsMax, 'alarm after the run');",
    instead: '',
  }),
  one('projection without its guard', DURABLE, {
    file: 'src/engine/publish/database.ts',
    text: 'WHERE excluded.last_sync_time > sync_state.last_sync_time`',
    instead: '`',
  }),
  one('journal keeps what is settled', DOUBLED, {
    file: FILES,
    text: "this.#sql.exec('DELETE FROM entries WHERE table_name = ? AND first_lsn >= ? AND last_lsn <= ?', ...range);",
    instead: 'void range;',
  }),
  one('lagging revision not looked at again', NEWEST, {
    file: JOURNAL,
    text: 'if (change.revision !== null && outcome.revision !== null && outcome.revision < change.revision) {',
    instead: 'if (change.revision === -1) {',
  }),
  one('staged slices let in one by one', DURABLE, {
    file: JOURNAL,
    text: "this.#sql.exec('INSERT INTO staged (lane, slice, body) VALUES (?, ?, ?)', append.lane, slice, body);",
    instead: 'void [slice, body];\n      this.#accept({ ...append, cursorAfter: append.cursorBefore });',
  }),
  one(
    'page of many slices not kept',
    DOUBLED,
    {
      file: 'src/engine/follow/tail.ts',
      text: 'if (!this.#source.resumable && pending.page.changes.length > 0) {',
      instead: 'if (pending.page.changes.length < 0) {',
    },
    60,
    26,
  ),
  one('flush without a look for later files', DOUBLED, NO_LATER_FILES, 100, 231),
  one('stamp of a former self not gone on from', DURABLE, FORMER_STAMP, 100, 171),
  {
    name: 'alarm without a deadline',
    breaks: ALIVE,
    firstSeed: 1,
    seeds: 300,
    edits: [
      {
        file: RUN,
        text: "await this.#clock.within(this.#wake.set(this.#armedMs), LIMITS.alarmCallMsMax, 'alarm of the run');",
        instead: 'await this.#wake.set(this.#armedMs);',
      },
      {
        file: LOOP,
        text: "await clock.within(wake.set(nextMs), LIMITS.alarmCallMsMax, 'alarm after the run');",
        instead: 'await wake.set(nextMs);',
      },
    ],
  },
  one('paused source follows', PAUSED, {
    file: ENGINE,
    text: 'if (!this.paused) {\n      // Check',
    instead: 'if (this.paused !== null) {\n      // Check',
  }),
  one('paused source keeps what it has', PAUSED, {
    file: ENGINE,
    text: 'await run.keepArmed();\n    for (const flusher of this.#flushers)',
    instead: 'await run.keepArmed();\n    if (this.paused) return;\n    for (const flusher of this.#flushers)',
  }),
  one('watchdog that starts but never wakes', ALIVE, {
    file: ENGINE,
    text: 'await this.#loop.watch();',
    instead: 'if (source.started === 0) await this.#loop.watch();',
  }),
  one('superseded and not counted', LOST, {
    file: JOURNAL,
    text: "countOutcome(this.#sql, 'skipped:superseded', superseded);",
    instead: '',
  }),
  ...BROKEN_FAILURES,
  ...BROKEN_BESIDE,
  ...BROKEN_LATE,
  ...BROKEN_AUDIT,
  ...BROKEN_AGENDA,
];
