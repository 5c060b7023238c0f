import { githubCommit } from '../../../schemas/github_commit.ts';
import { githubProfile } from '../../../schemas/github_profile.ts';
import { githubRepo } from '../../../schemas/github_repo.ts';
import { npmPackage } from '../../../schemas/npm_package.ts';
import type { Row, Table } from '../../../schemas/table.ts';
import { ChangeError, CursorError, StepError } from '../../../src/errors.ts';
import type { Change, Evidence, Loaded, Visit as Visited } from '../../../src/ports/change.ts';
import type { Source } from '../../../src/sources/source.ts';
import { FED_INLET } from './feeding.ts';
import { DOCUMENT_HOST, FEED_HOST, type Upstream, type UpstreamCall } from './upstream.ts';

/** The settings of the simulated sources. */
export interface SourceSettings {
  pollMs: number;
  settleMs: number;
  pageChanges: number;
  requestsPerSecond: number;
  /** The first and the highest pace of an agenda's hosts. */
  hostRequestsPerSecond?: number;
  hostRequestsPerSecondMax?: number;
}

/** Makes the source of one Loader call, bound to its upstream. */
export type SourceKind = (upstream: Upstream, call: UpstreamCall) => Source<SourceSettings>;

/** Follows the upstream's coalescing feed. Each change is a resume point; keys `internal:…` are skipped. */
export const coalescing: SourceKind = (upstream, call) => ({
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
      const { results, lastSeq, head } = await upstream.page(since, { limit: settings.pageChanges, call });
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

    list: (after, { settings }) => upstream.list(after, { limit: settings.pageChanges, call }),
  },

  async load(change, { afresh }) {
    const gone: Loaded = {
      documents: [],
      rows: [{ table: npmPackage.name, op: 'delete', row: rowOf(npmPackage, { name: change.key }) }],
      revision: change.revision,
    };
    if (change.deleted && !afresh) return gone;
    try {
      const { bytes, revision, text } = await upstream.document(change.key, call);
      const row = rowOf(npmPackage, { name: change.key, version: String(revision), description: text });
      const documents = [{ name: change.key, bytes, revision }];
      return { documents, rows: [{ table: npmPackage.name, op: 'upsert', row }], revision };
    } catch (error) {
      if (change.deleted && error instanceof ChangeError && error.status === 404) return gone;
      throw error;
    }
  },
});

/** The repository of the commits that a key of `pages` gives: a key and the one with `+` give the same commits. */
export function repositoryOf(key: string): string {
  return key.replace('+', '');
}

/**
 * Follows the upstream's whole `pages`, in which no change is a resume point. A change gives a row of the first table,
 * and one of the second when its key ends in `+`. It also gives two rows of the third, which is immutable: one that is the
 * same each time, and one for each text of its document. Their message is the change's key.
 */
