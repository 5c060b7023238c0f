import { ALIVE, DOUBLED, LOST, type Mutant, NEWEST, scene } from './mutant.ts';

const LISTING = 'src/loader/listing.ts';
const SWEEPER = 'src/engine/audit/sweeper.ts';
const SWEEPS = 'src/engine/journal/sweeps.ts';
const JOURNAL = 'src/engine/journal/journal.ts';
const ROUND = 'src/engine/journal/round.ts';
const ENGINE = 'src/engine/engine.ts';
const RETRIES = 'src/engine/follow/retries.ts';

const ONE_LISTING = 'a sweep compares with one whole listing';
const EXTRA = 'a key that is not listed is extra only where its upstream does not have it';
const FACTS = "the newest row of a key has its facts, and facts end with the key's deletion row";

/** Mutants of sweeps over a listing in one answer, and of rounds. */
export const WHOLE_MUTANTS: Mutant[] = [
  {
    name: 'listing that breaks off counts',
    breaks: ONE_LISTING,
    caughtBy: scene('a listing that breaks off'),
    edits: [
      {
        file: LISTING,
        text: 'for await (const keys of listing.read(ctx))',
        instead: 'for await (const keys of untilBroken(listing.read(ctx)))',
      },
      {
        file: LISTING,
        text: 'async function packed(',
        instead: `async function* untilBroken<T>(parts: AsyncIterable<T>) {
  try {
    yield* parts;
  } catch {}
}

async function packed(`,
      },
    ],
  },
  {
    name: 'sweep goes on with another listing',
    breaks: ONE_LISTING,
    caughtBy: scene('a stored listing that is lost or replaced in its middle'),
    edits: [
      {
        file: LISTING,
        text: 'if (!stored || (listing !== null && stored.etag !== listing)) return null;',
        instead: 'if (!stored) return null;',
      },
    ],
  },
  {
    name: 'sweep that begins again keeps its counts',
    breaks: ONE_LISTING,
    caughtBy: scene('a stored listing that is lost or replaced in its middle'),
    edits: [
      {
        file: SWEEPS,
        text: 'this.#save({ ...sweep, ...counts, after: null,',
        instead: 'this.#save({ ...counts, ...sweep, after: null,',
      },
    ],
  },
  {
    name: 'stored listing left behind',
    breaks: ONE_LISTING,
    caughtBy: scene('a listing that is older than the rows'),
    edits: [
      {
        file: SWEEPER,
        text: 'this.#ports.bucket.remove([listingKey(this.#source.id)]);',
        instead: 'this.#ports.bucket.remove([]);',
      },
    ],
  },
  {
    name: 'extra key reported though a load has brought its row',
    breaks: EXTRA,
    caughtBy: scene('a listing that is older than the rows'),
    edits: [
      {
        file: JOURNAL,
        text: 'if (parked.from_sweep === 1 && isServed(outcome)) dropServedExtra',
        instead: 'if (parked.from_sweep === 2 && isServed(outcome)) dropServedExtra',
      },
    ],
  },
  {
    name: 'extra keys of a whole listing not loaded',
    breaks: NEWEST,
    caughtBy: scene('a listing that is older than the rows'),
    edits: [{ file: SWEEPER, text: "[...LISTED_KINDS, 'extra' as const]", instead: '[...LISTED_KINDS]' }],
  },
  {
    name: 'extra key that is gone not deleted',
    breaks: NEWEST,
    caughtBy: scene('a listing that is older than the rows'),
    edits: [{ file: SWEEPS, text: "deleted: kind === 'extra',", instead: 'deleted: false,' }],
  },
  {
    name: 'stale key not checked again',
    breaks: DOUBLED,
    caughtBy: scene('a listing with revisions that the feed shows later'),
    edits: [
      {
        file: SWEEPS,
        text: "if (kind === 'stale') return isStale(now, revision);",
        instead: "if (kind === 'stale') return true;",
      },
      {
        file: 'src/engine/follow/tail.ts',
        text: 'this.#options.onPulled(page.changes.map(({ key }) => key));',
        instead: '',
      },
    ],
  },
  {
    name: 'key whose document lags for good stale in each sweep',
    breaks: DOUBLED,
    caughtBy: scene('a document that lags behind its listing'),
    edits: [
      {
        file: JOURNAL,
        text: 'if (revision !== null) noteAnnounced(this.#sql, key, revision);',
        instead: '',
      },
    ],
  },
  {
    name: 'announced revision forgotten with the row of an older one',
    breaks: DOUBLED,
    caughtBy: scene('a document that lags behind its listing'),
    edits: [
      { file: 'src/engine/journal/entries.ts', text: '        announced,\n', instead: '        announced: null,\n' },
      {
        file: JOURNAL,
        text: 'if (revision !== null) noteAnnounced(this.#sql, key, revision);',
        instead: '',
      },
    ],
  },
  {
    name: 'facts stored while a load with the old ones is under way',
    breaks: FACTS,
    caughtBy: scene('facts that change while their key is loaded'),
    edits: [{ file: ROUND, text: 'if (isChanged && isPending(key)) break;', instead: '' }],
  },
  {
    name: 'range keeps what it loaded with the old facts',
    breaks: FACTS,
    caughtBy: scene('facts that change while a range has loaded their key'),
    edits: [
      {
        file: ENGINE,
        text: 'this.#ranges.forEach(range => void range.drop());',
        instead: 'void this.#ranges;',
      },
    ],
  },
  {
    name: 'attempt without the facts of its key',
    breaks: FACTS,
    caughtBy: scene('a round whose object is killed'),
    edits: [
      {
        file: RETRIES,
        text: 'return this.#journal.round ? this.#journal.round.withFacts(change) : change;',
        instead: 'return change;',
      },
    ],
  },
  {
    name: 'facts outlast the deletion of their key',
    breaks: FACTS,
    caughtBy: scene('facts of a key that is deleted'),
    edits: [
      {
        file: JOURNAL,
        text: 'if (rows.length > 0 && isTombstone && !ctx.isPush) this.round?.forget(change.key);',
        instead: '',
      },
    ],
  },
  {
    name: 'facts of a deleted key stored',
    breaks: FACTS,
    caughtBy: scene('facts of a key that is deleted'),
    edits: [
      {
        file: ROUND,
        text: "rowStateOf(this.#sql, key) === 'present' && facts",
        instead: "rowStateOf(this.#sql, key) !== 'missing' && facts",
      },
    ],
  },
  {
    name: 'facts stored without a change that loads them',
    breaks: LOST,
    caughtBy: scene('a round whose object is killed'),
    edits: [
      {
        file: ROUND,
        text: "this.#parked.park(change_number, change, { reason: 'recheck', detail, nowMs, dueMs: nowMs });",
        instead: 'this.#state.updateSource({ change_number: change_number - 1 });',
      },
    ],
  },
  {
    name: 'round stays at its place',
    breaks: ALIVE,
    caughtBy: scene('a round whose object is killed'),
    edits: [{ file: ROUND, text: 'round.after = keys[taken - 1] ?? round.after;', instead: '' }],
  },
  {
    name: 'range of older changes ends the wait for a newer revision',
    breaks: LOST,
    caughtBy: scene('a range of older rows while the tail waits for a revision'),
    edits: [
      {
        file: JOURNAL,
        text: 'latest.revision > revision! ? { ...change, ...latest } : change;',
        instead: 'latest.revision < 0 ? change : change;',
      },
    ],
  },
  {
    name: 'row that is coalesced ends the wait for a newer revision',
    breaks: LOST,
    caughtBy: scene('a range of older rows while the tail waits for a revision'),
    edits: [
      {
        file: JOURNAL,
        text: "if (outcome.kind === 'skip' && outcome.reason === 'coalesced') return change;",
        instead: '',
      },
    ],
  },
  {
    name: 'range loads no key whose later row is outside of it',
    breaks: LOST,
    caughtBy: scene('a range of older rows while the tail waits for a revision'),
    edits: [
      {
        file: 'src/engine/follow/ranges.ts',
        text: 'source.resumable ? withinRange(pulled.changes, isIn)',
        instead: 'source.resumable ? pulled.changes.filter(({ cursor }) => isIn(cursor))',
      },
    ],
  },
];
