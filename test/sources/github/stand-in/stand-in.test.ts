import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type GithubStandIn,
  type GithubStandInOptions,
  startStandIn,
} from '../../../../src/sources/github/stand-in/stand-in.ts';
import { World } from '../../../../src/sources/github/stand-in/world.ts';
import { GITHUB_RECORDINGS, readWorld, readWorldFile } from '../../../../src/sources/github/stand-in/world-file.ts';

const started: GithubStandIn[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map(standIn => standIn.stop()));
});

async function start(options: GithubStandInOptions = {}): Promise<GithubStandIn> {
  const standIn = await startStandIn(options);
  started.push(standIn);
  return standIn;
}

const ask = ({ settings, origin }: GithubStandIn, pathname: string, headers: Record<string, string> = {}) =>
  fetch(origin + pathname, {
    headers: { authorization: `Bearer ${settings.GITHUB_TOKEN}`, ...headers },
    redirect: 'manual',
  });

describe('the stand-in as a server', () => {
  it('serves the world of the fixtures, and the same ids and shas each time', async () => {
    const answers = [];
    for (const standIn of [await start(), await start()]) {
      const { status, headers } = await ask(standIn, '/repos/northfield/first-name');
      expect([status, headers.get('location')]).toEqual([301, expect.stringContaining('/repositories/')]);
      const listed = await (await ask(standIn, '/repos/harbour-works/lantern/commits')).text();
      answers.push(listed.replaceAll(standIn.origin, ''));
    }
    expect(answers[0]).toBe(answers[1]);
    expect(JSON.parse(answers[0]!)).toHaveLength(6);
  });

  it('answers 304 to an ETag, and GraphQL under its own path', async () => {
    const world = new World();
    const { nodeId } = world.account('sam');
    const standIn = await start({ world, fast: true });
    const first = await ask(standIn, '/users/sam');
    const again = await ask(standIn, '/users/sam', { 'if-none-match': first.headers.get('etag')! });
    expect([first.status, again.status, await again.text()]).toEqual([200, 304, '']);
    const answer = await fetch(`${standIn.origin}/graphql`, {
      method: 'POST',
      headers: { authorization: `Bearer ${standIn.settings.GITHUB_TOKEN}` },
      body: JSON.stringify({ query: `{ node(id: "${nodeId}") { id } }` }),
    });
    expect(await answer.json()).toEqual({ data: { node: { id: nodeId } } });
    expect(standIn.requests.count('/graphql')).toBe(1);
    expect(standIn.settings.GITHUB_REQUESTS_PER_SECOND).toBe('1000');
  });

  it('has every event of the fixtures in its world', () => {
    const { events, day } = readWorldFile(GITHUB_RECORDINGS);
    const world = readWorld(GITHUB_RECORDINGS);
    expect(world.nowMs).toBe(Date.parse(day));
    const made = events.filter(event => 'repository' in event || 'fork' in event).length;
    const removed = events.filter(event => 'remove' in event).length;
    expect(world.repositories.size).toBe(made - removed);
    expect(world.reachable(world.find('northfield/atlas')!).size).toBe(130);
  });

  it('prints its settings as a program, until a signal ends it', async () => {
    const file = path.resolve(import.meta.dirname, '../../../../src/sources/github/stand-in/stand-in.ts');
    const program = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines: string[] = [];
    for await (const line of createInterface(program.stdout)) {
      if (line === '') break;
      lines.push(line);
    }
    expect(lines).toEqual([expect.stringMatching(/^GITHUB_API_URL=http:/), expect.stringMatching(/^GITHUB_TOKEN=/)]);
    program.kill('SIGTERM');
    const [code] = await once(program, 'exit');
    expect(code).toBe(0);
  });
});
