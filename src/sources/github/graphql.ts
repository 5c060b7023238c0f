import { z } from 'zod';
import { ChangeError } from '../../errors.ts';
import { KiB } from '../../limits.ts';
import type { Change, ProbeAnswer } from '../../ports/change.ts';
import type { Body } from '../source.ts';
import { checkShape } from '../upstream/json.ts';
import { COUNTERS_MS, type RepositoryFacts, readAccountFacts, readRepositoryFacts } from './facts.ts';
import { kindOf, nameOf } from './keys.ts';
import { type Context, checkRefusal, headersOf, isSecondaryLimit, limitWaitMs } from './rest.ts';
import { graphqlHost } from './settings.ts';

/** GitHub's limit on the ids of one `nodes`. */
export const NODES_MAX = 100;

/** 100 nodes have 19 KiB, and an error for each of them as much again. */
const ANSWER_BYTES_MAX = 512 * KiB;

/** GitHub ends a query after 10 s. */
const ANSWER_MS_MAX = 15_000;

/** Plain fields only: with connections the cost rises, and GitHub cuts lists in lists without saying so. */
const QUERY = `query($ids: [ID!]!) {
  rateLimit { cost remaining resetAt }
  nodes(ids: $ids) {
    __typename
    ... on Repository {
      id databaseId nameWithOwner pushedAt updatedAt isArchived defaultBranchRef { name target { oid } }
    }
    ... on User { id databaseId login updatedAt }
    ... on Organization { id databaseId login updatedAt }
  }
}`;

const errorShape = z.looseObject({
  type: z.string().nullish(),
  path: z.array(z.union([z.string(), z.int()])).nullish(),
  code: z.string().nullish(),
  message: z.string().nullish(),
});

/** An owner has 39 characters at most, and a name 100. */
const NAME_LENGTH_MAX = 140;

const nodeShape = z.looseObject({
  __typename: z.string(),
  databaseId: z.int().nullish(),
  nameWithOwner: z.string().max(NAME_LENGTH_MAX).nullish(),
  login: z.string().max(NAME_LENGTH_MAX).nullish(),
  pushedAt: z.string().nullish(),
  updatedAt: z.string().nullish(),
  defaultBranchRef: z
    .looseObject({ name: z.string(), target: z.looseObject({ oid: z.string().regex(/^[\da-f]{40,64}$/) }).nullable() })
    .nullish(),
});

const answerShape = z.looseObject({ data: z.looseObject({}), errors: z.array(errorShape).nullish() });

const dataShape = z.looseObject({ nodes: z.array(nodeShape.nullable()) });

type Node = z.output<typeof nodeShape>;

/** What the probe says of a repository that changed: its name and number, and the head of its default branch. */
export const probedShape = z.object({ id: z.int(), name: z.string(), oid: z.string().nullable() });

/**
 * Asks which of some keys changed. Those without a node (owners, and keys that were never found) are left to their visits. Throws
 * `ChangeError` where the answer as a whole says nothing, so that it is asked for in halves.
 */
export async function askNodes(changes: Change[], ctx: Context): Promise<ProbeAnswer[]> {
  const nodes = changes.map(change => nodeIdOf(change));
  const ids = nodes.filter(id => id !== null);
  const answered = ids.length === 0 ? [] : await fetchNodes(ids, ctx);
  const next = answered.values();
  return changes.map((change, index) => {
    if (nodes[index] === null) return { kind: 'changed', answer: null };
    const { node, error } = next.next().value!;
    if (error !== null) return { kind: 'failed', reason: `github probe: expected an answer, got ${error}` };
    return judge(change, node, ctx.nowMs);
  });
}

function nodeIdOf({ key, facts }: Change): string | null {
  if (kindOf(key) === 'owner') return null;
  return (kindOf(key) === 'repo' ? readRepositoryFacts(facts) : readAccountFacts(facts))?.node ?? null;
}

