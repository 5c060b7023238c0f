import type { components } from '@octokit/openapi-types';
import type { Answer } from '../../stand-in/faults.ts';
import { compare, historyOf } from './commit-graph.ts';
import type { Items } from './items.ts';
import { blocked, moved, notFound, refuse } from './refusals.ts';
import { type Account, isRepository, type Repository, type World } from './world.ts';

type Comparison = components['schemas']['commit-comparison'];

const PER_PAGE = 30;
const PER_PAGE_MAX = 100;
/** Commits of a comparison without paging, and files of any. */
const COMPARED_COMMITS_MAX = 250;
const COMPARED_FILES_MAX = 300;

/** A request whose path has led to the thing it asks for. `url` is the one by which links name the pages of a list. */
interface Asked {
  world: World;
  items: Items;
  url: string;
  query: URLSearchParams;
}

/** Answers a GET below the API's base. `origin` is that base. */
export function answerRest(url: URL, { world, items, origin }: { world: World; items: Items; origin: string }): Answer {
  const [room, ...rest] = url.pathname.slice(1).split('/').map(decodeURIComponent);
  const asked = { world, items, url: '', query: url.searchParams };
  if (room === 'repos' && rest.length >= 2) {
    const [owner = '', name = '', ...more] = rest;
    const repository = world.find(`${owner}/${name}`);
    if (repository) return answerRepository(repository, more, asked, origin);
    const target = world.redirect(`${owner}/${name}`);
    if (!target || target.private) return notFound();
    const suffix = url.pathname
      .split('/')
      .slice(4)
      .map(part => `/${part}`);
    return moved(`${origin}/repositories/${target.id}${suffix.join('')}${url.search}`);
  }
  if (room === 'repositories' && rest.length >= 1) {
    const repository = world.ids.get(Number(rest[0]));
    return repository && isRepository(repository)
      ? answerRepository(repository, rest.slice(1), asked, origin)
      : notFound();
  }
  const account = accountAt(world, room ?? '', rest[0] ?? '');
  return account ? answerAccount(account, { room: room!, more: rest.slice(1) }, asked, origin) : notFound();
}

function accountAt(world: World, room: string, key: string): Account | null {
  if (room === 'users' || room === 'orgs') {
    const account = world.accounts.get(key.toLowerCase()) ?? null;
    return room === 'orgs' && account?.type !== 'Organization' ? null : account;
  }
  if (room !== 'user' && room !== 'organizations') return null;
  const account = world.ids.get(Number(key));
  if (!account || isRepository(account)) return null;
  return room === 'user' || account.type === 'Organization' ? account : null;
}

function answerAccount(
  account: Account,
  { room, more }: { room: string; more: string[] },
  asked: Asked,
  origin: string,
): Answer {
  const isOrganization = room === 'orgs' || room === 'organizations';
  const { items, query } = asked;
  if (more.length === 0) return json(isOrganization ? items.organization(account) : items.publicUser(account));
  if (more.join('/') !== 'repos') return notFound();
  const refusal = unknownParameter(query, ['type', 'sort', 'direction', 'per_page', 'page']);
  if (refusal) return refusal;
  const listed = listRepositories(account, isOrganization, asked);
  const url = `${origin}/${isOrganization ? 'organizations' : 'user'}/${account.id}/repos`;
  return answerPage(listed, { ...asked, url }, repository => items.listedRepository(repository));
}

/** The public repositories of an account, in the order asked for. */
function listRepositories(account: Account, isOrganization: boolean, { world, query }: Asked): Repository[] {
  const type = query.get('type') ?? (isOrganization ? 'all' : 'owner');
  const sort = query.get('sort') ?? (isOrganization ? 'created' : 'full_name');
  const direction = query.get('direction') ?? (sort === 'full_name' ? 'asc' : 'desc');
  const isListed = (repository: Repository) => {
    if (repository.private || type === 'member' || type === 'private') return false;
    if (type === 'forks') return repository.parent !== null;
    return type !== 'sources' || repository.parent === null;
  };
  const keyOf = ({ pushedAt, createdAt, updatedAt, fullName }: Repository): string => {
    if (sort === 'pushed') return pushedAt ?? createdAt;
    if (sort === 'created') return createdAt;
    return sort === 'updated' ? updatedAt : fullName.toLowerCase();
  };
  const sign = direction === 'asc' ? 1 : -1;
  const order = (a: Repository, b: Repository) => {
    const [one, other] = [keyOf(a), keyOf(b)];
    return one === other ? a.id - b.id : one < other ? -sign : sign;
  };
  return world.repositoriesOf(account).filter(isListed).sort(order);
}

function answerRepository(repository: Repository, more: string[], asked: Asked, origin: string): Answer {
  if (repository.private) return notFound();
  if (repository.block) return blocked(repository.block);
  const [what, ...rest] = more;
  const url = `${origin}/repositories/${repository.id}/${more.map(encodeURIComponent).join('/')}`;
  if (what === undefined) return json(asked.items.repository(repository));
  if (what === 'commits' && rest.length === 0) return answerCommits(repository, { ...asked, url });
  if (what === 'compare' && rest.length > 0) return answerComparison(repository, rest.join('/'), { ...asked, url });
  return notFound();
}

