import { githubRepo } from '../../../schemas/github_repo.ts';
import { ChangeError } from '../../errors.ts';
import type { Change, Loaded } from '../../ports/change.ts';
import {
  type CommitsRead,
  firstPage,
  headOf,
  isForLater,
  NO_COMMITS,
  type Place,
  readCommits,
} from './commits-visit.ts';
import { COUNTERS_MS, countedFacts, missesAfter, type RepositoryFacts, readRepositoryFacts } from './facts.ts';
import { probedShape } from './graphql.ts';
import { nameOf } from './keys.ts';
import { Blocked, type Context, findRest, type RestAnswer } from './rest.ts';
import { digestsOf, type RepositoryDocument, repositoryGone, repositoryRow, repositoryShape, timeOf } from './rows.ts';
import { tokenMark } from './settings.ts';

/** One 404 may be GitHub's mistake, or a repository that is private for a day: the second one in a row deletes. */
export const MISSES_MIN = 2;

/** What GitHub says of a watched repository. */
type Found =
  /** `isByNumber`: asked for by its number, so that its name says nothing of who has the old name now. */
  | { kind: 'found'; answer: RestAnswer<RepositoryDocument>; isByNumber: boolean }
  | { kind: 'not-modified' }
  | { kind: 'missing'; isBlocked: boolean };

/** What a visit knows of a repository before it reads commits. */
interface Begun {
  facts: RepositoryFacts;
  place: Place;
  loaded: Pick<Loaded, 'documents' | 'rows'>;
  seen: { digests: Record<string, string>; keys: string[]; always?: boolean; movedTo?: string };
}

/**
 * One visit of a repository: its document, and the commits that its default branch got since the last visit. While commits
 * are left, the next visit goes on with them alone, up to the head that the first of these visits saw.
 */
export async function visitRepository(change: Change, ctx: Context): Promise<Loaded> {
  const name = nameOf(change.key);
  const before = readRepositoryFacts(change.facts);
  // Go on with the commits that the last visit left.
  if (before?.reading) {
    const place = { id: before.id, fullName: name };
    const read = await readCommits(before.reading, { place, ctx }, { hasDocument: false });
    if (!read.isLost || read.documents.length > 0) return loadedOf({ facts: before, ...NOTHING() }, read, ctx);
  }
  // Get the document, by the number of the repository where it is known, because names pass on.
  const found = await findRepository(name, before, ctx);
  if (found.kind === 'missing') {
    const row = repositoryGone(name, before?.id ?? null);
    return missing(change, { before: before && known(before), isBlocked: found.isBlocked, row });
  }
  const begun =
    found.kind === 'found'
      ? await begin(name, { found, before }, ctx)
      : { facts: known(before!), place: { id: before!.id, fullName: name }, ...NOTHING() };
  // Read the commits that are new since.
  const commits = await newCommits(change, begun, ctx).catch(error => {
    if (isForLater(error)) return LATER;
    throw error;
  });
  return loadedOf(begun, commits, ctx);
}

const NOTHING = (): Pick<Begun, 'loaded' | 'seen'> => ({
  loaded: { documents: [], rows: [] },
  seen: { digests: {}, keys: [] },
});

async function findRepository(name: string, before: RepositoryFacts | null, ctx: Context): Promise<Found> {
  const options = { subject: 'github repository', shape: repositoryShape };
  const etag = before && etagOf(before, ctx);
  try {
    const byNumber = before && (await findRest(`/repositories/${before.id}`, { ...options, etag }, ctx));
    if (byNumber) return { kind: 'found', answer: byNumber, isByNumber: true };
    // Another one may have the name, or a redirect leads to the new one.
    const byName = await findRest(`/repos/${name}`, options, ctx);
    return byName ? { kind: 'found', answer: byName, isByNumber: false } : { kind: 'missing', isBlocked: false };
  } catch (error) {
    if (error instanceof Blocked) return { kind: 'missing', isBlocked: true };
    if (error instanceof ChangeError && error.status === 304) return { kind: 'not-modified' };
    throw error;
  }
}

/**
 * The ETag for a conditional request: null where another token got it, and where the document is needed in any case,
 * because the row waits for its counters.
 */
export function etagOf(
  { etag = null, token, since }: Pick<RepositoryFacts, 'etag' | 'token' | 'since'>,
  { settings, nowMs }: Context,
): string | null {
  const isDue = since !== undefined && nowMs - since >= COUNTERS_MS;
  return token === tokenMark(settings) && !isDue ? etag : null;
}

/** Facts of a document that is as it was. */
function known({ misses: _, reading: __, isEmpty: ___, ...facts }: RepositoryFacts): RepositoryFacts {
  return facts;
}

