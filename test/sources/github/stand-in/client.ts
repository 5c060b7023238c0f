import { type Github, makeGithub } from '../../../../src/sources/github/stand-in/stand-in.ts';
import { World } from '../../../../src/sources/github/stand-in/world.ts';
import type { Answer } from '../../../../src/sources/stand-in/faults.ts';
import { toBytes } from '../../../../src/sources/stand-in/server.ts';

export const ORIGIN = 'https://api.github.example';

/** GitHub over a world, without a server, and requests as a client with a token sends them. */
export interface Client extends Github {
  get(path: string, headers?: Record<string, string>): Seen;
  query(text: string, variables?: Record<string, unknown>): Seen;
}

export interface Seen {
  status: number;
  headers: Record<string, string>;
  // biome-ignore lint/suspicious/noExplicitAny: each test knows what it asks for.
  json: any;
}

export function clientOf(world = new World()): Client {
  const github = makeGithub(world, { origin: () => ORIGIN });
  const [token] = github.tokens;
  const ask = (path: string, { method = 'GET', headers = {}, body = '' }): Seen => {
    const sent = { 'user-agent': 'tests', authorization: `Bearer ${token}`, ...headers };
    return seen(
      github.answerTo(new URL(`${ORIGIN}${path}`), { method, headers: sent, body: Buffer.from(toBytes(body)) }),
    );
  };
  return {
    ...github,
    get: (path, headers = {}) => ask(path, { headers }),
    query: (query, variables = {}) => ask('/graphql', { method: 'POST', body: JSON.stringify({ query, variables }) }),
  };
}

function seen({ status = 200, headers = {}, body }: Answer): Seen {
  const text = new TextDecoder().decode(toBytes(body));
  const isJson = text.startsWith('{') || text.startsWith('[');
  return { status, headers, json: isJson ? JSON.parse(text) : text };
}
