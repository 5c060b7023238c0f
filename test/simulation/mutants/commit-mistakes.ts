import type { Mistake } from './edits.ts';

const TABLE = 'src/iceberg/committer/table-committer.ts';
const COPY = 'src/iceberg/committer/copies.ts';
const APPEND = 'src/iceberg/append/append.ts';
const RUN = 'src/alarm/run.ts';
const LOOP = 'src/alarm/alarm-loop.ts';
const COMMITTER = 'src/iceberg/committer/committer.ts';

/** What keeps a plan from naming files that do not come next: with it, a mistake before it is only seen as a delay. */
const RUN_UNCHECKED = {
  file: APPEND,
  text: "  if (files.length === 0) throw broken('at least one', 'none');",
  instead: '  if (files.length > 0) return;',
};

/** Mistakes the committer could have: each breaks one rule of it. */
export const COMMIT_MISTAKES: Mistake[] = [
  {
    name: 'a commit holds on any base',
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
    edits: [
      {
        file: APPEND,
        text: "{ action: 'set-properties', updates: { [COMMITTED_LSN]: String(lastLsn) } },",
        instead: "{ action: 'set-properties', updates: {} },",
      },
    ],
  },
  {
    name: 'a commit without an answer is taken for done',
    edits: [
      {
        file: TABLE,
        text: "if (error instanceof CatalogError && error.kind === 'refused') this.#state.setAttempt(name, null);",
        instead: `if (error instanceof CatalogError && error.outcomeUnknown)
        this.#state.found(name, {
          location: this.#state.table(name).location!,
          ...{ committedLsn: attempt.committedLsn, attempt: null, lastCommit: null },
        });`,
      },
    ],
  },
  {
    name: 'a commit without an answer is taken for failed',
    edits: [
      {
        file: TABLE,
        text: "if (error instanceof CatalogError && error.kind === 'refused') this.#state.setAttempt(name, null);",
        instead: 'this.#state.setAttempt(name, null);',
      },
    ],
  },
  {
    name: 'an attempt is not written down before it is sent',
    edits: [{ file: TABLE, text: '    this.#state.setAttempt(name, attempt);\n', instead: '' }],
  },
  {
    name: 'an attempt is sent again on another base',
    edits: [{ file: TABLE, text: '!isCommitted && isBase(attempt, metadata);', instead: '!isCommitted;' }],
  },
  {
    name: 'a snapshot’s id is used again',
    edits: [
      {
        file: TABLE,
        text: 'const snapshotId = this.#ports.newSnapshotId();',
        instead: 'const snapshotId = BigInt(1_000 + committedLsn(metadata));',
      },
    ],
  },
  {
    name: 'what is remembered counts, not the property',
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
    name: 'files are committed that do not come next',
    edits: [
      {
        file: COPY,
        text: 'for (let next = waiting.get(committedLsn + 1); next; next = waiting.get(next.last_lsn + 1)) run.push(next);',
        instead: 'for (const file of offered) run.push(file);',
      },
      RUN_UNCHECKED,
    ],
  },
  {
    name: 'a file that is already committed is committed again',
    edits: [
      { file: COPY, text: 'if (file.first_lsn > committedLsn) waiting.set', instead: 'waiting.set' },
      {
        file: COPY,
        text: 'for (let next = waiting.get(committedLsn + 1); next; next = waiting.get(next.last_lsn + 1)) run.push(next);',
        instead: 'run.push(...[...waiting.values()].sort((a, b) => a.first_lsn - b.first_lsn));',
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
      RUN_UNCHECKED,
    ],
  },
  {
    name: 'a file is committed before its copy lies there',
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
    name: 'what was asked of the catalog is forgotten',
    edits: [
      {
        file: 'src/iceberg/committer/rate-limit.ts',
        text: '  state.noteWrite({ at_ms: nowMs, operation: change.operation, table_name: change.table });\n',
        instead: '',
      },
    ],
  },
  {
    name: 'Retry-After is not heeded',
    edits: [
      { file: COMMITTER, text: '      this.state.hold(nowMs + heldMs);\n', instead: '      void heldMs;\n' },
      {
        file: 'src/iceberg/committer/policy.ts',
        text: 'Math.max(ownMs, Math.min(retryAfterMs ?? 0, LIMITS.retryAfterMsMax));',
        instead: 'ownMs + 0 * (retryAfterMs ?? 0);',
      },
    ],
  },
  {
    name: 'no alarm stands in for a run that dies',
    edits: [
      {
        file: RUN,
        text: "    await this.#clock.within(this.#wake.set(this.#armedMs), LIMITS.alarmCallMsMax, 'alarm of the run');\n",
        instead: '    void this.#wake;\n    await this.#clock.turn();\n',
      },
    ],
  },
  {
    name: 'a run that ended sets no alarm',
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
    edits: [
      {
        file: 'src/iceberg/committer/policy.ts',
        text: 'const ownMs = stalls ? LIMITS.probeMs : backoffMs(failures);',
        instead: 'const ownMs = stalls ? 1e12 : backoffMs(failures);',
      },
      { file: COMMITTER, text: 'LIMITS.probeMs });', instead: '1e12 });' },
    ],
  },
];
