import { z } from 'zod';
import { npmPackage } from '../../../schemas/npm_package.ts';
import { integerSetting, parseSettings, rateSetting, urlSetting } from '../../config.ts';
import { ChangeError, CursorError, StepError } from '../../errors.ts';
import type { Change, KeyPage, Loaded, LoadedRow, Page } from '../../ports/change.ts';
import type { HostPace } from '../../ports/hosts.ts';
import { countCursor } from '../count-cursor.ts';
import type { Source, SourceContext } from '../source.ts';
import { countsFor, type Downloads, fetchDownloads, scopedOf, unscopedListsOf } from './downloads.ts';
import { deletedRow, isTombstone, packumentRow, readPackument, revisionOf, VERSIONS } from './packument.ts';

/** The feed's public address. Its pages are at `/_changes` below this, its root document at the origin's `/`. */
const FEED_URL = 'https://replicate.npmjs.com/registry';
const DOWNLOADS_URL = 'https://api.npmjs.org';

/** The feed answers status 400 to a larger limit. */
const LIMIT_MAX = 10_000;

/**
 * The feed allows caches to keep its answers for four hours (`max-age=14400`), and an empty page from a cache would hide
 * newer changes. The limit therefore differs from pull to pull; at a pull every 15 s this many limits last four hours.
 */
const LIMIT_VARIATION = 1000;

/** A list of the same keys within this time has the same limit, and may come from a cache. */
const LIST_SAME_MS = 15_000;

/** The first cursor is this far below the head, and a head this far below a cursor is no reset (cnpmcore does the same). */
const SEQ_MARGIN = 10;

/** The only ids with a leading underscore that CouchDB allows for its own documents. `__proto__` is a package. */
const INTERNAL_ID = /^_(design|local)\//;

/** The API answered 429 at about 2.3 requests a second, without a usable `Retry-After`. */
const DOWNLOADS_PACE: HostPace = { requestsPerSecond: 2, burst: 1 };

const settingsShape = z.object({
  NPM_FEED_URL: urlSetting(FEED_URL),
  // No default, because the npm client's configuration names the registry.
  NPM_REGISTRY_URL: urlSetting().describe(
    "an http or https URL; local programs take it from the npm client's configuration",
  ),
  NPM_DOWNLOADS_URL: urlSetting(DOWNLOADS_URL),
  // A new lake begins at the head, because reading the whole feed takes days at a polite pace.
  NPM_START: z
    .string()
    .regex(/^(head|\d{1,15})$/)
    .default('head')
    .describe('"head" or a sequence of the feed'),
  // npm publishes no limit, and 30 requests a second met none. Following needs about 0.25 a second on average, far below
  // the five million requests a month that npm's terms call unreasonable; 5 a second drain a backlog without a burst.
  NPM_REQUESTS_PER_SECOND: rateSetting(5),
  // A change waits for half of this on average; rows should be 60 s old at most.
  NPM_POLL_MS: integerSetting(15_000, 100, 3_600_000),
  // The feed's own default; about 100 KB of JSON.
  NPM_PAGE_CHANGES: integerSetting(1000, 1, LIMIT_MAX - LIMIT_VARIATION + 1),
  // Right after a change the registry often serves the revision before it; other followers wait as long.
  NPM_SETTLE_MS: integerSetting(10_000, 0, 600_000),
});

export interface NpmSettings {
  feedUrl: string;
  registryUrl: string;
  downloadsUrl: string;
  start: string;
  requestsPerSecond: number;
  pollMs: number;
  pageChanges: number;
  settleMs: number;
}

const rootShape = z.looseObject({ update_seq: z.int().nonnegative() });

const pageShape = z.looseObject({
  results: z.array(
    z.looseObject({
      seq: z.int().nonnegative(),
      id: z.string(),
      changes: z.array(z.looseObject({ rev: z.string() })).optional(),
      deleted: z.boolean().optional(),
    }),
  ),
  last_seq: z.int().nonnegative(),
});

const listShape = z.looseObject({ rows: z.array(z.looseObject({ id: z.string() })) });

type FeedPage = z.output<typeof pageShape>;
type Context = SourceContext<NpmSettings>;

const SEQUENCE = countCursor({ subject: 'npm cursor', expected: 'a sequence of the feed' });

