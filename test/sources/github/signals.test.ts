import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { github } from '../../../src/sources/github/github.ts';
import { verifySignal } from '../../../src/sources/github/signals.ts';
import { delivery, Webhooks } from '../../../src/sources/github/stand-in/webhooks.ts';
import { World } from '../../../src/sources/github/stand-in/world.ts';

const SECRET = "It's a Secret to Everybody";

function settings(secret: string | null = SECRET) {
  return github.settings({ GITHUB_TOKEN: 'x', ...(secret !== null && { GITHUB_WEBHOOK_SECRET: secret }) });
}

interface Delivered {
  event?: string;
  id?: string;
  signature?: string;
  contentType?: string;
  secret?: string | null;
}

function signal(
  body: string,
  { event = 'push', id = 'd-1', signature, contentType = 'application/json', secret }: Delivered = {},
) {
  const own = signature ?? `sha256=${createHmac('sha256', SECRET).update(body).digest('hex')}`;
  const headers = new Headers({
    'x-hub-signature-256': own,
    'x-github-event': event,
    'x-github-delivery': id,
    'content-type': contentType,
  });
  return verifySignal(
    { headers, body: new TextEncoder().encode(body) },
    settings(secret === undefined ? SECRET : secret),
  );
}

const keysOf = (payload: object, event?: string) => {
  const read = signal(JSON.stringify(payload), { event });
  return 'keys' in read ? read.keys : read;
};

describe('a delivery of a webhook', () => {
  it('has the signature of GitHub’s own example', () => {
    const signature = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';
    expect(signal('Hello, World!', { signature })).toMatchObject({ refused: 'unreadable' });
    expect(signal('Hello, World.', { signature })).toMatchObject({ refused: 'unsigned' });
  });

  it('is refused without a signature that fits, or without a secret', () => {
    for (const signature of ['', 'sha256=', `sha256=${'0'.repeat(64)}`, `sha1=${'0'.repeat(40)}`, '0'.repeat(64)])
      expect(signal('{}', { signature })).toEqual({
        refused: 'unsigned',
        message: 'expected a signature of the body in x-hub-signature-256, got none that fits',
      });
    expect(signal('{}', { secret: null })).toEqual({
      refused: 'unsigned',
      message: 'expected GITHUB_WEBHOOK_SECRET to be set, got no secret',
    });
  });

  it('makes its repository and accounts due, by their old names too', () => {
    const repository = { full_name: 'Octo/Boat', id: 1 };
    expect(keysOf({ repository, organization: { login: 'Crew' } })).toEqual([
      'repo:Octo/Boat',
      'user:Octo',
      'owner:Octo',
      'user:Crew',
      'owner:Crew',
    ]);
    expect(keysOf({ repository, changes: { repository: { name: { from: 'raft' } } } }, 'repository')).toContain(
      'repo:Octo/raft',
    );
    expect(keysOf({ repository, changes: { owner: { from: { user: { login: 'sam' } } } } }, 'repository')).toEqual(
      expect.arrayContaining(['repo:sam/Boat', 'user:sam', 'owner:sam']),
    );
    expect(keysOf({ organization: { login: 'crew' }, changes: { login: { from: 'old' } } }, 'organization')).toEqual(
      expect.arrayContaining(['user:crew', 'user:old']),
    );
  });

  it('of an event without a repository, or of a ping, names no key', () => {
    expect(keysOf({ zen: 'x', repository: { full_name: 'a/b' } }, 'ping')).toEqual([]);
    expect(keysOf({ anything: [1, 2] }, 'event_of_tomorrow')).toEqual([]);
    for (const payload of [
      { repository: null, organization: [] },
      { repository: { full_name: 7 } },
      { changes: { owner: { from: null } } },
      JSON.parse('{"__proto__":{"repository":{"full_name":"a/b"}}}') as object,
    ])
      expect(keysOf(payload)).toEqual([]);
  });

  it('may be a form', () => {
    const body = `payload=${encodeURIComponent(JSON.stringify({ repository: { full_name: 'a/b' } }))}`;
    expect(signal(body, { contentType: 'application/x-www-form-urlencoded' })).toMatchObject({
      id: 'd-1',
      keys: expect.arrayContaining(['repo:a/b']),
    });
    expect(signal('x=1', { contentType: 'application/x-www-form-urlencoded' })).toMatchObject({
      refused: 'unreadable',
    });
  });

  it('is unreadable where it is no JSON object, or has no delivery id', () => {
    for (const body of ['', 'null', '[]', '"x"', '{"a":', '\0'])
      expect(signal(body)).toEqual({ refused: 'unreadable', message: 'expected a JSON object, got something else' });
    for (const id of ['', 'x'.repeat(101), 'a b'])
      expect(signal('{}', { id })).toMatchObject({ refused: 'unreadable' });
  });

  it('of GitHub’s own form is read', async () => {
    const hub = new World();
    const repository = hub.repository('octo/boat');
    const [after] = hub.commit(repository, [{}]);
    const webhooks = new Webhooks(hub, { api: 'https://api.github.example', web: 'https://github.example' });
    const payload = webhooks.push(repository, { branch: 'main', before: null, after: after! });
    const { headers, body } = delivery('push', payload, { secret: SECRET, id: 'd-2' });
    const request = { headers: new Headers(headers), body: new TextEncoder().encode(body) };
    expect(verifySignal(request, settings())).toEqual({
      id: 'd-2',
      keys: ['repo:octo/boat', 'user:octo', 'owner:octo'],
    });
  });
});
