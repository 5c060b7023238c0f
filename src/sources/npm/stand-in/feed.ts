import type { FeedRow } from './recordings.ts';

/** What `pushChange` and the made-up names add to the feed; the feed itself gives the number. */
export interface NewRow {
  id: string;
  rev: string;
  deleted?: boolean;
}

/** The feed of the replay: rows wait until they are released, then a newer row of an id hides the older ones. */
export interface Feed {
  /** Adds a row after all others, waiting. */
  add(row: NewRow): FeedRow;
  /** Releases the next `count` waiting rows and gives them. */
  release(count: number): FeedRow[];
  /** Gives a row the next number and releases it at once, before those that wait. */
  push(row: NewRow): FeedRow;
  /** Counts anew from `firstSeq`, as npm did after moving its database. Waiting rows follow. */
  renumber(firstSeq: number): void;
  /** Visible rows after `since`, ascending, newest of each id only. */
  after(since: number, limit: number): FeedRow[];
  /** All visible rows, ascending. */
  rows(): FeedRow[];
  /** The newest visible row of an id. */
  newest(id: string): FeedRow | undefined;
  waiting(): number;
  updateSeq(): number;
}

/** How far apart two numbers of the feed are: npm's are sparse, 3 to 6. */
export function seqStep(place: number): number {
  return 3 + (place % 4);
}

/** Makes a feed of recorded rows, all waiting; rows added later are numbered on from the last. */
export function makeFeed(recorded: FeedRow[], firstSeq: number): Feed {
  const waiting: FeedRow[] = [...recorded];
  let taken = 0;
  const visible: FeedRow[] = [];
  const newest = new Map<string, FeedRow>();
  let lastSeq = recorded.at(-1)?.seq ?? firstSeq;
  let updateSeq = recorded.length > 0 ? recorded[0]!.seq - 1 : firstSeq;

  const show = (row: FeedRow): FeedRow => {
    visible.push(row);
    newest.set(row.id, row);
    updateSeq = row.seq;
    return row;
  };
  const rows = () => visible.filter(row => newest.get(row.id) === row);

  return {
    add({ id, rev, deleted }) {
      lastSeq += seqStep(waiting.length);
      const row = makeRow(lastSeq, { id, rev, deleted });
      waiting.push(row);
      return row;
    },
    release(count) {
      const released = waiting.slice(taken, taken + count).map(show);
      taken += released.length;
      return released;
    },
    push(row) {
      const step = seqStep(visible.length);
      const pushed = show(makeRow(updateSeq + step, row));
      if (taken < waiting.length && waiting[taken]!.seq <= updateSeq) {
        for (let i = taken; i < waiting.length; i++) waiting[i]!.seq += step;
      }
      lastSeq = Math.max(lastSeq, waiting.at(-1)?.seq ?? 0, updateSeq);
      return pushed;
    },
    renumber(start) {
      lastSeq = start;
      const kept = rows();
      visible.length = 0;
      for (const [i, row] of [...kept, ...waiting.slice(taken)].entries()) {
        if (i > 0) lastSeq += seqStep(i);
        row.seq = lastSeq;
        if (i < kept.length) show(row);
      }
    },
    after(since, limit) {
      const found: FeedRow[] = [];
      for (let i = firstAfter(visible, since); i < visible.length && found.length < limit; i++) {
        const row = visible[i]!;
        if (newest.get(row.id) === row) found.push(row);
      }
      return found;
    },
    rows,
    newest: id => newest.get(id),
    waiting: () => waiting.length - taken,
    updateSeq: () => updateSeq,
  };
}

/** What the feed refuses with status 400: anything but a plain read. */
const REFUSED = ['include_docs', 'feed', 'heartbeat', 'timeout', 'style', 'filter'];
const LIMIT_DEFAULT = 1000;
const LIMIT_MAX = 10_000;

/** Reads the feed's query as npm does; a string is the reason for a 400. Unknown parameters are let be. */
export function readFeedQuery(query: URLSearchParams): { since: number; limit: number } | string {
  for (const name of REFUSED) if (query.has(name)) return `${name} is not supported`;
  const since = query.get('since') ?? '0';
  const limit = query.get('limit') ?? String(LIMIT_DEFAULT);
  if (!/^\d+$/.test(since)) return 'since must be an integer';
  if (!/^\d+$/.test(limit) || Number(limit) < 1) return 'limit must be a positive integer';
  if (Number(limit) > LIMIT_MAX) return `limit must not be over ${LIMIT_MAX}`;
  return { since: Number(since), limit: Number(limit) };
}

/** The feed's answer: a full page ends with its last row's number, a short one with the feed's. */
export function feedPage(feed: Feed, { since, limit }: { since: number; limit: number }): string {
  const results = feed.after(since, limit);
  const last_seq = results.length === limit ? results.at(-1)!.seq : feed.updateSeq();
  return JSON.stringify({ results, last_seq });
}

function makeRow(seq: number, { id, rev, deleted }: NewRow): FeedRow {
  return { seq, id, changes: [{ rev }], ...(deleted ? { deleted: true } : {}) };
}

/** Index of the first row with a number over `since`. */
function firstAfter(rows: FeedRow[], since: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle]!.seq > since) high = middle;
    else low = middle + 1;
  }
  return low;
}