/** The npm registry: its replication feed lists changes, and its document of a package has the package's facts. */
export const npm: Source<NpmSettings, Downloads> = {
  id: 'npm',
  prefix: 'npm',
  tables: [npmPackage],
  datedRows: true,
  settingNames: Object.keys(settingsShape.shape),
  settings: readNpmSettings,
  pace: ({ pollMs, settleMs, ...settings }) => ({ pollMs, settleMs, hosts: hostPaces(settings) }),
  feed: {
    ...SEQUENCE,
    resumable: true,

    async start(ctx) {
      if (ctx.settings.start !== 'head') return ctx.settings.start;
      return String(Math.max(0, (await fetchHead(ctx)) - SEQ_MARGIN));
    },

    async pull({ cursor, poll }, ctx) {
      const limit = ctx.settings.pageChanges + (poll % LIMIT_VARIATION);
      const page = await fetchPage({ cursor, limit }, ctx);
      checkOrder(page, cursor);
      const atHead = page.results.length < limit;
      // The head is read after the page: a head above the page's end then means that the page missed changes.
      const head = atHead ? await fetchHead(ctx).catch(nullUnlessOurFault) : null;
      return readPage(page, { cursor, atHead, head });
    },

    async list(after, ctx) {
      // An answer from a cache would prove nothing, so the limit differs from list to list as it does from pull to pull.
      const limit = LIMIT_MAX - (Math.floor(ctx.nowMs / LIST_SAME_MS) % LIMIT_VARIATION);
      const from = after === null ? '' : `startkey=${encodeURIComponent(JSON.stringify(after))}&`;
      const url = `${ctx.settings.feedUrl}/_all_docs?${from}limit=${limit}`;
      const ids = (await ctx.fetchJson(url, { subject: 'npm list', shape: listShape })).json.rows.map(row => row.id);
      return readList(ids, { after, isLast: ids.length < limit });
    },
  },

  requests(step, changes, settings) {
    const loads = changes.filter(change => change.skip === null);
    if (step === 'list') return { [hostOf(settings.feedUrl)]: 1 };
    if (step === 'pull') return { [hostOf(settings.feedUrl)]: 2 };
    // A deletion counts, because a later load of it fetches the document.
    if (step === 'load') return loads.length === 0 ? {} : { [hostOf(settings.registryUrl)]: loads.length };
    const names = namesToCount(changes);
    const requests = 2 * (unscopedListsOf(names).length + scopedOf(names).length);
    return requests === 0 ? {} : { [hostOf(settings.downloadsUrl)]: requests };
  },

  async prepare(changes, ctx) {
    return fetchDownloads(namesToCount(changes), { url: ctx.settings.downloadsUrl, fetchJson: ctx.fetchJson });
  },

  async load(change, ctx) {
    if (change.deleted && !ctx.afresh) return deletionOf(change.key, change.revision);
    const url = `${ctx.settings.registryUrl}/${encodeName(change.key)}`;
    let answer: { bytes: Uint8Array; json: unknown };
    try {
      answer = await ctx.fetchDocument(url, { subject: 'npm package', name: change.key, unread: VERSIONS });
    } catch (error) {
      if (change.deleted && error instanceof ChangeError && error.status === 404)
        return deletionOf(change.key, change.revision);
      throw error;
    }
    const packument = readPackument(answer.json, change.key);
    const revision = revisionOf(packument.document._rev);
    const documents = [{ name: change.key, bytes: answer.bytes, revision }];
    if (isTombstone(packument)) return { ...deletionOf(change.key, revision), documents };
    const row = packumentRow(packument, { downloads: countsFor(ctx.prepared, change.key) });
    return { documents, rows: [{ table: npmPackage.name, op: 'upsert', row }], revision };
  },
};

function readNpmSettings(env: Record<string, unknown>): NpmSettings {
  const read = parseSettings(settingsShape, env);
  return {
    feedUrl: read.NPM_FEED_URL,
    registryUrl: read.NPM_REGISTRY_URL,
    downloadsUrl: read.NPM_DOWNLOADS_URL,
    start: read.NPM_START === 'head' ? 'head' : SEQUENCE.parse(read.NPM_START),
    requestsPerSecond: read.NPM_REQUESTS_PER_SECOND,
    pollMs: read.NPM_POLL_MS,
    pageChanges: read.NPM_PAGE_CHANGES,
    settleMs: read.NPM_SETTLE_MS,
  };
}

