import { type Feed, readLimit } from './feed.ts';

/** Reads the list's query as npm does; a string is the reason for a 400. `startkey` is JSON. */
export function readListQuery(query: URLSearchParams): { startKey: string; limit: number } | string {
  // npm refuses paging by number: a page begins with the last key of the page before.
  if (query.has('skip')) return 'skip is not supported';
  const limit = readLimit(query);
  if (typeof limit === 'string') return limit;
  const startKey = keyIn(query.get('startkey') ?? '""');
  return startKey === null ? 'startkey must be JSON text' : { startKey, limit };
}

/** The list's answer: the names that are not deleted, from a key on, in the order of their UTF-8 bytes. */
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
