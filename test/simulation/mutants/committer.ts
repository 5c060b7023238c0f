import { ALIVE, commitSchedules, LIMITED, type Mutant, ONCE } from './mutant.ts';

const TABLE = 'src/iceberg/committer/table-committer.ts';
const COPY = 'src/iceberg/committer/copies.ts';
const APPEND = 'src/iceberg/append/append.ts';
const RUN = 'src/alarm/run.ts';
const LOOP = 'src/alarm/alarm-loop.ts';
const OPEN = 'src/iceberg/rest/open-table.ts';
const COMMITTER = 'src/iceberg/committer/committer.ts';

/** Removes the last check that files continue the table, because with it an earlier mistake only causes a delay. */
const UNCHECKED_FILES = {
  file: APPEND,
  text: "  if (files.length === 0) throw broken('at least one', 'none');",
  instead: '  if (files.length > 0) return;',
};

/** Mutants of the Iceberg committer. */
export const COMMITTER_MUTANTS: Mutant[] = [
  {
    name: 'a commit succeeds on any base',
    breaks: ONCE,
    caughtBy: commitSchedules({ from: 56 }),
    edits: [
      {
        file: APPEND,
        text: "{ type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': parentId },",
        instead: '...(parentId === undefined ? [{}] : []),',
      },
    ],
  },
  {
    name: 'the property is not part of the commit',
    breaks: ONCE,
    caughtBy: commitSchedules(),
    edits: [
      {
        file: APPEND,
        text: "{ action: 'set-properties', updates: { [COMMITTED_LSN]: String(lastLsn) } },",
        instead: "{ action: 'set-properties', updates: {} },",
      },
    ],
  },
  {
    name: 'a commit without an answer counts as committed',
    breaks: ONCE,
    caughtBy: commitSchedules(),
    edits: [
      {
        file: TABLE,
        text: "if (error instanceof CatalogError && error.kind === 'refused') this.#state.setAttempt(name, null);",
        instead: `if (error instanceof CatalogError && error.outcomeUnknown)
        this.#state.recordTable(name, {
          location: this.#state.table(name).location!,
          committedLsn: attempt.committedLsn,
          attempt: null,
          lastCommit: null,
        });`,
      },
    ],
  },
  {
    name: 'a commit without an answer counts as failed',
    breaks: ONCE,
    caughtBy: commitSchedules(),
    edits: [
      {
        file: TABLE,
        text: "if (error instanceof CatalogError && error.kind === 'refused') this.#state.setAttempt(name, null);",
        instead: 'this.#state.setAttempt(name, null);',
      },
    ],
  },
  {
    name: 'an attempt is not stored before it is sent',
    breaks: ONCE,
    caughtBy: commitSchedules(),
    edits: [{ file: TABLE, text: '    this.#state.setAttempt(name, attempt);\n', instead: '' }],
  },
  {
    name: 'an attempt is sent again on another base',
    breaks: ONCE,
    caughtBy: commitSchedules({ from: 7 }),
    edits: [{ file: TABLE, text: '!isCommitted && isBase(attempt, metadata);', instead: '!isCommitted;' }],
  },
  {
    name: 'a snapshot id is used twice',
    breaks: ONCE,
    caughtBy: commitSchedules(),
    edits: [
      {
        file: TABLE,
        text: 'const snapshotId = this.#ports.newSnapshotId();',
        instead: 'const snapshotId = BigInt(1_000 + committedLsn(metadata));',
      },
    ],
  },
  {
    name: 'the stored LSN counts, not the property',
    breaks: ONCE,
    caughtBy: commitSchedules(),
    edits: [
      {
        file: TABLE,
        text: '    const committed = committedLsn(metadata);\n    const attempt',
        instead:
          '    const committed = this.#state.table(name).committed_lsn ?? committedLsn(metadata);\n    const attempt',
      },
    ],
  },
  {
    name: 'files are committed that leave a gap',
    breaks: ONCE,
    caughtBy: commitSchedules(),
    edits: [
      {
        file: COPY,
        text: 'for (let file = waiting.get(committedLsn + 1); file; file = waiting.get(file.last_lsn + 1)) next.push(file);',
        instead: 'next.push(...listed);',
      },
      UNCHECKED_FILES,
    ],
  },
  {
    name: 'a committed file is committed again',
    breaks: ONCE,
    caughtBy: commitSchedules(),
    edits: [
      { file: COPY, text: 'if (file.first_lsn > committedLsn) waiting.set', instead: 'waiting.set' },
      {
        file: COPY,
        text: 'for (let file = waiting.get(committedLsn + 1); file; file = waiting.get(file.last_lsn + 1)) next.push(file);',
        instead: 'next.push(...[...waiting.values()].sort((a, b) => a.first_lsn - b.first_lsn));',
      },
      {
        file: TABLE,
        text: 'const query = { table: name, after: committed,',
        instead: 'const query = { table: name, after: 0,',
      },
      {
        file: 'src/iceberg/committer/state.ts',
        text: "      this.#sql.exec('DELETE FROM waiting WHERE table_name = ? AND first_lsn <= ?', name, committedLsn);\n",
        instead: '',
      },
      UNCHECKED_FILES,
    ],
  },
  {
    name: 'a file is committed before its copy exists',
    breaks: ONCE,
    caughtBy: commitSchedules(),
    edits: [
      {
        file: COPY,
        text: "  const copied = await run.call(() => bucket.copy(file, key, { metadata }), { ...CALL, subject: 'copy of a file' });",
        instead: `  const copied: string = 'copied';
  void bucket.copy(file, key, { metadata }).catch(() => undefined);
  if (copied) return;`,
      },
      {
        file: COPY,
        text: 'const end = await run.call(() => bucket.tail(key, bytes),',
        instead: 'const end = await run.call(() => bucket.tail(file.key, bytes),',
      },
    ],
  },
  {
    name: 'a column of another program stalls its table',
    breaks: ALIVE,
    caughtBy: commitSchedules(),
    edits: [
      {
        file: 'src/iceberg/format/table-metadata.ts',
        text: '.find(({ required }) => required);',
        instead: '.find(({ id }) => id > 0);',
      },
    ],
  },
  {
    name: 'a table that was rolled back gets the next rows',
    breaks: ONCE,
    caughtBy: commitSchedules(),
    edits: [{ file: TABLE, text: '      checkHistory(this.table, metadata);\n', instead: '' }],
  },
  {
    name: 'a compaction hides that a table was rolled back',
    breaks: ONCE,
    caughtBy: commitSchedules(),
    edits: [
      {
        file: OPEN,
        text: 'isHistoryCut(opened) ? await loadHistory(catalog, table) : opened;',
        instead: 'isHistoryCut(opened) && catalog === null ? await loadHistory(catalog, table) : opened;',
      },
    ],
  },
  {
    name: 'rows that are committed again share copies with snapshots that expire',
    breaks: ONCE,
    caughtBy: commitSchedules(),
    edits: [{ file: TABLE, text: 'firstLsn <= committedAgain.toLsn ?', instead: 'firstLsn < 0 ?' }],
  },
  {
    name: 'writes to the catalog are not recorded',
    breaks: LIMITED,
    caughtBy: commitSchedules(),
    edits: [
      {
        file: 'src/iceberg/committer/rate-limit.ts',
        text: '  state.addWrite({ at_ms: nowMs, operation: write.operation, table_name: write.table });\n',
        instead: '',
      },
    ],
  },
  {
    name: 'Retry-After is ignored',
    breaks: LIMITED,
    caughtBy: commitSchedules(),
    edits: [
      { file: COMMITTER, text: '      this.state.setHeldUntilMs(nowMs + heldMs);\n', instead: '      void heldMs;\n' },
      {
        file: 'src/iceberg/committer/policy.ts',
        text: 'Math.max(ownMs, Math.min(retryAfterMs ?? 0, LIMITS.retryAfterMsMax));',
        instead: 'ownMs + 0 * (retryAfterMs ?? 0);',
      },
    ],
  },
  {
    name: 'a run does not set an alarm for its own death',
    breaks: ALIVE,
    caughtBy: commitSchedules({ from: 3 }),
    edits: [
      {
        file: RUN,
        text: "    await this.#clock.within(this.#wake.set(this.#armedMs), LIMITS.alarmCallMsMax, 'alarm of the run');\n",
        instead: '    void this.#wake;\n    await this.#clock.turn();\n',
      },
    ],
  },
  {
    name: 'a run sets no alarm when it ends',
    breaks: ALIVE,
    caughtBy: commitSchedules(),
    edits: [
      {
        file: LOOP,
        text: "      await clock.within(wake.set(nextMs), LIMITS.alarmCallMsMax, 'alarm after the run');\n",
        instead: '      await clock.within(wake.set(null), LIMITS.alarmCallMsMax, `none but ${nextMs}`);\n',
      },
    ],
  },
  {
    name: 'a stalled table is not probed',
    breaks: ALIVE,
    caughtBy: commitSchedules({ from: 3 }),
    edits: [
      {
        file: 'src/iceberg/committer/policy.ts',
        text: 'const ownMs = stalls ? LIMITS.probeMs : ownWaitMs(',
        instead: 'const ownMs = stalls ? 1e12 : ownWaitMs(',
      },
      { file: COMMITTER, text: 'LIMITS.probeMs });', instead: '1e12 });' },
    ],
  },
];