export const pages: SourceKind = (upstream, call) => ({
  ...COMMON,
  id: 'pages',
  prefix: 'github',
  tables: [githubProfile, githubRepo, githubCommit],
  feed: {
    ...CURSORS,
    resumable: false,
    start: async () => '0',

    async pull({ cursor }) {
      const page = await upstream.wholePage(Number(cursor), call);
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
    const { bytes, text } = await upstream.document(key, call);
    const profile = { table: githubProfile.name, op: 'upsert' as const };
    const repo = { table: githubRepo.name, op: 'upsert' as const };
    const commit = { table: githubCommit.name, op: 'upsert' as const };
    const rows = [
      { ...repo, row: rowOf(githubRepo, { full_name: key, description: text }) },
      { ...profile, row: rowOf(githubProfile, { username: key, bio: text }) },
      { ...commit, row: rowOf(githubCommit, { repo: repositoryOf(key), sha: 'first', message: key }) },
      { ...commit, row: rowOf(githubCommit, { repo: repositoryOf(key), sha: text, message: key }) },
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
 * Visits keys `<name>.<space>`. A row has the text of its key's evidence as `company`. The upstream names the host of each space, and some keys have a second half at another
 * host. A key is due again after an hour for each visit in a row with the same outcome, up to a day.
 */
export const agenda: SourceKind = (upstream, call) => ({
  ...COMMON,
  id: 'agenda',
  prefix: 'github',
  tables: [githubProfile],
  pace: ({ pollMs, settleMs, requestsPerSecond, hostRequestsPerSecond = 5, hostRequestsPerSecondMax = 5 }) => ({
    pollMs,
    settleMs,
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
    inlets: [FED_INLET],
    read: text =>
      /^[a-z\d-]+\.[a-z]+$/.test(text) ? { key: text, space: text.split('.')[1]! } : { rejected: 'no-key' },
    next: nextVisit,
    directory: {
      serverOf: (space, servers) => servers[space] ?? null,
      read: () => upstream.serverList(call),
    },
  },

  async load({ key, server, evidence }) {
    if (!server) throw new ChangeError('no-server', `${key}: expected a server, got none`);
    const answer = await upstream.answer(server, key, call);
    if (!answer) return { documents: [], rows: [profileOf('delete', key, null)], revision: null, seen: GONE };
    const half = upstream.halves.get(key) ?? null;
    const second = half && (await upstream.answer(half.host, key, call).then(() => half.text, nullOnFailure));
    const said = evidence ? evidenceText(evidence) : null;
    const mainDigest = said === null ? String(answer.revision) : `${answer.revision} ${said}`;
    const bio = half ? `${answer.text}+${second ?? ''}` : answer.text;
    return {
      documents: [{ name: key, bytes: Buffer.from(JSON.stringify(answer)), revision: null }],
      rows: [profileOf('upsert', key, bio, said)],
      revision: null,
      seen: {
        found: true,
        always: false,
        partial: half !== null && second === null,
        mainDigest,
        digests: { [githubProfile.name]: `${mainDigest}+${second ?? ''}` },
        moreHosts: half ? [half.host] : [],
        facts: { text: answer.text },
      },
    };
  },
});

/** When the simulated source visits a key again. */
export function nextVisit({ nowMs, outcome, times, changed, notBeforeMs }: Visited): { atMs: number; reason: string } {
  const hours = outcome === 'failed' ? 3 : changed ? 0.5 : Math.min(times, 24);
  return { atMs: Math.max(nowMs + hours * HOUR, notBeforeMs ?? 0), reason: changed ? 'changed' : outcome };
}

const GONE = {
  found: false,
  always: false,
  partial: false,
  digests: { [githubProfile.name]: 'gone' },
  mainDigest: 'gone',
  moreHosts: [],
  facts: {},
};

function profileOf(op: 'upsert' | 'delete', username: string, bio: string | null, company: string | null = null) {
  return { table: githubProfile.name, op, row: rowOf(githubProfile, { username, bio, company }) };
}

/** Evidence as a text in which its order makes no difference. */
export function evidenceText({ items }: Pick<Evidence, 'items'>): string {
  const texts = items.map(({ row, item, facts, sample }) => JSON.stringify([row, item, facts, sample]));
  return texts.sort().join(' ');
}

/** For a second half: when it cannot be loaded, the first half is loaded without it. */
function nullOnFailure(error: unknown): null {
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
    const documents = step === 'load' ? changes.filter(({ skip, deleted }) => skip === null && !deleted).length : 0;
    return documents === 0 ? {} : { [DOCUMENT_HOST]: documents };
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

/** A row of a table without lineage; columns that are not given are null. */
export function rowOf(table: Table, values: Row): Row {
  // Toys name things by their first value, also where the real upstream has numbers for them.
  const thing = Object.values(values)[0] ?? null;
  const own = table.columns.filter((_, index) => index < table.lineageAt || index >= table.lineageAt + 3);
  return Object.fromEntries(
    own.map(({ name }) => [name, values[name] ?? (name === table.identity || table.key.includes(name) ? thing : null)]),
  );
}
