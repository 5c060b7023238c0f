import { ALIVE, ANSWERS_TO_NOBODY, audited, type Broken, DOUBLED, inScene, LOST, PAUSED } from './broken-form.ts';

const AUDIT = 'src/engine/audit/audit.ts';
const SWEEP = 'src/engine/audit/sweeper.ts';
const SWEEPS = 'src/engine/journal/sweeps.ts';
const KEYS = 'src/engine/journal/key-index.ts';
const CHECK = 'src/engine/audit/self-check.ts';

const REPORTED = 'only what is missing or extra on both sides is reported';
const SEEN = 'a self-check sees what is damaged';

/** Mistakes with sweeps and self-checks. */
export const BROKEN_AUDIT: Broken[] = [
  inScene('a sweep while a page is at hand', 'missing without a second look', REPORTED, {
    file: SWEEPS,
    text: "const isSame = lsn === difference.lsn && (state === 'missing' || state === 'deleted');",
    instead: 'const isSame = lsn >= 0;',
  }),
  inScene('a listing that leaves a key out', 'extra without a second look', REPORTED, {
    file: SWEEPS,
    text: 'if (!isSame || listed.has(difference.key)) this.#drop(difference);',
    instead: 'if (!isSame) this.#drop(difference);',
  }),
  inScene('a sweep while a page is at hand', 'extra though its row is another by now', REPORTED, {
    file: SWEEPS,
    text: "const isSame = state === 'present' && lsn === difference.lsn;",
    instead: 'const isSame = lsn >= 0 || state;',
  }),
  audited('sweep that does not hear what the feed shows', REPORTED, {
    file: 'src/engine/follow/tail.ts',
    text: 'this.#options.onPulled(page.changes.map(({ key }) => key));',
    instead: '',
  }),
  audited('sweep that does not wait for a pull after its listing', REPORTED, {
    file: SWEEP,
    text: 'if (head_poll === null || head_poll < sweep.first_poll!) return false;',
    instead: 'if (head_poll === null) return false;',
  }),
  inScene('a missed key that the feed shows after all', 'missed change of a key that came in meanwhile', DOUBLED, {
    file: SWEEPS,
    text: 'if (state === kind && lsn === lsnBefore) {',
    instead: 'if (state || lsn === lsnBefore) {',
  }),
  {
    name: 'page of a listing counted twice',
    breaks: DOUBLED,
    firstSeed: 1,
    seeds: 5,
    scene: 'a listing that is answered late',
    edits: [
      {
        file: SWEEPS,
        text: "sweep.phase !== 'listing' || sweep.after !== before.after) return false;",
        instead: "sweep.phase !== 'listing') return false;",
      },
      ...ANSWERS_TO_NOBODY,
    ],
  },
  audited('sweep that begins anew after each kill', ALIVE, {
    file: AUDIT,
    text: 'this.#sweeps = new JournalSweep(sql, journal);',
    instead: `this.#sweeps = new JournalSweep(sql, journal);
    sql.exec("UPDATE sweeps SET after = NULL WHERE phase = 'listing'");`,
  }),
  inScene('a missed key that is gone when it is looked at', 'missed change that is gone looked at for ever', LOST, {
    file: 'src/engine/journal/rechecks.ts',
    text: 'if (isGone(outcome)) return',
    instead: 'if (isGone(outcome) && from_sweep === 2) return',
  }),
  audited('failed keys taken for missing ones', REPORTED, {
    file: KEYS,
    text: "deleted === 0 ? 'present' : failed === 1 ? 'failed' :",
    instead: "deleted === 0 ? 'present' : failed === 2 ? 'failed' :",
  }),
  audited('sample of one side', REPORTED, {
    file: SWEEPS,
    text: 'if (present === 1 && !listed.has(key) && isSampled(key, sweep.sample))',
    instead: 'if (present === 1 && !listed.has(key))',
  }),
  audited('capture rate without what failed', REPORTED, {
    file: AUDIT,
    text: 'wilson(hits, hits + failed + missing)',
    instead: 'wilson(hits, hits + missing)',
  }),
  audited('paused source that is swept', PAUSED, {
    file: AUDIT,
    text: 'work: async run => (paused ? undefined : this.#sweeper.work(run)),',
    instead: 'work: async run => this.#sweeper.work(run),',
  }),
  audited('self-check without the object', SEEN, {
    file: CHECK,
    text: "if (!head) return problem('object', `${file.bytes} bytes`, 'nothing');",
    instead: 'if (!head) return [];',
  }),
  audited('self-check without the size', SEEN, {
    file: CHECK,
    text: 'if (head.bytes !== file.bytes) return',
    instead: 'if (head.bytes < 0) return',
  }),
  audited('self-check without the digest', SEEN, {
    file: CHECK,
    text: 'if (head.metadata.digest !== file.digest)',
    instead: "if (head.metadata.digest === '')",
  }),
  audited('self-check without the footer', SEEN, {
    file: CHECK,
    text: "return actual === expected ? [] : problem('footer', expected, actual);",
    instead: "return actual ? [] : problem('footer', expected, actual);",
  }),
  audited('self-check that ends before its last file', SEEN, {
    file: 'src/engine/journal/problems.ts',
    text: 'const isLast = results.length < LIMITS.selfCheckFilesAtOnce;',
    instead: 'const isLast = results.length <= LIMITS.selfCheckFilesAtOnce;',
  }),
  audited('damage that stays noted', SEEN, {
    file: AUDIT,
    text: 'work: run => check.recheckDamage(run) },',
    instead: 'work: async () => undefined },',
  }),
];
