import { z } from 'zod';
import { sha256Hex } from '../../digest.ts';
import { ChangeError, StepError } from '../../errors.ts';
import { MiB } from '../../limits.ts';
import type { Document, LoadedRow } from '../../ports/change.ts';
import { isObject } from '../upstream/json.ts';
import type { Reading } from './facts.ts';
import { type Context, findRest, getRest, type RestAnswer } from './rest.ts';
import { type CommitItem, commitRow, commitShape } from './rows.ts';

/** Requests for commits in one visit: 1,000 rows in one append, of 3 MiB where messages are short. */
const REQUESTS_MAX = 10;

/** GitHub's limit. */
const PAGE_COMMITS = 100;

/**
 * Bytes of one page. In GitHub's published shape 100 signed commits have 0.3 MiB. The first page of a comparison also has
 * the changes of up to 300 files, whose patches may be long. A larger page is asked for in smaller ones, because messages
 * may have 1 MB each.
 */
const PAGE_BYTES_MAX = 4 * MiB;

/** After so many bytes of pages a visit ends: with one more page its rows have 12 MB, and fit into one answer of the Loader. */
const VISIT_BYTES = 2 * MiB;

/** Bytes of the pages of one visit at most. */
export const COMMITS_BYTES_MAX = VISIT_BYTES + PAGE_BYTES_MAX;

/** Commits of one page, the largest first: each divides the one before, so that a page begins where the last one ended. */
const PAGE_SIZES = [PAGE_COMMITS, 10, 1];

/** JSON values of a page: 100 commits have 7,000, and 300 files 3,400. Merges have further ones for each parent. */
const PAGE_VALUES_MAX = 200_000;

/**
 * Visits in a row in which GitHub may fail to compare, before all commits are read instead: some comparisons take it too
 * long, and during an outage reading all commits of every repository would be far more work.
 */
const COMPARE_FAILURES_MAX = 3;

const compareShape = z.looseObject({
  status: z.string(),
  total_commits: z.int().nonnegative(),
  commits: z.array(commitShape),
});

const listShape = z.array(commitShape);

/** The repository whose commits are read, by the name that it has now. */
export interface Place {
  id: number;
  fullName: string;
}

/** The commits that one visit read. */
export interface CommitsRead {
  documents: Document[];
  rows: LoadedRow[];
  /** Logins of authors who have an account. */
  authors: string[];
  /** What is left to read; null at the end. */
  reading: Reading | null;
  /** The aim does not exist any more: what was read counts, and the next visit aims at another head. */
  isLost: boolean;
  /** GitHub failed to compare: the next visit tries again, and not at once. */
  isDelayed: boolean;
}

/** One page of commits, and what is left after it. */
interface Page {
  items: CommitItem[];
  bytes: Uint8Array;
  reading: Reading | null;
}

/** What a visit has done before it reads commits. */
interface Beginning {
  /** The first page, which is read already. */
  page?: Page;
  /** The visit has a document, which counts although there is no time or permit left for commits. */
  hasDocument: boolean;
}

/**
 * Reads commits until the aim is reached, or a visit has done its work. A page that fails ends the visit; the pages
 * before it count. Throws for the first page, unless a visit with a document can go on later.
 */
export async function readCommits(
  first: Reading,
  { place, ctx }: { place: Place; ctx: Context },
  { page: beginning, hasDocument }: Beginning,
): Promise<CommitsRead> {
  const read: CommitsRead = { ...NO_COMMITS, documents: [], rows: [], authors: [], reading: first };
  let requests = 0;
  let bytes = 0;
  if (beginning) {
    takePage(read, beginning, place);
    requests += 1;
    bytes += beginning.bytes.length;
  }
  for (; read.reading && !read.isLost && requests < REQUESTS_MAX && bytes < VISIT_BYTES; requests++) {
    try {
      const page = await nextPage(read.reading, place, ctx);
      if (page === 'lost') read.isLost = true;
      // The comparison is not to be had: read all that the aim has, because new commits may lie behind known ones.
      else if (page === 'no-comparison') read.reading = walkTo(read.reading.aim);
      else {
        bytes += page.bytes.length;
        takePage(read, page, place);
      }
    } catch (error) {
      const isPage = error instanceof ChangeError && read.documents.length > 0;
      if (isPage || (isForLater(error) && (hasDocument || read.documents.length > 0))) return read;
      if (read.reading.kind !== 'compare' || !isServerFault(error)) throw error;
      const failures = (read.reading.failures ?? 0) + 1;
      const isGivenUp = failures >= COMPARE_FAILURES_MAX;
      read.reading = isGivenUp ? walkTo(read.reading.aim) : { ...read.reading, failures };
      if (!isGivenUp) return { ...read, isDelayed: true };
    }
  }
  return read;
}

/** What a visit without commits to read has read. */
export const NO_COMMITS: Readonly<CommitsRead> = {
  documents: [],
  rows: [],
  authors: [],
  reading: null,
  isLost: false,
  isDelayed: false,
};

function walkTo(aim: string): Reading {
  return { kind: 'walk', aim, done: 0, left: null };
}

/** Whether GitHub failed, or took too long. */
function isServerFault(error: unknown): boolean {
  return error instanceof ChangeError && ((error.status ?? 0) >= 500 || error.reason === 'timeout');
}

/** Whether an error says that there is no time, no permit or no room at the host now, and nothing of what was asked for. */
export function isForLater(error: unknown): boolean {
  if (error instanceof StepError) return error.kind === 'deadline';
  return error instanceof ChangeError && error.status === 429;
}