/** The pace of each host. Where one host serves all three, as a mirror or the stand-in does, the setting counts. */
function hostPaces(settings: Omit<NpmSettings, 'pollMs' | 'settleMs'>): Record<string, HostPace> {
  const { requestsPerSecond } = settings;
  const pace = { requestsPerSecond, burst: Math.max(2, Math.ceil(requestsPerSecond)) };
  return {
    [hostOf(settings.downloadsUrl)]: DOWNLOADS_PACE,
    [hostOf(settings.feedUrl)]: pace,
    [hostOf(settings.registryUrl)]: pace,
  };
}

async function fetchPage({ cursor, limit }: { cursor: string; limit: number }, ctx: Context): Promise<FeedPage> {
  const url = `${ctx.settings.feedUrl}/_changes?since=${cursor}&limit=${limit}`;
  try {
    return (await ctx.fetchJson(url, { subject: 'npm page', shape: pageShape })).json;
  } catch (error) {
    // The feed takes this limit, so a 400 is about the cursor. 404 and 410 are about the address, and the cursor stays.
    if (!(error instanceof ChangeError) || error.status !== 400) throw error;
    throw new CursorError(`npm page: expected the feed to take since=${cursor}, got status 400`);
  }
}

async function fetchHead(ctx: Context): Promise<number> {
  const url = new URL('/', ctx.settings.feedUrl).href;
  return (await ctx.fetchJson(url, { subject: 'npm head', shape: rootShape })).json.update_seq;
}

/** A page is valid without a head, so a head that the upstream does not give is null. Rethrows our own faults. */
function nullUnlessOurFault(error: unknown): null {
  if (error instanceof ChangeError || (error instanceof StepError && error.kind === 'deadline')) return null;
  throw error;
}

/** Throws `wrong-shape` unless the page's sequences rise from above the cursor to its `last_seq`. */
function checkOrder({ results, last_seq }: FeedPage, cursor: string): void {
  let last = Number(cursor);
  for (const [i, { seq }] of results.entries()) {
    if (seq <= last) {
      throw new ChangeError('wrong-shape', `npm page: expected results[${i}].seq to rise above ${last}, got ${seq}`);
    }
    last = seq;
  }
  if (results.length > 0 && last_seq < last) {
    throw new ChangeError('wrong-shape', `npm page: expected last_seq to be at least ${last}, got ${last_seq}`);
  }
}

function readPage(
  { results, last_seq }: FeedPage,
  { cursor, atHead, head }: { cursor: string; atHead: boolean; head: number | null },
): Page {
  const since = Number(cursor);
  const last = results.at(-1)?.seq;
  return {
    changes: results.map(({ seq, id, changes, deleted = false }) => ({
      key: id,
      cursor: String(seq),
      deleted,
      revision: revisionOf(changes?.[0]?.rev),
      skip: INTERNAL_ID.test(id) ? 'internal-document' : null,
    })),
    // `last_seq` moves the cursor only where the page has no rows, because a row between the last one and it would be lost.
    cursor: String(last ?? Math.max(since, last_seq)),
    head: head === null ? null : String(head),
    atHead,
    belowCursor: [head, last === undefined ? last_seq : null].some(seq => seq !== null && seq < since - SEQ_MARGIN),
  };
}

/** The ids after a key, because a list repeats the key that it starts with. Throws `wrong-shape` for a list that never ends. */
function readList(ids: string[], { after, isLast }: { after: string | null; isLast: boolean }): KeyPage {
  const next = isLast ? null : ids.at(-1)!;
  if (next !== null && next === after)
    throw new ChangeError('wrong-shape', 'npm list: expected rows after the first, got the same key again');
  const keys = ids.filter(id => id !== after && !INTERNAL_ID.test(id));
  return { keys, next };
}

/** A load that gives a row of operation `delete`, and no document. */
function deletionOf(name: string, revision: number | null): Loaded {
  const row: LoadedRow = { table: npmPackage.name, op: 'delete', row: deletedRow(name) };
  return { documents: [], rows: [row], revision };
}

/** The name as one segment of the registry's URL: everything but a leading `@` is encoded. */
function encodeName(name: string): string {
  return encodeURIComponent(name.toWellFormed()).replace(/^%40/, '@');
}

function namesToCount(changes: Change[]): string[] {
  const counted = changes.filter(change => change.skip === null && !change.deleted);
  return [...new Set(counted.map(change => change.key))];
}

function hostOf(url: string): string {
  return new URL(url).host;
}
