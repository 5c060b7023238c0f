import { z } from 'zod';
import type { DocumentDigests } from './rows.ts';

/** A row in which only counters are others comes this long after they were seen to be others, so at most daily. */
export const COUNTERS_MS = 24 * 3_600_000;

/** Reading the commits up to `aim`, in parts. `done`: how many have been read of the list that GitHub gives. */
export type Reading =
  /** Those ahead of `base`, oldest first. `failures`: how many visits in a row GitHub failed to compare. */
  | { kind: 'compare'; base: string; aim: string; done: number; failures?: number | undefined }
  /** All that `aim` has, newest first, at most `left` more; null for all. */
  | { kind: 'walk'; aim: string; done: number; left: number | null };

const sha = z.string().min(1);

const readingShape = z.union([
  z.object({
    kind: z.literal('compare'),
    base: sha,
    aim: sha,
    done: z.int().nonnegative(),
    failures: z.int().optional(),
  }),
  z.object({ kind: z.literal('walk'), aim: sha, done: z.int().nonnegative(), left: z.int().nullable() }),
]);

/** What a visit of an account or a repository leaves to the next one. */
const documentFacts = {
  /** GitHub's number of the thing, and its name in GraphQL. */
  id: z.int(),
  node: z.string(),
  updated: z.string().nullish(),
  /** The ETag of the document, and a digest of the token that got it. */
  etag: z.string().nullish(),
  token: z.string().optional(),
  /** Digests of the last row; `since` is when counters were first seen to be others than in it, absent while they are not. */
  main: z.string(),
  counters: z.string(),
  since: z.number().optional(),
  /** How many visits in a row found nothing; absent after one that found it. */
  misses: z.int().optional(),
};

const repositoryFacts = z.object({
  ...documentFacts,
  branch: z.string().nullish(),
  pushed: z.string().nullish(),
  /** All commits that this one has were read, but for those before the limit of the first sight; null of an empty repository. */
  head: z.string().nullable().optional(),
  /** The last visit found no commit. */
  isEmpty: z.boolean().optional(),
  reading: readingShape.optional(),
});

const accountFacts = z.object({ ...documentFacts, isOrganization: z.boolean() });

const ownerFacts = z.object({
  /** The account's number, once a repository has said it. */
  id: z.int().nullable(),
  /** The newest push of its repositories that the list has shown. */
  pushed: z.string().nullable(),
  /** When the whole list was read last. */
  wholeMs: z.number().nullable(),
  /** The list that is being read: which page comes next, and the newest push of its first page. */
  listing: z.object({ page: z.int().positive(), isWhole: z.boolean(), newest: z.string().nullable() }).optional(),
  misses: z.int().optional(),
});

export type RepositoryFacts = z.output<typeof repositoryFacts>;
export type AccountFacts = z.output<typeof accountFacts>;
export type OwnerFacts = z.output<typeof ownerFacts>;

/** The facts of a visit, null before the first one that found something, and for those of an earlier version of this code. */
export function readRepositoryFacts(facts: unknown): RepositoryFacts | null {
  return repositoryFacts.safeParse(facts).data ?? null;
}

export function readAccountFacts(facts: unknown): AccountFacts | null {
  return accountFacts.safeParse(facts).data ?? null;
}

export function readOwnerFacts(facts: unknown): OwnerFacts | null {
  return ownerFacts.safeParse(facts).data ?? null;
}

/** How many visits in a row found nothing, this one included; of a key that was never found it is not counted. */
export function missesAfter(facts: unknown): number {
  const { misses = 0 } = (facts ?? {}) as { misses?: number };
  return misses + 1;
}

/**
 * What a visit leaves of its document's digests. Counters that are others than in the last row give a row of their own
 * once they have been so for `COUNTERS_MS`: then `isDue`.
 */
export function countedFacts(
  { main, counters }: DocumentDigests,
  before: { main: string; counters: string; since?: number | undefined } | null,
  nowMs: number,
): { isDue: boolean; facts: { main: string; counters: string; since?: number } } {
  const facts = { main, counters };
  if (before === null || before.main !== main || before.counters === counters) return { isDue: false, facts };
  const since = before.since ?? nowMs;
  if (nowMs - since >= COUNTERS_MS) return { isDue: true, facts };
  return { isDue: false, facts: { main, counters: before.counters, since } };
}
