import { describe, expect, it } from 'vitest';
import { clientOf } from './client.ts';

const PROBE = `query($ids: [ID!]!) {
  rateLimit { cost remaining resetAt }
  nodes(ids: $ids) {
    __typename
    ... on Repository { id databaseId nameWithOwner pushedAt updatedAt defaultBranchRef { name target { oid } } }
    ... on User { id login updatedAt }
    ... on Organization { id login updatedAt }
  }
}`;

describe('a GraphQL query', () => {
  it('has what it selects, for each id in its place', () => {
    const { world, query } = clientOf();
    const boat = world.repository('octo/Boat');
    const [head] = world.commit(boat, [{}]);
    const crew = world.account('crew', { type: 'Organization' });
    const empty = world.repository('octo/empty');
    const { json } = query(PROBE, { ids: [crew.nodeId, boat.nodeId, 'R_x', empty.nodeId] });
    expect(json.data.nodes[0]).toEqual({
      __typename: 'Organization',
      id: crew.nodeId,
      login: 'crew',
      updatedAt: world.now,
    });
    expect(json.data.nodes[1]).toEqual({
      __typename: 'Repository',
      id: boat.nodeId,
      databaseId: boat.id,
      nameWithOwner: 'octo/Boat',
      pushedAt: world.now,
      updatedAt: world.now,
      defaultBranchRef: { name: 'main', target: { oid: head } },
    });
    expect(json.data.nodes[2]).toBeNull();
    expect(json.data.nodes[3]).toMatchObject({ defaultBranchRef: null, pushedAt: null });
    expect(json.data.rateLimit).toMatchObject({ cost: 1, remaining: expect.any(Number), resetAt: expect.any(String) });
    expect(json.errors).toEqual([
      {
        type: 'NOT_FOUND',
        path: ['nodes', 2],
        locations: [expect.any(Object)],
        message: "Could not resolve to a node with the global id of 'R_x'",
      },
    ]);
  });

  it('has aliases, and follows a rename unless it says otherwise', () => {
    const { world, query } = clientOf();
    world.rename(world.repository('octo/old'), 'octo/new');
    const text = `{ a: repository(owner: "octo", name: "old") { nameWithOwner }
      b: repository(owner: "octo", name: "old", followRenames: false) { id } u: user(login: "nobody") { id } }`;
    const { data, errors } = query(text).json;
    expect(data).toEqual({ a: { nameWithOwner: 'octo/new' }, b: null, u: null });
    expect(errors.map(({ type, path }: { type: string; path: string[] }) => [type, path])).toEqual([
      ['NOT_FOUND', ['b']],
      ['NOT_FOUND', ['u']],
    ]);
  });

  it('is refused for more than 100 ids, without data', () => {
    const { json } = clientOf().query(PROBE, { ids: Array.from({ length: 101 }, (_, index) => `R_${index}`) });
    expect(json.errors[0]).toMatchObject({ type: 'ARGUMENT_LIMIT', path: ['nodes'] });
    expect(json.errors[0].message).toContain('101');
    expect(json.data).toBeUndefined();
  });

  it('is refused as a whole for a field that GitHub does not have, or for which the token has no scope', () => {
    const { world, query } = clientOf();
    const { nodeId } = world.account('sam');
    const node = (fields: string) => `{ node(id: "${nodeId}") { ... on User { ${fields} } } }`;
    expect(query(node('nickname')).json).toEqual({
      errors: [expect.objectContaining({ message: expect.stringContaining('nickname') })],
    });
    expect(query(node('login email')).json).toMatchObject({ data: null, errors: [{ type: 'INSUFFICIENT_SCOPES' }] });
    expect(query('{ node').json.errors).toHaveLength(1);
  });

  it('names a field of GitHub’s that the stand-in does not have', () => {
    const { world, query } = clientOf();
    const { nodeId } = world.repository('octo/boat');
    const { errors } = query(`{ node(id: "${nodeId}") { ... on Repository { mirrorUrl } } }`).json;
    expect(errors[0].message).toBe('stand-in: expected a field that it has, got Repository.mirrorUrl');
  });

  it('loses a part when a test says so, once', () => {
    const { world, query, losePart } = clientOf();
    const ids = ['a', 'b'].map(name => world.repository(`octo/${name}`).nodeId);
    losePart(id => id === ids[1]);
    expect(query(PROBE, { ids }).json).toMatchObject({
      data: { nodes: [{ nameWithOwner: 'octo/a' }, null] },
      errors: [{ type: 'RESOURCE_LIMITS_EXCEEDED', path: ['nodes', 1] }],
    });
    expect(query(PROBE, { ids }).json.errors).toBeUndefined();
  });

  it('does not see private or blocked repositories', () => {
    const { world, query } = clientOf();
    const [hidden, taken] = ['hidden', 'taken'].map(name => world.repository(`octo/${name}`));
    hidden!.private = true;
    world.block(taken!, 'dmca', 451);
    const { data, errors } = query(PROBE, { ids: [hidden!.nodeId, taken!.nodeId] }).json;
    expect([data.nodes, errors.length]).toEqual([[null, null], 2]);
  });
});
