import { githubProfile } from '../../schemas/github_profile.ts';
import { githubRepo } from '../../schemas/github_repo.ts';
import { npmPackage } from '../../schemas/npm_package.ts';
import type { Row, Table } from '../../schemas/table.ts';
import { CursorError, UpstreamError } from '../../src/errors.ts';
import type { Change, Loaded, Source } from '../../src/sources/source.ts';
import { DOCUMENT_HOST, FEED_HOST, type Upstream, type Visit } from './upstream.ts';

/** How the simulated sources are set. Times are milliseconds. */
export interface SourceSettings {
  pollMs: number;
  settleMs: number;
  pageChanges: number;
  requestsPerSecond: number;
}

/** A source bound to its upstream, for the length of one Loader call. */
export type SourceKind = (upstream: Upstream, visit: Visit) => Source<SourceSettings>;

/** Follows the upstream's coalescing feed: each change is a place to resume from; a change of `internal:…` is skipped. */
export const coalescing: SourceKind = (upstream, visit) => ({
  ...COMMON,
  id: 'coalescing',
  prefix: 'npm',
  tables: [npmPackage],
  resumable: true,
  start: async () => '0',

  async pull({ cursor }, { settings }) {
    const since = Number(cursor);
    const { results, lastSeq, head } = await upstream.page(since, { limit: settings.pageChanges, visit });
    const changes = results.map(({ key, seq, revision, deleted }) => ({
      ...{ key, place: String(seq), deleted, revision },
      skip: key.startsWith('internal:') ? ('internal-document' as const) : null,
    }));
    return {
      changes,
      cursor: String(results.at(-1)?.seq ?? Math.max(since, lastSeq)),
      head: String(head),
      atHead: results.length < settings.pageChanges,
      belowCursor: head < since,
    };
  },

  async load(change, { afresh }) {
    const gone: Loaded = {
      documents: [],
      rows: [{ table: npmPackage.name, op: 'delete', row: rowOf(npmPackage, { name: change.key }) }],
      revision: change.revision,
    };
    if (change.deleted && !afresh) return gone;
    try {
      const { bytes, revision, text } = await upstream.document(change.key, visit);
      const row = rowOf(npmPackage, { name: change.key, version: String(revision), description: text });
      const documents = [{ name: change.key, bytes, revision }];
      return { documents, rows: [{ table: npmPackage.name, op: 'upsert', row }], revision };
    } catch (error) {
      if (change.deleted && error instanceof UpstreamError && error.status === 404) return gone;
      throw error;
    }
  },

  list: (after, { settings }) => upstream.list(after, { limit: settings.pageChanges, visit }),
});

/**
 * Follows the upstream's `pages`, which are whole or not at all: no change is a place to resume from. Each change gives
 * a row of one table, and a key that ends in `+` one of each.
 */
export const pages: SourceKind = (upstream, visit) => ({
  ...COMMON,
  id: 'pages',
  prefix: 'github',
  tables: [githubProfile, githubRepo],
  resumable: false,
  start: async () => '0',

  async pull({ cursor }) {
    const page = await upstream.wholePage(Number(cursor), visit);
    const next = page ? Number(cursor) + 1 : Number(cursor);
    const changes = (page ?? []).map((key, index) => ({
      ...{ key, place: `${cursor}:${index}`, deleted: false, revision: null, skip: null },
    }));
    const head = upstream.pages.length;
    return { changes, cursor: String(next), head: String(head), atHead: next >= head, belowCursor: false };
  },

  async load({ key }) {
    const { bytes, text } = await upstream.document(key, visit);
    const profile = { table: githubProfile.name, op: 'upsert' as const };
    const repo = { table: githubRepo.name, op: 'upsert' as const };
    const rows = [
      { ...repo, row: rowOf(githubRepo, { full_name: key, description: text }) },
      { ...profile, row: rowOf(githubProfile, { username: key, bio: text }) },
    ];
    return {
      documents: [{ name: key, bytes, revision: null }],
      rows: rows.slice(key.endsWith('+') ? 0 : 1),
      revision: null,
    };
  },
});

const COMMON = {
  settingNames: [],
  settings: () => DEFAULT_SETTINGS,
  pace: ({ pollMs, settleMs, requestsPerSecond }: SourceSettings) => {
    const pace = { requestsPerSecond, burst: Math.ceil(requestsPerSecond) };
    return { pollMs, settleMs, hosts: { [FEED_HOST]: pace, [DOCUMENT_HOST]: pace } };
  },
  compare: (a: string, b: string) => Number(a.split(':')[0]) - Number(b.split(':')[0]),
  parse(cursor: string): string {
    if (!/^\d+$/.test(cursor)) throw new CursorError(`cursor: expected a number, got ${cursor}`);
    return cursor;
  },
  requests(step: 'pull' | 'prepare' | 'load' | 'list', changes: Change[]): Record<string, number> {
    if (step === 'pull' || step === 'list') return { [FEED_HOST]: 1 };
    const asked = step === 'load' ? changes.filter(({ skip, deleted }) => skip === null && !deleted).length : 0;
    return asked === 0 ? {} : { [DOCUMENT_HOST]: asked };
  },
};

export const DEFAULT_SETTINGS: SourceSettings = {
  pollMs: 15_000,
  settleMs: 0,
  pageChanges: 100,
  requestsPerSecond: 1_000,
};

/** A row of a table, null where nothing is given. */
export function rowOf(table: Table, values: Row): Row {
  const lineage = ['_lsn', '_op', '_cursor'];
  const columns = table.columns.filter(({ name }) => !lineage.includes(name));
  return Object.fromEntries(columns.map(({ name }) => [name, values[name] ?? null]));
}
