import { pypiPackage } from '../../../schemas/pypi_package.ts';
import { ChangeError } from '../../errors.ts';
import { MINUTE } from '../../limits.ts';
import type { Change, Loaded, LoadedRow } from '../../ports/change.ts';
import type { LoadContext, Source } from '../source.ts';
import { downloadsFor, fetchDownloads, type SliceDownloads } from './downloads.ts';
import { fetchHead, fetchPage } from './feed.ts';
import { bareRow, projectRow, RELEASES, readProject } from './project.ts';
import { checkKey, isProjectKey } from './project-name.ts';
import { feedHostOf, hostOf, type PypiSettings, paceOf, readPypiSettings, SERIAL, SETTING_NAMES } from './settings.ts';
import { fetchSimplePage, SIMPLE_JSON, type SimplePage } from './simple.ts';
import { readSimpleIndex } from './simple-index.ts';

/** The index's cache keeps its list of all projects for 30 minutes, whatever changes. */
const INDEX_FRESH_MS = 30 * MINUTE;

/** 900,000 projects in 30 days are a request in three seconds. Archiving is rare, and nothing waits for it. */
const ROUND_MS = 30 * 24 * 60 * MINUTE;

type Context = LoadContext<PypiSettings, SliceDownloads>;

/** The Python Package Index: its feed lists changes by serial, and its document of a project has the project's facts. */
export const pypi: Source<PypiSettings, SliceDownloads> = {
  id: 'pypi',
  prefix: 'pypi',
  tables: [pypiPackage],
  settingNames: SETTING_NAMES,
  settings: readPypiSettings,
  pace: paceOf,

  feed: {
    ...SERIAL,
    resumable: true,

    async start(ctx) {
      if (ctx.settings.start !== 'head') return ctx.settings.start;
      return String(await fetchHead(ctx));
    },

    // The feed has no cache, so that no two pulls need to differ.
    pull: ({ cursor }, ctx) => fetchPage(cursor, ctx),

    listing: {
      freshMs: INDEX_FRESH_MS,
      read(ctx) {
        const url = `${ctx.settings.indexUrl}/simple/`;
        return readSimpleIndex(ctx.fetchStream(url, { subject: 'pypi index', headers: { accept: SIMPLE_JSON } }));
      },
    },

    round: {
      everyMs: ROUND_MS,
      async check({ key }, ctx) {
        const { status } = await fetchSimplePage(key, ctx);
        return status === 'active' ? null : { status };
      },
    },
  },

  requests(step, changes, settings) {
    const loads = changes.filter(change => change.skip === null);
    const index = hostOf(settings.indexUrl);
    if (step === 'pull') return { [feedHostOf(settings)]: 2 };
    if (step === 'list') return { [index]: 1 };
    if (step === 'round') return changes.length === 0 ? {} : { [index]: changes.length };
    // A deletion counts, because a later load of it fetches the document.
    // A project without a document takes a second request, which is not foreseen, because most have one.
    if (step === 'load') return loads.length === 0 ? {} : { [index]: loads.length };
    return keysToCount(changes).length === 0 ? {} : { [hostOf(settings.downloadsUrl)]: 1 };
  },

  prepare: (changes, ctx) => fetchDownloads(keysToCount(changes), ctx),

  async load(change, ctx) {
    const { key, deleted, revision } = change;
    checkKey(key);
    if (deleted && !ctx.afresh) return deletionOf(key, revision);
    const url = `${ctx.settings.indexUrl}/pypi/${key}/json`;
    let answer: { bytes: Uint8Array; json: unknown };
    try {
      answer = await ctx.fetchDocument(url, { subject: 'pypi project', name: key, unread: RELEASES });
    } catch (error) {
      if (!(error instanceof ChangeError) || error.status !== 404) throw error;
      return loadWithoutDocument(change, error, ctx);
    }
    const project = readProject(answer.json, key);
    const row = projectRow(project, { downloads: downloadsFor(ctx.prepared, key), status: statusOf(change) });
    return {
      documents: [{ name: key, bytes: answer.bytes, revision: project.serial }],
      rows: [upsertOf(row)],
      revision: project.serial,
    };
  },
};

/**
 * What a change says whose project has no document: the index answers 404 for a project that is gone, is quarantined, or
 * has no release. The simple index tells which. Where it does not, this throws the 404, so that the change is loaded again.
 */
async function loadWithoutDocument(change: Change, notFound: ChangeError, ctx: Context): Promise<Loaded> {
  const { key, deleted, revision } = change;
  const page = await fetchSimplePage(key, ctx).catch(error => {
    if (error instanceof ChangeError && error.status === 404) return null;
    throw error;
  });
  // The feed says that it was removed, and the index has no trace of it.
  if (page === null && deleted) return deletionOf(key, revision);
  // A project with files has a document, so one of the two answers is an old one.
  if (page === null || isBehind(page, change, ctx) || (page.hasFiles && page.status !== QUARANTINED)) throw notFound;
  if (page.status === QUARANTINED) return deletionOf(key, page.serial ?? revision);
  const known = { downloads: downloadsFor(ctx.prepared, key), status: statusOf(change) };
  return { documents: [], rows: [upsertOf(bareRow(key, known))], revision: page.serial };
}

const QUARANTINED = 'quarantined';

/**
 * Whether a page is from before the change, and therefore says nothing of it: the index's cache serves such pages for a
 * while. The serials of some projects stay behind their changes for good, so later loads take such a page as lagging.
 */
function isBehind({ serial }: SimplePage, { deleted, revision }: Change, { afresh }: Context): boolean {
  const isOlder = serial !== null && revision !== null && serial < revision;
  return isOlder && (!afresh || deleted);
}

/** A load that gives a row of operation `delete`, and no document. */
function deletionOf(key: string, revision: number | null): Loaded {
  return { documents: [], rows: [{ table: pypiPackage.name, op: 'delete', row: bareRow(key) }], revision };
}

function upsertOf(row: LoadedRow['row']): LoadedRow {
  return { table: pypiPackage.name, op: 'upsert', row };
}

/** The status that the round found: documents do not have it, and a change of it is not in the feed. */
function statusOf({ facts }: Change): string | null {
  return typeof facts?.status === 'string' ? facts.status : null;
}

/** Projects whose downloads are asked for, each once. */
function keysToCount(changes: Change[]): string[] {
  const counted = changes.filter(({ key, skip, deleted }) => skip === null && !deleted && isProjectKey(key));
  return [...new Set(counted.map(({ key }) => key))];
}
