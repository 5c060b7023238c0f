import { afterEach } from 'vitest';
import type { Change } from '../../../src/ports/change.ts';
import { type NpmSettings, npm } from '../../../src/sources/npm/npm.ts';
import {
  type NpmStandIn,
  type NpmStandInOptions,
  startNpmStandIn,
} from '../../../src/sources/npm/stand-in/stand-in.ts';
import { type Loopback, startLoopback } from '../upstream/loopback.ts';

const open: (NpmStandIn | Loopback)[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

/** Path of the feed, below the origin of all stand-ins. */
export const FEED = '/registry/_changes';

/** Settings that send everything to one origin, with small pages. */
export function settingsFor(origin: string, env: Record<string, unknown> = {}): NpmSettings {
  const urls = { NPM_FEED_URL: `${origin}/registry`, NPM_REGISTRY_URL: origin, NPM_DOWNLOADS_URL: origin };
  return npm.settings({ ...urls, NPM_PAGE_CHANGES: '10', ...env });
}

/** A replay with a few plain packages in its feed. */
export async function replayOf(options: NpmStandInOptions = {}, env: Record<string, unknown> = {}) {
  const replay = await startNpmStandIn({ only: ['ms', 'kleur', 'through', 'inherits', 'isarray'], ...options });
  open.push(replay);
  return { replay, settings: settingsFor(replay.origin, env) };
}

/** An upstream that answers each path with this JSON, and tells what it was asked. */
export async function answering(answers: Record<string, unknown>) {
  const server = await startLoopback((request, response) => {
    const answer = answers[request.url!.split('?')[0]!];
    if (answer === undefined) response.writeHead(404);
    response.end(answer === undefined ? '' : JSON.stringify(answer));
  });
  open.push(server);
  return { server, settings: settingsFor(server.url), asked: () => server.requests.map(request => request.url) };
}

export function changeOf(key: string, fields: Partial<Change> = {}): Change {
  return { key, cursor: '1', deleted: false, revision: 1, skip: null, ...fields };
}
