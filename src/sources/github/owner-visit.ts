import { z } from 'zod';
import { ChangeError, StepError } from '../../errors.ts';
import { MiB } from '../../limits.ts';
import type { Change, Loaded } from '../../ports/change.ts';
import { missesAfter, type OwnerFacts, readOwnerFacts } from './facts.ts';
import { nameOf } from './keys.ts';
import { type Context, findRest } from './rest.ts';
import { accountShape } from './rows.ts';

const PAGE_REPOSITORIES = 100;

/** In GitHub's published shape 100 repositories have 0.4 MiB. */
const PAGE_BYTES_MAX = 2 * MiB;

/** Pages of one visit: with their limit no more bytes than the commits of a repository. */
const PAGES_MAX = 3;

/** Repositories that were made public or transferred have no new push, so the whole list is read this often. */
const WHOLE_MS = 7 * 24 * 3_600_000;

/** `2026-11-25T12:00:00Z`, with room for fractions and an offset. */
const TIME_LENGTH_MAX = 40;

const listShape = z.array(
  z.looseObject({
    full_name: z.string(),
    private: z.boolean().nullish(),
    pushed_at: z.string().max(TIME_LENGTH_MAX).nullish(),
    owner: z.looseObject({ id: z.int(), login: z.string() }),
  }),
);

type Listed = z.output<typeof listShape>[number];

const FIRST: OwnerFacts = { id: null, pushed: null, wholeMs: null };

/**
 * One visit of an owner, which gives no row but the keys of its public repositories: those pushed to since the last visit,
 * and every seven days all of them.
 */
export async function visitOwner(change: Change, ctx: Context): Promise<Loaded> {
  const login = nameOf(change.key);
  const before = readOwnerFacts(change.facts) ?? FIRST;
  const { misses: _, listing: left, ...facts }: OwnerFacts = before;
  let listing = left ?? { page: 1, isWhole: isWholeDue(before, ctx.nowMs), newest: null };
  const keys: string[] = [];
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const listed = await pageOf(login, listing, ctx).catch(error => {
      const isOver = error instanceof ChangeError || (error instanceof StepError && error.kind === 'deadline');
      if (isOver && pages > 0) return 'later' as const;
      throw error;
    });
    if (listed === 'later') return loadedOf({ ...facts, listing }, keys);
    if (listed === null) return missing(login, { change, before }, ctx);
    facts.id ??= listed.find(({ owner }) => owner.login.toLowerCase() === login)?.owner.id ?? null;
    keys.push(...listed.filter(one => one.private !== true).map(one => `repo:${one.full_name}`));
    const newest = listing.newest ?? newestOf(listed);
    const isKnown = !listing.isWhole && listed.some(({ pushed_at: at }) => isUpTo(at, facts.pushed));
    if (listed.length < PAGE_REPOSITORIES || isKnown) {
      const wholeMs = listing.isWhole ? ctx.nowMs : facts.wholeMs;
      return loadedOf({ ...facts, wholeMs, pushed: latest(newest, facts.pushed) }, keys);
    }
    listing = { ...listing, page: listing.page + 1, newest };
  }
  return loadedOf({ ...facts, listing }, keys);
}

function isWholeDue({ wholeMs }: OwnerFacts, nowMs: number): boolean {
  return wholeMs === null || nowMs - wholeMs >= WHOLE_MS;
}

/** A page of the list; null where there is no such owner. The whole list goes by name, which no push moves. */
async function pageOf(
  login: string,
  { page, isWhole }: { page: number; isWhole: boolean },
  ctx: Context,
): Promise<Listed[] | null> {
  const order = isWhole ? 'sort=full_name&direction=asc' : 'sort=pushed&direction=desc';
  const path = `/users/${login}/repos?type=owner&${order}&per_page=${PAGE_REPOSITORIES}&page=${page}`;
  const options = { subject: 'github repositories', shape: listShape, bytesMax: PAGE_BYTES_MAX };
  return (await findRest(path, options, ctx))?.json ?? null;
}

/** Times of one form, so that their order is that of their texts. */
function isUpTo(at: string | null | undefined, known: string | null): boolean {
  return known !== null && (at ?? '') <= known;
}

function newestOf(listed: Listed[]): string | null {
  return listed.reduce<string | null>((newest, { pushed_at: at }) => latest(newest, at ?? null), null);
}

function latest(a: string | null, b: string | null): string | null {
  return a === null || (b !== null && b > a) ? b : a;
}

function loadedOf(facts: OwnerFacts, keys: string[]): Loaded {
  const seen = { found: true, partial: false, moreHosts: [], facts, keys, unfinished: facts.listing !== undefined };
  return { documents: [], rows: [], revision: null, seen };
}

/** An owner that is not there under its login: it may have another one. */
async function missing(
  login: string,
  { change, before }: { change: Change; before: OwnerFacts },
  ctx: Context,
): Promise<Loaded> {
  const account =
    before.id === null
      ? null
      : await findRest(`/user/${before.id}`, { subject: 'github account', shape: accountShape }, ctx);
  const name = account?.json.login.toLowerCase() ?? login;
  const seen = { partial: false, moreHosts: [] };
  if (name === login) {
    const facts = { ...(before.id !== null && before), misses: missesAfter(change.facts) };
    return { documents: [], rows: [], revision: null, seen: { ...seen, found: false, facts } };
  }
  const { misses: _, listing: __, ...facts } = before;
  return { documents: [], rows: [], revision: null, seen: { ...seen, found: true, facts, movedTo: `owner:${name}` } };
}
