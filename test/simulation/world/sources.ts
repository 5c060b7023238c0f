import { githubProfile } from '../../../schemas/github_profile.ts';
import { githubRepo } from '../../../schemas/github_repo.ts';
import { npmPackage } from '../../../schemas/npm_package.ts';
import type { Row, Table } from '../../../schemas/table.ts';
import { ChangeError, CursorError, StepError } from '../../../src/errors.ts';
import type { Change, Loaded, Visit as Visited } from '../../../src/ports/change.ts';
import type { Source } from '../../../src/sources/source.ts';
import { DOCUMENT_HOST, FEED_HOST, type Upstream, type Visit } from './upstream.ts';

/** How the simulated sources are set. Times are milliseconds. */
export interface SourceSettings {
  pollMs: number;
  settleMs: number;
  pageChanges: number;
  requestsPerSecond: number;
  /** Of an agenda's hosts, at first and at most. */
  hostRequestsPerSecond?: number;
  hostRequestsPerSecondMax?: number;
}

/** A source bound to its upstream, for the length of one Loader call. */
export type SourceKind = (upstream: Upstream, visit: Visit) => Source<SourceSettings>;

/** Follows the upstream's coalescing feed: each change is a place to resume from; a change of `internal:…` is skipped. */
export const coalescing: SourceKind = (upstream, visit) => ({
  ...COMMON,
  id: 'coalescing',
  prefix: 'npm',
  tables: [npmPackage],
  feed: {
    ...CURSORS,
    resumable: true,
    start: async () => '0',

    async pull({ cursor }, { settings }) {
      const since = Number(cursor);
      const { results, lastSeq, head } = await upstream.page(since, { limit: settings.pageChanges, visit });
      const changes = results.map(({ key, seq, revision, deleted }) => ({
        key,
        cursor: String(seq),
        deleted,
        revision,
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

    list: (after, { settings }) => upstream.list(after, { limit: settings.pageChanges, visit }),
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
      if (change.deleted && error instanceof ChangeError && error.status === 404) return gone;
      throw error;
    }
  },
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
  feed: {
    ...CURSORS,
    resumable: false,
    start: async () => '0',

    async pull({ cursor }) {
      const page = await upstream.wholePage(Number(cursor), visit);
      const next = page ? Number(cursor) + 1 : Number(cursor);
      const changes = (page ?? []).map((key, index) => ({
        key,
        cursor: `${cursor}:${index}`,
        deleted: false,
        revision: null,
        skip: null,
      }));
      const head = upstream.pages.length;
      return { changes, cursor: String(next), head: String(head), atHead: next >= head, belowCursor: false };
    },
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

const HOUR = 3_600_000;

/**
 * Visits keys `<name>.<space>`: each space is served by a host that the upstream names, and some keys have a second half
 * at another one. A key is due again after an hour for each visit in a row that came to the same, up to a day.
 */
export const agenda: SourceKind = (upstream, visit) => ({
  ...COMMON,
  id: 'agenda',
  prefix: 'github',
  tables: [githubProfile],
  pace: ({ pollMs, requestsPerSecond, hostRequestsPerSecond = 5, hostRequestsPerSecondMax = 5 }) => ({
    pollMs,
    settleMs: 0,
    hosts: { [FEED_HOST]: { requestsPerSecond, burst: 5 } },
    others: {
      requestsPerSecond: hostRequestsPerSecondMax,
      startRequestsPerSecond: hostRequestsPerSecond,
      burst: 1,
    },
  }),

  requests(step, changes) {
    if (step === 'pull') return { [FEED_HOST]: 1 };
    const counts: Record<string, number> = {};
    for (const { server, moreHosts = [] } of step === 'load' ? changes : [])
      for (const host of [server, ...moreHosts]) if (host) counts[host] = (counts[host] ?? 0) + 1;
    return counts;
  },

  agenda: {
    read: text =>
      /^[a-z\d-]+\.[a-z]+$/.test(text) ? { key: text, space: text.split('.')[1]! } : { rejected: 'no-key' },
    next: nextLook,
    directory: {
      serverOf: (space, servers) => servers[space] ?? null,
      read: () => upstream.serverList(visit),
    },
  },

  async load({ key, server }) {
    if (!server) throw new ChangeError('no-server', `${key}: expected a server, got none`);
    const answer = await upstream.answer(server, key, visit);
    if (!answer) return { documents: [], rows: [profileOf('delete', key, null)], revision: null, seen: GONE };
    const half = upstream.halves.get(key) ?? null;
    const second = half && (await upstream.answer(half.host, key, visit).then(() => half.text, missing));
    const mainDigest = String(answer.revision);
    const bio = half ? `${answer.text}+${second ?? ''}` : answer.text;
    return {
      documents: [{ name: key, bytes: Buffer.from(JSON.stringify(answer)), revision: null }],
      rows: [profileOf('upsert', key, bio)],
      revision: null,
      seen: {
        found: true,
        always: false,
        partial: half !== null && second === null,
        mainDigest,
        digest: `${mainDigest}+${second ?? ''}`,
        moreHosts: half ? [half.host] : [],
        facts: { text: answer.text },
      },
    };
  },
});

/** When a simulated key is looked at again. */
export function nextLook({ nowMs, outcome, times, changed, notBeforeMs }: Visited): { atMs: number; reason: string } {
  const hours = outcome === 'failed' ? 3 : changed ? 0.5 : Math.min(times, 24);
  return { atMs: Math.max(nowMs + hours * HOUR, notBeforeMs ?? 0), reason: changed ? 'changed' : outcome };
}

const GONE = {
  found: false,
  always: false,
  partial: false,
  digest: 'gone',
  mainDigest: 'gone',
  moreHosts: [],
  facts: {},
};

function profileOf(op: 'upsert' | 'delete', username: string, bio: string | null) {
  return { table: githubProfile.name, op, row: rowOf(githubProfile, { username, bio }) };
}

/** A half that does not come takes nothing from the other. */
function missing(error: unknown): null {
  if (error instanceof ChangeError || (error instanceof StepError && error.kind === 'deadline')) return null;
  throw error;
}

const CURSORS = {
  compare: (a: string, b: string) => Number(a.split(':')[0]) - Number(b.split(':')[0]),
  parse(cursor: string): string {
    if (!/^\d+$/.test(cursor)) throw new CursorError(`cursor: expected a number, got ${cursor}`);
    return cursor;
  },
};

const COMMON = {
  settingNames: [],
  settings: () => DEFAULT_SETTINGS,
  pace: ({ pollMs, settleMs, requestsPerSecond }: SourceSettings) => {
    const pace = { requestsPerSecond, burst: Math.ceil(requestsPerSecond) };
    return { pollMs, settleMs, hosts: { [FEED_HOST]: pace, [DOCUMENT_HOST]: pace } };
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
  hostRequestsPerSecond: 5,
  hostRequestsPerSecondMax: 5,
};

/** A row of a table, null where nothing is given. */
export function rowOf(table: Table, values: Row): Row {
  const lineage = ['_lsn', '_op', '_cursor'];
  const columns = table.columns.filter(({ name }) => !lineage.includes(name));
  return Object.fromEntries(columns.map(({ name }) => [name, values[name] ?? null]));
}
