import type { FeedRow } from './recordings.ts';

/** A row that `pushChange` or a made-up name adds to the feed; the feed gives it a number. */
export interface NewRow {
  id: string;
  rev: string;
  deleted?: boolean;
}

/** The feed of the stand-in. Rows wait until they are released. A released row hides the older ones of its id. */
export interface Feed {
  /** Adds a waiting row after all others. */
  add(row: NewRow): FeedRow;
  /** Releases the next `count` waiting rows and returns them. */
  release(count: number): FeedRow[];
  /** Gives a row the next number and releases it at once, before the waiting rows. */
  push(row: NewRow): FeedRow;
  /** Numbers all rows again from `firstSeq`, waiting rows last, as npm did when it moved its database. */
  renumber(firstSeq: number): void;
  /** Visible rows after `since`, ascending: the newest of each id only. */
  after(since: number, limit: number): FeedRow[];
  /** All visible rows, ascending. */
  rows(): FeedRow[];
  /** The newest visible row of an id. */
  newest(id: string): FeedRow | undefined;
  waiting(): number;
  updateSeq(): number;
}

/** The difference of two neighbouring numbers of the feed, 3 to 6, because npm's numbers are sparse. */
export function seqStep(index: number): number {
  return 3 + (index % 4);
}

/** Makes a feed of recorded rows, all waiting; rows that are added later get higher numbers. */
export function makeFeed(recorded: FeedRow[], firstSeq: number): Feed {
  const waiting: FeedRow[] = [...recorded];
  let releasedCount = 0;
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
      const released = waiting.slice(releasedCount, releasedCount + count).map(show);
      releasedCount += released.length;
      return released;
    },
    push(row) {
      const step = seqStep(visible.length);
      const pushed = show(makeRow(updateSeq + step, row));
      if (releasedCount < waiting.length && waiting[releasedCount]!.seq <= updateSeq) {
        for (let i = releasedCount; i < waiting.length; i++) waiting[i]!.seq += step;
      }
      lastSeq = Math.max(lastSeq, waiting.at(-1)?.seq ?? 0, updateSeq);
      return pushed;
    },
    renumber(start) {
      lastSeq = start;
      const shown = rows();
      visible.length = 0;
      for (const [i, row] of [...shown, ...waiting.slice(releasedCount)].entries()) {
        if (i > 0) lastSeq += seqStep(i);
        row.seq = lastSeq;
        if (i < shown.length) show(row);
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
    waiting: () => waiting.length - releasedCount,
    updateSeq: () => updateSeq,
  };
}

/** Parameters that the feed refuses with status 400, because it allows only plain reads. */
const REFUSED = ['include_docs', 'feed', 'heartbeat', 'timeout', 'style', 'filter'];
const LIMIT_DEFAULT = 1000;
const LIMIT_MAX = 10_000;

/** Reads the feed's query as npm does; a string is the reason for a 400. Other parameters are ignored. */
export function readFeedQuery(query: URLSearchParams): { since: number; limit: number } | string {
  for (const name of REFUSED) if (query.has(name)) return `${name} is not supported`;
  const since = query.get('since') ?? '0';
  if (!/^\d+$/.test(since)) return 'since must be an integer';
  const limit = readLimit(query);
  return typeof limit === 'string' ? limit : { since: Number(since), limit };
}

/** Reads the limit of a page of the feed or of the list; a string is the reason for a 400. */
export function readLimit(query: URLSearchParams): number | string {
  const limit = query.get('limit') ?? String(LIMIT_DEFAULT);
  if (!/^\d+$/.test(limit) || Number(limit) < 1) return 'limit must be a positive integer';
  if (Number(limit) > LIMIT_MAX) return `limit must not be over ${LIMIT_MAX}`;
  return Number(limit);
}

/** The feed's answer. `last_seq` of a full page is its last row's number, that of a short page the feed's newest. */
export function feedPage(feed: Feed, { since, limit }: { since: number; limit: number }): string {
  const results = feed.after(since, limit);
  const last_seq = results.length === limit ? results.at(-1)!.seq : feed.updateSeq();
  return JSON.stringify({ results, last_seq });
}

function makeRow(seq: number, { id, rev, deleted }: NewRow): FeedRow {
  return { seq, id, changes: [{ rev }], ...(deleted ? { deleted: true } : {}) };
}

/** The index of the first row with a number over `since`. */
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