function answerCommits(repository: Repository, asked: Asked): Answer {
  const { query, items } = asked;
  const refusal = unknownParameter(query, ['sha', 'since', 'until', 'per_page', 'page']);
  if (refusal) return refusal;
  if (repository.branches.size === 0) return refuse(409, 'Git Repository is empty.');
  const head = shaOf(repository, query.get('sha') ?? repository.defaultBranch);
  if (head === null) return notFound();
  const [since, until] = ['since', 'until'].map(name => Date.parse(query.get(name) ?? ''));
  const isIn = (sha: string) => {
    const date = Date.parse(repository.objects.get(sha)?.committer?.date ?? '');
    return !(date < since!) && !(date > until!);
  };
  const history = historyOf(repository.objects, head).filter(isIn);
  return answerPage(history, asked, sha => items.commit(repository, sha));
}

function answerComparison(repository: Repository, range: string, asked: Asked): Answer {
  const { query, items, url } = asked;
  const refusal = unknownParameter(query, ['per_page', 'page']);
  if (refusal) return refusal;
  const [baseName = '', headName = ''] = range.split('...');
  const [base, head] = [shaOf(repository, baseName), shaOf(repository, headName)];
  if (base === null || head === null) return notFound();
  const found = compare(repository.objects, base, head);
  if (!found) return refuse(404, `No common ancestor between ${baseName} and ${headName}.`);
  const { ahead, behind, mergeBase } = found;
  const isPaged = query.has('page') || query.has('per_page');
  const { page, perPage, headers } = pageOf(ahead.length, asked);
  const shas = isPaged ? ahead.slice((page - 1) * perPage, page * perPage) : ahead.slice(-COMPARED_COMMITS_MAX);
  const body: Comparison = {
    url,
    html_url: url,
    permalink_url: url,
    diff_url: `${url}.diff`,
    patch_url: `${url}.patch`,
    base_commit: items.commit(repository, base),
    merge_base_commit: items.commit(repository, mergeBase),
    status: statusOf(ahead.length, behind),
    ahead_by: ahead.length,
    behind_by: behind,
    total_commits: ahead.length,
    commits: shas.map(sha => items.commit(repository, sha)),
    files: isPaged && page > 1 ? [] : ahead.slice(0, COMPARED_FILES_MAX).map(sha => items.file(repository, sha)),
  };
  return json(body, isPaged ? headers : {});
}

function statusOf(ahead: number, behind: number): Comparison['status'] {
  if (ahead > 0 && behind > 0) return 'diverged';
  if (ahead > 0) return 'ahead';
  return behind > 0 ? 'behind' : 'identical';
}

/** The commit of a branch or of a full sha; null when there is none. */
function shaOf(repository: Repository, name: string): string | null {
  const branch = repository.branches.get(name);
  return branch ?? (repository.objects.has(name) ? name : null);
}

/** A parameter that GitHub knows and the stand-in does not would be answered wrongly, so it is refused. */
function unknownParameter(query: URLSearchParams, known: string[]): Answer | null {
  const unknown = [...query.keys()].find(name => !known.includes(name));
  return unknown === undefined ? null : refuse(400, `stand-in: expected one of ${known.join(', ')}, got ${unknown}`);
}

function answerPage<T>(all: readonly T[], asked: Asked, itemOf: (one: T) => unknown): Answer {
  const { page, perPage, headers } = pageOf(all.length, asked);
  return json(all.slice((page - 1) * perPage, page * perPage).map(itemOf), headers);
}

/** Which part of a list is asked for, and the links to the others. */
function pageOf(
  total: number,
  { query, url }: Asked,
): { page: number; perPage: number; headers: Record<string, string> } {
  const perPage = Math.min(PER_PAGE_MAX, positive(query.get('per_page')) ?? PER_PAGE);
  const page = positive(query.get('page')) ?? 1;
  const last = Math.max(1, Math.ceil(total / perPage));
  const linkTo = (number: number, rel: string) => {
    const own = new URLSearchParams(query);
    own.set('page', String(number));
    return `<${url}?${own}>; rel="${rel}"`;
  };
  const links: string[] = [];
  if (page > 1) links.push(linkTo(page - 1, 'prev'));
  if (page < last) links.push(linkTo(page + 1, 'next'), linkTo(last, 'last'));
  if (page > 1) links.push(linkTo(1, 'first'));
  return { page, perPage, headers: links.length === 0 ? {} : { link: links.join(', ') } };
}

function positive(text: string | null): number | null {
  const number = Number(text);
  return Number.isInteger(number) && number > 0 ? number : null;
}

function json(body: unknown, headers: Record<string, string> = {}): Answer {
  return { headers, body: JSON.stringify(body) };
}
