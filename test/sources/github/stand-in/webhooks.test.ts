import { expect, it } from 'vitest';
import { clientOf } from './client.ts';

const OPTIONS = { secret: 'secret', id: 'b2c7f0de-0000-4000-8000-000000000001' };

it('signs the bytes of a delivery as GitHub’s documents do', () => {
  const { deliver } = clientOf();
  const { headers } = deliver('ping', 'Hello, World!', { ...OPTIONS, secret: "It's a Secret to Everybody" });
  expect(headers['x-hub-signature-256']).toBe(
    'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
  );
  expect(deliver('ping', '{}', { ...OPTIONS, signature: null }).headers['x-hub-signature-256']).toBeUndefined();
});

it('makes payloads of what happened in the world', () => {
  const { world, webhooks } = clientOf();
  const repository = world.repository('octo/boat');
  const [before, after] = world.commit(repository, [{}, {}]);
  const push = webhooks.push(repository, { branch: 'main', before: before!, after: after! });
  expect(push).toMatchObject({ ref: 'refs/heads/main', before, after, created: false, deleted: false });
  // Dates of a push are numbers, and those of the other events are texts.
  expect(push.repository).toMatchObject({
    full_name: 'octo/boat',
    pushed_at: world.nowMs / 1000,
    updated_at: world.now,
  });
  expect(webhooks.push(repository, { branch: 'x', before: null, after: after! })).toMatchObject({
    created: true,
    before: '0'.repeat(40),
  });
  world.rename(repository, 'octo/ship');
  expect(webhooks.renamed(repository, { name: 'boat' })).toMatchObject({
    action: 'renamed',
    changes: { repository: { name: { from: 'boat' } } },
    repository: { full_name: 'octo/ship', pushed_at: world.now },
  });
  expect(webhooks.ping(repository)).toMatchObject({ hook_id: 1, repository: { id: repository.id } });
});