/**
 * The first page of a branch, newest first, which says what its head is: with the reading of the rest. Null where the
 * repository is empty, or has no such branch.
 */
export async function firstPage(
  branch: string,
  { place, left }: { place: Place; left: number | null },
  ctx: Context,
): Promise<(Page & { aim: string }) | null> {
  const found = await walkPage({ ref: branch, done: 0 }, place, ctx);
  const aim = found?.json[0]?.sha;
  if (!found || aim === undefined) return null;
  return { ...pageOf(found, { kind: 'walk', aim, done: 0, left }), aim };
}

/** The head of a branch; null where the repository is empty, or has no such branch. */
export async function headOf(branch: string, place: Place, ctx: Context): Promise<string | null> {
  const found = await listCommits({ ref: branch, size: 1, page: 1 }, place, ctx);
  return found?.json[0]?.sha ?? null;
}

function takePage(read: CommitsRead, { items, bytes, reading }: Page, { id, fullName }: Place): void {
  read.reading = reading;
  if (items.length === 0) return;
  const [owner, name] = fullName.split('/');
  // The same commits may come in other pages, or with other links to accounts, so the name says all of the bytes.
  const file = `${items[0]!.sha}-${items.at(-1)!.sha}-${sha256Hex(bytes).slice(0, 16)}.json`;
  const path = ['raw', 'commits', owner!, name!];
  read.documents.push({ name: `repo:${fullName}`, bytes, revision: null, path, file, immutable: true });
  for (const item of items) {
    read.rows.push(commitRow(item, { githubId: id, repo: fullName }));
    const { author } = item;
    if (isObject(author) && author.type === 'User' && typeof author.login === 'string') read.authors.push(author.login);
  }
}

async function nextPage(reading: Reading, place: Place, ctx: Context): Promise<Page | 'lost' | 'no-comparison'> {
  if (reading.kind === 'compare') return (await comparePage(reading, place, ctx)) ?? 'no-comparison';
  const found = await walkPage({ ref: reading.aim, done: reading.done }, place, ctx);
  return found ? pageOf(found, reading) : 'lost';
}

/** A page of the commits that the aim has and the base has not; null where there is no such comparison. */
async function comparePage(
  reading: Extract<Reading, { kind: 'compare' }>,
  { fullName }: Place,
  ctx: Context,
): Promise<Page | null> {
  const { base, aim, done } = reading;
  const page = done / PAGE_COMMITS + 1;
  const path = `/repos/${fullName}/compare/${base}...${aim}?per_page=${PAGE_COMMITS}&page=${page}`;
  const options = { subject: 'github comparison', shape: compareShape, ...PAGE_LIMITS };
  const found = await findRest(path, options, ctx).catch(error => {
    // With the files of a large change the first page is too large, and with long messages any.
    if (error instanceof ChangeError && error.reason === 'too-large') return null;
    throw error;
  });
  if (!found) return null;
  const { commits, total_commits: total } = found.json;
  const after = done + PAGE_COMMITS;
  const isLast = commits.length === 0 || after >= total;
  const rest = { kind: 'compare' as const, base, aim, done: after };
  return { items: commits, bytes: found.bytes, reading: isLast ? null : rest };
}

/** A page of a walk whose size is left to `walkPage`. */
type WalkAnswer = RestAnswer<CommitItem[]> & { size: number };

function pageOf({ json, bytes, link, size }: WalkAnswer, reading: Extract<Reading, { kind: 'walk' }>): Page {
  const items = reading.left === null ? json : json.slice(0, reading.left);
  const left = reading.left === null ? null : reading.left - items.length;
  const hasNext = link === null ? json.length === size : /\brel="?next\b/.test(link);
  const isLast = json.length === 0 || !hasNext || left === 0;
  return { items, bytes, reading: isLast ? null : { ...reading, done: reading.done + size, left } };
}

/** The page after the commits that are done, as large as its bytes allow; null where the aim does not exist. */
async function walkPage(
  { ref, done }: { ref: string; done: number },
  place: Place,
  ctx: Context,
): Promise<WalkAnswer | null> {
  const sizes = PAGE_SIZES.filter(size => done % size === 0);
  for (const size of sizes) {
    try {
      const found = await listCommits({ ref, size, page: done / size + 1 }, place, ctx);
      return found && { ...found, size };
    } catch (error) {
      const isTooLarge = error instanceof ChangeError && error.reason === 'too-large';
      if (!isTooLarge || size === sizes.at(-1)) throw error;
    }
  }
  return null;
}

const PAGE_LIMITS = { bytesMax: PAGE_BYTES_MAX, valuesMax: PAGE_VALUES_MAX };

/** A page of the commits that a head has; null where the repository is empty (409), or has no such head. */
async function listCommits(
  { ref, size, page }: { ref: string; size: number; page: number },
  { fullName }: Place,
  ctx: Context,
): Promise<RestAnswer<CommitItem[]> | null> {
  const path = `/repos/${fullName}/commits?sha=${encodeURIComponent(ref)}&per_page=${size}&page=${page}`;
  try {
    return await getRest(path, { subject: 'github commits', shape: listShape, ...PAGE_LIMITS }, ctx);
  } catch (error) {
    if (error instanceof ChangeError && [404, 409, 422].includes(error.status ?? 0)) return null;
    throw error;
  }
}
