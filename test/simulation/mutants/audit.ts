import {
  ALIVE,
  ANSWERS_TO_ABANDONED_RUNS,
  auditedSchedules,
  DOUBLED,
  LOST,
  type Mutant,
  PAUSED,
  scene,
} from './mutant.ts';

const AUDIT = 'src/engine/audit/audit.ts';
const SWEEP = 'src/engine/audit/sweeper.ts';
const SWEEPS = 'src/engine/journal/sweeps.ts';
const KEYS = 'src/engine/journal/key-index.ts';
const CHECK = 'src/engine/audit/self-check.ts';

const REPORTED = 'a sweep reports a key only when it is missing or extra at two checks';
const SEEN = 'a self-check finds each damaged file';

/** Mutants of sweeps and self-checks. */
export const AUDIT_MUTANTS: Mutant[] = [
  {
    name: 'missing key reported without a second check',
    breaks: REPORTED,
    caughtBy: scene('a sweep while a page is pending'),
    edits: [
      {
        file: SWEEPS,
        text: 'const isSame = stillDiffers(difference, state);',
        instead: 'const isSame = stillDiffers(difference, state) || difference.lsn >= 0;',
      },
    ],
  },
  {
    name: 'extra key reported without a second check',
    breaks: REPORTED,
    caughtBy: scene('a listing that leaves a key out'),
    edits: [
      {
        file: SWEEPS,
        text: 'if (!isSame || listed.has(difference.key)) this.differences.drop(difference);',
        instead: 'if (!isSame) this.differences.drop(difference);',
      },
    ],
  },
  {
    name: 'extra key reported though its row changed',
    breaks: REPORTED,
    caughtBy: scene('a sweep while a page is pending'),
    edits: [
      {
        file: SWEEPS,
        text: 'const isSame = stillDiffers(difference, states.get(difference.key)!);',
        instead: 'const isSame = difference.lsn >= 0 || states;',
      },
    ],
  },
  {
    name: 'sweep ignores what the feed shows',
    breaks: REPORTED,
    caughtBy: auditedSchedules(),
    edits: [
      {
        file: 'src/engine/follow/tail.ts',
        text: 'this.#options.onPulled(page.changes.map(({ key }) => key));',
        instead: '',
      },
    ],
  },
  {
    name: 'sweep does not wait for a pull after its listing',
    breaks: REPORTED,
    caughtBy: auditedSchedules(),
    edits: [
      {
        file: SWEEP,
        text: 'if (head_poll === null || head_poll < sweep.first_poll!) return false;',
        instead: 'if (head_poll === null) return false;',
      },
    ],
  },
  {
    name: 'change of a sweep accepted though its key got a row meanwhile',
    breaks: DOUBLED,
    caughtBy: scene('a missing key that the feed shows later'),
    edits: [
      {
        file: SWEEPS,
        text: 'if (stillDiffers(difference, state) && !state.isParked) {',
        instead: 'if (stillDiffers(difference, state) || !state.isParked) {',
      },
    ],
  },
  {
    name: 'page of a listing counted twice',
    breaks: DOUBLED,
    caughtBy: scene('a listing that is answered late'),
    edits: [
      {
        file: SWEEPS,
        text: "sweep.phase !== 'listing' || sweep.after !== before.after) return false;",
        instead: "sweep.phase !== 'listing') return false;",
      },
      ...ANSWERS_TO_ABANDONED_RUNS,
    ],
  },
  {
    name: 'sweep restarts after each kill',
    breaks: ALIVE,
    caughtBy: auditedSchedules(),
    edits: [
      {
        file: AUDIT,
        text: 'this.#sweeps = new JournalSweep(sql, journal);',
        instead: `this.#sweeps = new JournalSweep(sql, journal);
    sql.exec("UPDATE sweeps SET after = NULL WHERE phase = 'listing'");`,
      },
    ],
  },
  {
    name: 'change of a sweep for a deleted key retried for ever',
    breaks: LOST,
    caughtBy: scene('a missing key that is deleted before its attempt'),
    edits: [
      {
        file: 'src/engine/journal/rechecks.ts',
        text: 'if (isGone(outcome)) return',
        instead: 'if (isGone(outcome) && from_sweep === 2) return',
      },
    ],
  },
  {
    name: 'failed keys counted as missing',
    breaks: REPORTED,
    caughtBy: auditedSchedules(),
    edits: [
      {
        file: KEYS,
        text: "deleted === 0 ? 'present' : failed === 1 ? 'failed' :",
        instead: "deleted === 0 ? 'present' : failed === 2 ? 'failed' :",
      },
    ],
  },
  {
    name: 'sample of the listed keys only',
    breaks: REPORTED,
    caughtBy: auditedSchedules({ from: 48 }),
    edits: [
      {
        file: SWEEPS,
        text: 'if (present === 1 && !listed.has(key) && isSampled(key, sweep.sample))',
        instead: 'if (present === 1 && !listed.has(key))',
      },
    ],
  },
  {
    name: 'capture rate without failed keys',
    breaks: REPORTED,
    caughtBy: auditedSchedules(),
    edits: [
      {
        file: AUDIT,
        text: 'wilson(hits, hits + failed + missing)',
        instead: 'wilson(hits, hits + missing)',
      },
    ],
  },
  {
    name: 'paused source is swept',
    breaks: PAUSED,
    caughtBy: auditedSchedules(),
    edits: [
      {
        file: AUDIT,
        text: 'work: async run => (paused ? undefined : this.#sweeper.work(run)),',
        instead: 'work: async run => this.#sweeper.work(run),',
      },
    ],
  },
  {
    name: 'self-check ignores a missing object',
    breaks: SEEN,
    caughtBy: auditedSchedules(),
    edits: [
      {
        file: CHECK,
        text: "if (!head) return problem('object', `${file.bytes} bytes`, 'nothing');",
        instead: 'if (!head) return [];',
      },
    ],
  },
  {
    name: 'self-check ignores the size',
    breaks: SEEN,
    caughtBy: auditedSchedules({ from: 5 }),
    edits: [
      {
        file: CHECK,
        text: 'if (head.bytes !== file.bytes) return',
        instead: 'if (head.bytes < 0) return',
      },
    ],
  },
  {
    name: 'self-check ignores the digest',
    breaks: SEEN,
    caughtBy: auditedSchedules({ from: 12 }),
    edits: [
      {
        file: CHECK,
        text: 'if (head.metadata.digest !== file.digest)',
        instead: "if (head.metadata.digest === '')",
      },
    ],
  },
  {
    name: 'self-check ignores the MD5',
    breaks: SEEN,
    caughtBy: auditedSchedules(),
    edits: [
      {
        file: CHECK,
        text: 'if (hasOtherBytes(file, head)) return',
        instead: 'if (head.bytes < 0 && hasOtherBytes(file, head)) return',
      },
    ],
  },
  {
    name: 'self-check ignores the footer',
    breaks: SEEN,
    caughtBy: auditedSchedules({ from: 11 }),
    edits: [
      {
        file: CHECK,
        text: "return actual === expected ? [] : problem('footer', expected, actual);",
        instead: "return actual ? [] : problem('footer', expected, actual);",
      },
    ],
  },
  {
    name: 'self-check ends before its last file',
    breaks: SEEN,
    caughtBy: auditedSchedules(),
    edits: [
      {
        file: 'src/engine/journal/problems.ts',
        text: 'const isLast = results.length < LIMITS.selfCheckFilesAtOnce;',
        instead: 'const isLast = results.length <= LIMITS.selfCheckFilesAtOnce;',
      },
    ],
  },
  {
    name: 'repaired file still reported as damaged',
    breaks: SEEN,
    caughtBy: auditedSchedules(),
    edits: [
      {
        file: AUDIT,
        text: 'work: run => check.recheckDamage(run) },',
        instead: 'work: async () => undefined },',
      },
    ],
  },
];
