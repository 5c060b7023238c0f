import type { Feed } from './feed.ts';

const LIMIT_DEFAULT = 1000;
const LIMIT_MAX = 10_000;

/** Reads the list's query as npm does; a string is the reason for a 400. `startkey` is JSON. */
export function readListQuery(query: URLSearchParams): { startKey: string; limit: number } | string {
  // What pages by number is refused: a page begins with the last key of the one before.
  if (query.has('skip')) return 'skip is not supported';
  const limit = query.get('limit') ?? String(LIMIT_DEFAULT);
  if (!/^\d+$/.test(limit) || Number(limit) < 1) return 'limit must be a positive integer';
  if (Number(limit) > LIMIT_MAX) return `limit must not be over ${LIMIT_MAX}`;
  const startKey = keyIn(query.get('startkey') ?? '""');
  return startKey === null ? 'startkey must be JSON text' : { startKey, limit: Number(limit) };
}

/** The list's answer: names that are not deleted, from a key on, in the order of their bytes. */
export function listPage(feed: Feed, { startKey, limit }: { startKey: string; limit: number }): string {
  const from = Buffer.from(startKey);
  const all = feed.rows().flatMap(({ id, changes, deleted }) => {
    const bytes = Buffer.from(id);
    return deleted ? [] : [{ bytes, row: { id, key: id, value: { rev: changes[0]!.rev } } }];
  });
  all.sort((a, b) => Buffer.compare(a.bytes, b.bytes));
  const first = all.findIndex(({ bytes }) => Buffer.compare(bytes, from) >= 0);
  const offset = first === -1 ? all.length : first;
  const rows = all.slice(offset, offset + limit).map(({ row }) => row);
  return JSON.stringify({ total_rows: all.length, offset, rows });
}

function keyIn(text: string): string | null {
  try {
    const key: unknown = JSON.parse(text);
    return typeof key === 'string' ? key : null;
  } catch {
    return null;
  }
}
