import { DOUBLED, DURABLE, LOST, type Mutant, NEWEST, schedules } from './mutant.ts';

const JOURNAL = 'src/engine/journal/journal.ts';
const RANGES = 'src/engine/follow/ranges.ts';
const CONTROLS = 'src/engine/controls/ranges.ts';
const PUSHES = 'src/engine/journal/pushes.ts';
const PUSH = 'src/engine/controls/push.ts';

const CANCELLED = 'a cancelled range appends nothing more';

const IS_CURRENT = 'return now?.run === run && now.cursor === cursor && now.phase === phase;';

/** Mutants of ranges and pushes. */
export const RANGE_AND_PUSH_MUTANTS: Mutant[] = [
  {
    name: 'range append without its cursor check',
    breaks: CANCELLED,
    caughtBy: schedules({ from: 330 }),
    edits: [{ file: RANGES, text: IS_CURRENT, instead: 'return now !== null;' }],
  },
  {
    name: 'range append in any phase',
    breaks: CANCELLED,
    caughtBy: schedules({ from: 338, seeds: 60 }),
    edits: [
      {
        file: RANGES,
        text: IS_CURRENT,
        instead: 'return now?.run === run && now.cursor === cursor;',
      },
    ],
  },
  {
    name: 'range holds the durable cursor back',
    breaks: DURABLE,
    caughtBy: schedules({ from: 12 }),
    edits: [
      {
        file: JOURNAL,
        text: 'this.#acceptChanges(accepted, { ...facts, cursorBefore: null, cursorAfter });',
        instead: `const range = this.ranges.find('backfill') ?? this.ranges.find('rewind');
    this.#acceptChanges(accepted, { ...facts, cursorBefore: range?.cursor ?? null, cursorAfter });`,
      },
    ],
  },
  {
    name: 'range ends before its last change',
    breaks: LOST,
    caughtBy: schedules({ from: 8 }),
    edits: [
      {
        file: RANGES,
        text: 'const isIn = (cursor: string) => source.compare(cursor, range.to_cursor) <= 0;',
        instead: 'const isIn = (cursor: string) => source.compare(cursor, range.to_cursor) < 0;',
      },
    ],
  },
  {
    name: 'range skips changes it has not loaded',
    breaks: LOST,
    caughtBy: schedules({ from: 69, seeds: 60 }),
    edits: [
      {
        file: RANGES,
        text: 'const cursor = isEnd ? page.cursor : (accepted.at(-1)?.change.cursor ?? range.cursor);',
        instead: 'const cursor = page.cursor;',
      },
    ],
  },
  {
    name: 'range rows without their run',
    breaks: DOUBLED,
    caughtBy: schedules(),
    edits: [
      {
        file: JOURNAL,
        text: 'const cursor = ctx.run === null ? change.cursor : `${change.cursor}#${ctx.run}`;',
        instead: 'const cursor = change.cursor;',
      },
    ],
  },
  {
    name: 'range never resumes',
    breaks: 'the loop cannot die',
    caughtBy: schedules({ from: 12 }),
    edits: [
      {
        file: CONTROLS,
        text: '{ pause: { paused: 1 }, resume: { paused: 0 },',
        instead: '{ pause: { paused: 1 }, resume: { paused: 1 },',
      },
    ],
  },
  {
    name: 'push without line marks',
    breaks: DOUBLED,
    caughtBy: schedules(),
    edits: [{ file: JOURNAL, text: 'this.pushes.mark(identity, unmarked);', instead: '' }],
  },
  {
    name: 'push drops new lines that come with known ones',
    breaks: LOST,
    caughtBy: schedules({ from: 4 }),
    edits: [
      {
        file: JOURNAL,
        text: '      if (accepted.length === 0) return 0;',
        instead: '      if (accepted.length === 0 || accepted.length < lines.length) return 0;',
      },
    ],
  },
  {
    name: 'push forgets the earlier marks of a block',
    breaks: DOUBLED,
    caughtBy: schedules({ from: 4 }),
    edits: [
      {
        file: PUSHES,
        text: 'const marks = this.#block(identity, block) ?? new Uint8Array(BLOCK_LINES / 8);',
        instead: 'const marks = new Uint8Array(BLOCK_LINES / 8);',
      },
    ],
  },
  {
    name: 'push supersedes parked changes',
    breaks: NEWEST,
    caughtBy: schedules(),
    edits: [
      {
        file: JOURNAL,
        text: 'if (!isPush) {',
        instead: '{',
      },
    ],
  },
  {
    name: 'push before the lake is checked',
    breaks: 'the loop cannot die',
    caughtBy: schedules({ from: 175, seeds: 60 }),
    edits: [
      {
        file: PUSH,
        text: 'await engine.checkLake();',
        instead: '',
      },
    ],
  },
];