async function begin(
  name: string,
  {
    found: { answer, isByNumber },
    before,
  }: { found: Extract<Found, { kind: 'found' }>; before: RepositoryFacts | null },
  ctx: Context,
): Promise<Begun> {
  const { json: document, bytes, etag } = answer;
  const fullName = document.full_name.toLowerCase();
  // Another repository under the name is seen for the first time.
  const same = before?.id === document.id ? before : null;
  const digests = digestsOf(document);
  const { isDue, facts: counted } = countedFacts(digests, same, ctx.nowMs);
  const facts: RepositoryFacts = {
    id: document.id,
    node: document.node_id,
    updated: timeOf(document.updated_at),
    etag,
    token: tokenMark(ctx.settings),
    ...counted,
    branch: document.default_branch ?? null,
    pushed: timeOf(document.pushed_at),
    ...(same?.head !== undefined && { head: same.head }),
  };
  const [owner, repository] = fullName.split('/');
  const begun: Begun = {
    facts,
    place: { id: document.id, fullName },
    loaded: {
      documents: [{ name: `repo:${fullName}`, bytes, revision: null, path: ['raw', 'repos', owner!, repository!] }],
      rows: [repositoryRow(document)],
    },
    seen: { digests: { [githubRepo.name]: `${fullName} ${digests.main}` }, keys: [`user:${owner}`], always: isDue },
  };
  if (fullName === name) return begun;
  // It has another name: its old one has no row any more, unless another repository has taken it.
  begun.loaded.rows.push(repositoryGone(name, document.id));
  begun.seen.movedTo = `repo:${fullName}`;
  if (isByNumber && (await mayBeTaken(name, document.id, ctx))) begun.seen.keys.push(`repo:${name}`);
  return begun;
}

/**
 * Whether another repository has a name now; not where the name is free, or leads to this one. Where there is no permit
 * left to ask, it may: the name's own visit finds out. This one must not fail for it, because it would fail each time
 * that many names move at once.
 */
async function mayBeTaken(name: string, id: number, ctx: Context): Promise<boolean> {
  try {
    const found = await findRest(`/repos/${name}`, { subject: 'github repository', shape: repositoryShape }, ctx);
    return found !== null && found.json.id !== id && found.json.full_name.toLowerCase() === name;
  } catch (error) {
    if (error instanceof Blocked) return false;
    if (isForLater(error)) return true;
    throw error;
  }
}

/** Reads what the default branch has and the last visit did not see. `aim` is the head that is known at the end. */
async function newCommits(change: Change, { facts, place }: Begun, ctx: Context): Promise<Commits> {
  const { head, branch } = facts;
  if (branch === null || branch === undefined) return { ...NO_COMMITS, aim: null };
  // At first sight the newest commits up to the limit of the history.
  if (head === undefined) {
    const first = await firstPage(branch, { place, left: ctx.settings.historyMax }, ctx);
    if (first === null) return { ...NO_COMMITS, aim: null };
    const start = first.reading ?? { kind: 'walk', aim: first.aim, done: 0, left: null };
    return { ...(await readCommits(start, { place, ctx }, { page: first, hasDocument: true })), aim: first.aim };
  }
  // Later those ahead of the known head, or all where the repository was empty.
  const probed = probedShape.safeParse(change.probed).data;
  const aim = probed?.id === facts.id ? probed.oid : await headOf(branch, place, ctx);
  if (aim === null || aim === head) return { ...NO_COMMITS, aim };
  const reading =
    head === null
      ? ({ kind: 'walk', aim, done: 0, left: null } as const)
      : ({ kind: 'compare', base: head, aim, done: 0 } as const);
  return { ...(await readCommits(reading, { place, ctx }, { hasDocument: true })), aim };
}

/** `aim`: the head that is known at the end, where the visit chose one. `isLater`: it had no room to choose one. */
type Commits = CommitsRead & { aim?: string | null; isLater?: true };

const LATER: Commits = { ...NO_COMMITS, isLater: true };

/** The visit as a whole. The known head moves with the last page only. */
function loadedOf({ facts, loaded, seen }: Omit<Begun, 'place'>, read: Commits, { settings }: Context): Loaded {
  const { reading: planned, ...rest } = facts;
  const next: RepositoryFacts = rest;
  if (read.reading !== null && !read.isLost) next.reading = read.reading;
  const isDone = read.reading === null && !read.isLater;
  if (isDone) Object.assign(next, headFacts(rest, read.aim === undefined ? planned!.aim : read.aim));
  const authors = settings.authors ? [...new Set(read.authors)].map(login => `user:${login}`) : [];
  return {
    documents: loaded.documents.concat(read.documents),
    rows: loaded.rows.concat(read.rows),
    revision: null,
    seen: {
      found: true,
      partial: false,
      moreHosts: [],
      facts: next,
      digests: seen.digests,
      always: seen.always ?? false,
      keys: seen.keys.concat(authors),
      ...(seen.movedTo !== undefined && { movedTo: seen.movedTo }),
      unfinished: (next.reading !== undefined && !read.isDelayed) || read.isLater === true,
    },
  };
}

/** A branch that is not there now leaves the head known, so that what comes later is compared with it. */
function headFacts({ head = null }: RepositoryFacts, aim: string | null): Pick<RepositoryFacts, 'head' | 'isEmpty'> {
  return aim === null ? { head, isEmpty: true } : { head: aim };
}

/**
 * A visit that found nothing: the thing is deleted, private, renamed without a trace, or blocked. Until that is sure, its
 * row stays. `before`: what is kept of the facts before; null where the thing was never found.
 */
export function missing(
  { facts }: Change,
  { before, isBlocked, row }: { before: object | null; isBlocked: boolean; row: Loaded['rows'][number] },
): Loaded {
  const misses = isBlocked && before ? Math.max(MISSES_MIN, missesAfter(facts)) : missesAfter(facts);
  const none = { documents: [], revision: null };
  // Drop the ETag, because a row is wanted when the thing comes back as it was.
  const seen = { partial: false, moreHosts: [], facts: before ? { ...before, etag: null, misses } : { misses } };
  if (before !== null && misses < MISSES_MIN)
    return { ...none, rows: [], seen: { ...seen, found: true, unchanged: true } };
  return { ...none, rows: [row], seen: { ...seen, found: false } };
}
