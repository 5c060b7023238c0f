import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Change, ProbeAnswer } from '../../../src/ports/change.ts';
import { github } from '../../../src/sources/github/github.ts';
import type { GithubStandIn } from '../../../src/sources/github/stand-in/stand-in.ts';
import type { World } from '../../../src/sources/github/stand-in/world.ts';
import { changeOf, type Follower, startFollower } from './follower.ts';

let follower: Follower;
let hub: World;
let standIn: GithubStandIn;
let close: () => Promise<unknown>;
let changes: Change[];

const KEYS = ['repo:octo/boat', 'repo:octo/raft', 'repo:octo/ship', 'user:octo', 'user:crew'];

beforeAll(async () => {
  ({ follower, hub, standIn, close } = await startFollower());
  for (const name of ['boat', 'raft', 'ship']) hub.commit(hub.repository(`octo/${name}`), [{}]);
  hub.account('crew', { type: 'Organization' });
  for (const key of KEYS) await follower.follow(key);
  changes = KEYS.map(key => changeOf(key, follower.watched.get(key)!.facts));
});
beforeEach(() => standIn.clearFaults());
afterAll(() => close());

const kinds = (answers: ProbeAnswer[]) => answers.map(({ kind }) => kind);

/** The probe's answer to this body of GraphQL. */
function answeredWith(
  body: unknown,
  { status = 200, headers = {} }: { status?: number; headers?: Record<string, string> } = {},
) {
  standIn.fault('/graphql', [{ status, headers, body: JSON.stringify(body) }]);
  return follower.probe(changes);
}

describe('the probe', () => {
  it('says in one request of each key whether it changed', async () => {
    follower.asked();
    expect(kinds(await follower.probe(changes))).toEqual(KEYS.map(() => 'unchanged'));
    expect(follower.asked()).toEqual(['/graphql 200']);
    hub.nowMs += 60_000;
    const [sha] = hub.commit(hub.find('octo/ship')!, [{}]);
    const answers = await follower.probe(changes);
    expect(answers[2]).toMatchObject({ kind: 'changed', answer: { name: 'octo/ship', oid: sha } });
    expect(kinds(answers).filter(kind => kind === 'changed')).toHaveLength(1);
  });

  it('leaves to their visits keys that have no node, without a request for them alone', async () => {
    follower.asked();
    const unknown = [
      changeOf('owner:octo', { id: 1, pushed: null, wholeMs: 1 }),
      changeOf('repo:octo/none', { misses: 1 }),
    ];
    expect(kinds(await follower.probe(unknown))).toEqual(['changed', 'changed']);
    expect(follower.asked()).toEqual([]);
    expect(kinds(await follower.probe([...unknown, changes[0]!]))).toEqual(['changed', 'changed', 'unchanged']);
  });

  it('is refused in four ways with status 200, and waits', async () => {
    const reset = { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(hub.nowMs / 1000 + 90) };
    const limit = { message: 'API rate limit exceeded for user ID 1.' };
    const secondary = { message: 'You have exceeded a secondary rate limit.' };
    for (const [body, headers, retryAfterMs] of [
      [{ errors: [{ type: 'RATE_LIMITED', ...limit }] }, reset, 91_000],
      [{ errors: [{ type: 'RATE_LIMIT', code: 'graphql_rate_limit', ...limit }] }, reset, 91_000],
      [{ errors: [{ ...secondary }] }, { 'retry-after': '5' }, 5_000],
      [secondary, {}, 60_000],
    ] as const)
      await expect(answeredWith(body, { headers })).rejects.toMatchObject({ status: 429, retryAfterMs });
    await expect(answeredWith(secondary, { status: 403 })).rejects.toMatchObject({ status: 429, retryAfterMs: 60_000 });
  });

  it('fails as a whole, so that it is asked in halves, where GitHub gave the query up or says nothing', async () => {
    const timeout = { message: 'Something went wrong while executing your query.' };
    const nodes = changes.map(() => null);
    for (const body of [
      { data: null, errors: [timeout] },
      { errors: [timeout] },
      {},
      [],
      { data: {} },
      { data: { nodes: [] } },
      {
        data: { nodes },
        errors: [{ type: 'RESOURCE_LIMITS_EXCEEDED', path: ['nodes', 0], message: 'Resource limits' }],
      },
      { data: { nodes }, errors: [{ type: 'ARGUMENT_LIMIT', path: ['nodes'], message: 'too many' }] },
      { data: { nodes }, errors: [timeout] },
    ])
      await expect(answeredWith(body), JSON.stringify(body)).rejects.toMatchObject({
        name: 'ChangeError',
        status: null,
      });
    for (const status of [502, 504]) await expect(answeredWith(timeout, { status })).rejects.toMatchObject({ status });
  });

  it('is judged path by path: a missing node is visited, one with another error is put off', async () => {
    standIn.losePart(id => id === changes[0]!.facts!.node, { type: 'NOT_FOUND', message: 'none' });
    expect(kinds(await follower.probe(changes.slice(0, 2)))).toEqual(['changed', 'unchanged']);
    standIn.losePart(id => id === changes[1]!.facts!.node, { type: 'INTERNAL', message: 'oh' });
    const answers = await follower.probe(changes.slice(0, 2));
    expect(kinds(answers)).toEqual(['unchanged', 'failed']);
    expect(answers[1]).toMatchObject({ reason: 'github probe: expected an answer, got INTERNAL' });
    standIn.losePart(id => id === changes[1]!.facts!.node, { type: null, message: 'secret text' });
    expect(await follower.probe(changes.slice(1, 2))).toMatchObject([
      { reason: 'github probe: expected an answer, got another error' },
    ]);
  });

  it('does not trust a node of another thing under its id', async () => {
    const [first] = changes;
    const other = changeOf('repo:octo/boat', { ...first!.facts, id: Number(first!.facts!.id) + 1 });
    expect(await follower.probe([other])).toEqual([{ kind: 'changed', answer: null }]);
  });

  it('takes 100 keys at once', () => {
    expect(github.agenda!.probe!.keysMax).toBe(100);
    expect(
      github.requests(
        'probe',
        Array.from({ length: 101 }, () => changeOf('repo:a/b')),
        follower.settings,
      ),
    ).toEqual({
      [`${new URL(standIn.origin).host}/graphql`]: 2,
    });
  });
});
