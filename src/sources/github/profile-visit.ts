import { githubProfile } from '../../../schemas/github_profile.ts';
import { ChangeError } from '../../errors.ts';
import type { Change, Loaded } from '../../ports/change.ts';
import { isForLater } from './commits-visit.ts';
import { type AccountFacts, countedFacts, readAccountFacts } from './facts.ts';
import { nameOf } from './keys.ts';
import { etagOf, missing } from './repository-visit.ts';
import { Blocked, type Context, findRest, type RestAnswer } from './rest.ts';
import { type AccountDocument, accountShape, digestsOf, profileGone, profileRow, timeOf } from './rows.ts';
import { tokenMark } from './settings.ts';

const ACCOUNT = { subject: 'github account', shape: accountShape };

type Found = { answer: RestAnswer<AccountDocument> } | 'not-modified' | 'missing' | 'blocked';

/** One visit of a person's or an organization's profile. */
export async function visitProfile(change: Change, ctx: Context): Promise<Loaded> {
  const login = nameOf(change.key);
  const before = readAccountFacts(change.facts);
  const found = await findAccount(login, before, ctx);
  if (found === 'missing' || found === 'blocked') {
    const row = profileGone(nameOf(change.key), before?.id ?? null);
    return missing(change, { before, isBlocked: found === 'blocked', row });
  }
  if (found === 'not-modified') {
    const { misses: _, ...facts } = before!;
    return { documents: [], rows: [], revision: null, seen: { ...SEEN, unchanged: true, facts } };
  }
  const { json: document, bytes, etag } = found.answer;
  const name = document.login.toLowerCase();
  const same = before?.id === document.id ? before : null;
  const { main, counters } = digestsOf(document);
  const { isDue: always, facts: counted } = countedFacts({ main, counters }, same, ctx.nowMs);
  const facts: AccountFacts = {
    id: document.id,
    node: document.node_id,
    updated: timeOf(document.updated_at),
    etag,
    token: tokenMark(ctx.settings),
    ...counted,
    isOrganization: document.type === 'Organization',
  };
  const digests = { [githubProfile.name]: `${name} ${main}` };
  const documents = [{ name: `user:${name}`, bytes, revision: null, path: ['raw', 'profiles', name] }];
  const rows = [profileRow(document)];
  if (name === login) return { documents, rows, revision: null, seen: { ...SEEN, facts, digests, always } };
  // A login that was given up may be another account's now: that is watched as a new key.
  const successor = await findRest(`/users/${login}`, ACCOUNT, ctx);
  return {
    documents,
    rows: [...rows, profileGone(login, document.id)],
    revision: null,
    seen: { ...SEEN, facts, digests, movedTo: `user:${name}`, keys: successor ? [`user:${login}`] : [] },
  };
}

const SEEN = { found: true, partial: false, moreHosts: [] };

/** Gets an account by its number where that is known, because a login that was given up may be another account's. */
async function findAccount(login: string, before: AccountFacts | null, ctx: Context): Promise<Found> {
  try {
    const answer = (before && (await findKnown(login, before, ctx))) ?? (await findByLogin(login, ctx));
    return answer ? { answer } : 'missing';
  } catch (error) {
    if (error instanceof Blocked) return 'blocked';
    if (error instanceof ChangeError && error.status === 304) return 'not-modified';
    throw error;
  }
}

async function findKnown(
  login: string,
  before: AccountFacts,
  ctx: Context,
): Promise<RestAnswer<AccountDocument> | null> {
  const etag = etagOf(before, ctx);
  // An organization has a document of its own, which goes by login only.
  if (before.isOrganization) {
    const found = await findRest(`/orgs/${login}`, { ...ACCOUNT, etag }, ctx);
    if (found?.json.id === before.id) return found;
  }
  const found = await findRest(`/user/${before.id}`, { ...ACCOUNT, etag: before.isOrganization ? null : etag }, ctx);
  return found && organizationOf(found, ctx);
}

async function findByLogin(login: string, ctx: Context): Promise<RestAnswer<AccountDocument> | null> {
  const found = await findRest(`/users/${login}`, ACCOUNT, ctx);
  return found && organizationOf(found, ctx);
}

/** The document of an organization in place of that of its account. */
async function organizationOf(found: RestAnswer<AccountDocument>, ctx: Context): Promise<RestAnswer<AccountDocument>> {
  const { type, login, id } = found.json;
  if (type !== 'Organization') return found;
  // Without a permit the document of its account has to do until the next visit.
  const organization = await findRest(`/orgs/${login.toLowerCase()}`, ACCOUNT, ctx).catch(error => {
    if (isForLater(error)) return null;
    throw error;
  });
  if (organization === null || organization.json.id !== id) return found;
  return { ...organization, json: { ...organization.json, type } };
}
