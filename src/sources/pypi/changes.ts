import type { Change } from '../../ports/change.ts';
import { keyOf } from './project-name.ts';

/** One row of the feed. Any of its texts may be missing in rows from before the index required them. */
export interface FeedRow {
  name: string | null;
  version: string | null;
  action: string | null;
  serial: number;
}

/** Ends a project. */
const REMOVED = 'remove project';

/** Each says that the project exists. */
const EXISTS = new Set(['create', 'new release', 'project quarantine cleared']);

/** Of a row with a version. A row without one may name a team, and a team may be called `file x`. */
const FILE_ADDED = /^add \S+ file /;

/**
 * Makes changes of the rows of one page, in order. The last row of a project is loaded and the ones before it are skipped,
 * because the index serves only the newest document.
 */
export class PageChanges {
  readonly changes: Change[] = [];
  /** The last change of each key. */
  readonly #lastOfKey = new Map<string, Change>();

  add(row: FeedRow): void {
    // A row without a name is of no project. It gets the empty key, which no load takes, so that it is seen.
    const key = keyOf(row.name ?? '');
    const before = this.#lastOfKey.get(key);
    if (before) before.skip = 'coalesced';
    const change: Change = {
      key,
      cursor: String(row.serial),
      deleted: isRemovedAfter(row, before?.deleted ?? false),
      revision: row.serial,
      skip: null,
    };
    this.#lastOfKey.set(key, change);
    this.changes.push(change);
  }
}

/**
 * Whether a project is removed after a row, given whether it was before. Rows about roles and invitations may follow the
 * removal and change nothing; `create` and what follows it bring the project back. A page that begins after the removal
 * does not know of it: what its rows name is asked of the index.
 */
function isRemovedAfter({ version, action }: FeedRow, wasRemoved: boolean): boolean {
  if (action === null) return wasRemoved;
  if (action === REMOVED) return true;
  const isBack = EXISTS.has(action) || (version !== null && FILE_ADDED.test(action));
  return wasRemoved && !isBack;
}
