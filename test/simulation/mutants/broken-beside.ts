import { type Broken, DOUBLED, DURABLE, LOST, NEWEST, one } from './broken-form.ts';

const JOURNAL = 'src/engine/journal/journal.ts';
const RANGES = 'src/engine/follow/ranges.ts';
const CONTROLS = 'src/engine/controls/ranges.ts';
const PUSHES = 'src/engine/journal/pushes.ts';
const PUSH = 'src/engine/controls/push.ts';

const CANCELLED = 'a cancelled range ends where it stands';

const STANDS = 'return now?.run === run && now.cursor === cursor && now.phase === phase;';

/** Mistakes with what comes in beside the tail: ranges and pushes. */
export const BROKEN_BESIDE: Broken[] = [
  one('range that stands nowhere', CANCELLED, { file: RANGES, text: STANDS, instead: 'return now !== null;' }),
  one(
    'range that goes on after its end',
    CANCELLED,
    {
      file: RANGES,
      text: STANDS,
      instead: 'return now?.run === run && now.cursor === cursor;',
    },
    60,
    321,
  ),
  one('range that holds the durable cursor', DURABLE, {
    file: JOURNAL,
    text: 'this.#acceptChanges(accepted, { ...facts, cursorBefore: null, cursorAfter });',
    instead: `const range = this.ranges.find('backfill') ?? this.ranges.find('rewind');
    this.#acceptChanges(accepted, { ...facts, cursorBefore: range?.cursor ?? null, cursorAfter });`,
  }),
  one('range that ends before its last change', LOST, {
    file: RANGES,
    text: 'const isIn = (cursor: string) => source.compare(cursor, range.to_cursor) <= 0;',
    instead: 'const isIn = (cursor: string) => source.compare(cursor, range.to_cursor) < 0;',
  }),
  one(
    'range that skips what waits',
    LOST,
    {
      file: RANGES,
      text: 'const cursor = isEnd ? page.cursor : (accepted.at(-1)?.change.cursor ?? range.cursor);',
      instead: 'const cursor = page.cursor;',
    },
    60,
    61,
  ),
  one('range rows without their run', DOUBLED, {
    file: JOURNAL,
    text: 'const cursor = ctx.run === null ? change.cursor : `${change.cursor}#${ctx.run}`;',
    instead: 'const cursor = change.cursor;',
  }),
  one('range that never resumes', 'the loop cannot die', {
    file: CONTROLS,
    text: '{ pause: { paused: 1 }, resume: { paused: 0 },',
    instead: '{ pause: { paused: 1 }, resume: { paused: 1 },',
  }),
  one('push without marks', DOUBLED, { file: JOURNAL, text: 'this.pushes.mark(identity, unmarked);', instead: '' }),
  one('push that marks before its rows', LOST, {
    file: JOURNAL,
    text: '      if (accepted.length === 0) return 0;',
    instead: '      if (accepted.length === 0 || accepted.length < lines.length) return 0;',
  }),
  one('push whose marks of a block are not kept', DOUBLED, {
    file: PUSHES,
    text: 'const marks = this.#block(identity, block) ?? new Uint8Array(BLOCK_LINES / 8);',
    instead: 'const marks = new Uint8Array(BLOCK_LINES / 8);',
  }),
  one('push that supersedes', NEWEST, {
    file: JOURNAL,
    text: "if (facts.runType !== 'push') {",
    instead: '{',
  }),
  one(
    'push before a look at the lake',
    'the loop cannot die',
    {
      file: PUSH,
      text: 'await engine.checkLake();',
      instead: '',
    },
    60,
    171,
  ),
];