/** What GraphQL says of each id: a node, null where there is none, or the type of an error. */
async function fetchNodes(ids: string[], ctx: Context): Promise<{ node: Node | null; error: string | null }[]> {
  const subject = 'github probe';
  const { json } = await ctx.fetchJson(`${ctx.settings.url}/graphql`, {
    subject,
    shape: answerShape,
    bytesMax: ANSWER_BYTES_MAX,
    timeoutMs: ANSWER_MS_MAX,
    permitHost: graphqlHost(ctx.settings),
    headers: headersOf(ctx.settings),
    post: { body: JSON.stringify({ query: QUERY, variables: { ids } }), contentType: 'application/json' },
    check: (answer, body) => checkAnswer(answer, body, { subject, nowMs: ctx.nowMs }),
    checkRefusal: refusal => checkRefusal(refusal, { subject, nowMs: ctx.nowMs }),
  });
  const { nodes } = checkShape(subject, dataShape, json.data);
  if (nodes.length !== ids.length)
    throw new ChangeError('wrong-shape', `${subject}: expected nodes to have ${ids.length} nodes, got ${nodes.length}`);
  // An error says by its path of which node it is; a missing node is none.
  const errors = new Map<number, string>();
  for (const { path, type } of json.errors ?? []) {
    const [first, index] = path ?? [];
    if (first === 'rateLimit') continue;
    if (first !== 'nodes' || typeof index !== 'number')
      throw new ChangeError('wrong-shape', `${subject}: expected errors of nodes, got ${typeText(type)}`);
    if (!ABSENT.has(type ?? '') || path!.length > 2) errors.set(index, typeText(type));
  }
  return nodes.map((node, index) => ({ node, error: errors.get(index) ?? null }));
}

/** The types of an error that says that a node is not to be had: its visit finds out why. */
const ABSENT = new Set(['NOT_FOUND', 'FORBIDDEN']);

/** The types by which an answer of status 200 says that the limit is used up; the second has been in use since 2026. */
const LIMITED = new Set(['RATE_LIMITED', 'RATE_LIMIT']);

const refusalShape = z.looseObject({ message: z.string().nullish(), errors: z.array(errorShape).nullish() });

/** Throws for an answer that refuses the caller, and for one whose query GitHub gave up, whatever data it has. */
function checkAnswer(answer: unknown, { headers }: Body, { subject, nowMs }: { subject: string; nowMs: number }): void {
  const { message = '', errors } = refusalShape.safeParse(answer).data ?? {};
  // A secondary limit has the text of REST, in an error or in place of all.
  for (const error of [{ message }, ...(errors ?? [])]) {
    const { type = null, code = null, message: text } = error as z.output<typeof errorShape>;
    const isLimited = LIMITED.has(type ?? '') || code === 'graphql_rate_limit' || isSecondaryLimit(text ?? '');
    if (isLimited) {
      const limit = { status: 429, retryAfterMs: limitWaitMs(headers, text ?? '', nowMs) };
      throw new ChangeError('http-429', `${subject}: expected an answer, got a rate limit`, limit);
    }
    if (type === 'RESOURCE_LIMITS_EXCEEDED')
      throw new ChangeError('wrong-shape', `${subject}: expected a whole answer, got ${type}`);
  }
}

/** The type of an error, which is a word of GitHub's; anything else is not repeated. */
function typeText(type: string | null | undefined): string {
  return /^[A-Z_]{1,60}$/.exec(type ?? '')?.[0] ?? 'another error';
}

/** Compares a node with what the key's last visit left. A node that is gone is confirmed by a visit. */
function judge(change: Change, node: Node | null, nowMs: number): ProbeAnswer {
  const isRepository = kindOf(change.key) === 'repo';
  const facts = isRepository ? readRepositoryFacts(change.facts)! : readAccountFacts(change.facts)!;
  const name = isRepository ? node?.nameWithOwner : node?.login;
  if (!node || node.databaseId !== facts.id || !name) return { kind: 'changed', answer: null };
  const oid = node.defaultBranchRef?.target?.oid ?? null;
  // A visit that found nothing, or counters that wait for their row, need a visit whatever the node says.
  const isWaiting = facts.misses !== undefined || nowMs - (facts.since ?? nowMs) >= COUNTERS_MS;
  const isSame =
    name.toLowerCase() === nameOf(change.key) &&
    node.updatedAt === facts.updated &&
    (!isRepository || isSameRepository(node, oid, readRepositoryFacts(change.facts)!));
  if (isSame && !isWaiting) return { kind: 'unchanged' };
  return { kind: 'changed', answer: isRepository ? { id: facts.id, name, oid } : null };
}

function isSameRepository(node: Node, oid: string | null, facts: RepositoryFacts): boolean {
  const { head = null, isEmpty = false, pushed = null, branch = null } = facts;
  if (oid !== (isEmpty ? null : head)) return false;
  // Without a commit REST and GraphQL may say different times of a push that never was.
  return oid === null || ((node.pushedAt ?? null) === pushed && node.defaultBranchRef?.name === branch);
}
