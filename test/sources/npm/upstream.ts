import { afterEach } from 'vitest';
import type { Change } from '../../../src/ports/change.ts';
import { type NpmSettings, npm } from '../../../src/sources/npm/npm.ts';
import { type NpmStandInOptions, startStandIn as startNpm } from '../../../src/sources/npm/stand-in/stand-in.ts';
import { startLoopback } from '../upstream/loopback.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** The path of the feed, below the origin of every upstream of these tests. */
export const FEED = '/registry/_changes';

/** Settings for an npm at one origin, with small pages. */
export function settingsFor(origin: string, env: Record<string, unknown> = {}): NpmSettings {
  const urls = { NPM_FEED_URL: `${origin}/registry`, NPM_REGISTRY_URL: origin, NPM_DOWNLOADS_URL: origin };
  return npm.settings({ ...urls, NPM_PAGE_CHANGES: '10', ...env });
}

/** Starts a stand-in with a few plain packages in its feed. */
export async function startStandIn(options: NpmStandInOptions = {}, env: Record<string, unknown> = {}) {
  const standIn = await startNpm({ only: ['ms', 'kleur', 'through', 'inherits', 'isarray'], ...options });
  stops.push(standIn.stop);
  return { standIn, settings: settingsFor(standIn.origin, env) };
}

/** Starts an upstream that answers each path with this JSON, or 404 where there is none; `paths` returns the paths of its requests. */
export async function startAnswering(answers: Record<string, unknown> | ((path: string) => unknown)) {
  const server = await startLoopback((request, response) => {
    const path = request.url!.split('?')[0]!;
    const answer = typeof answers === 'function' ? answers(path) : answers[path];
    if (answer === undefined) response.writeHead(404);
    response.end(answer === undefined ? '' : JSON.stringify(answer));
  });
  stops.push(server.close);
  return { server, settings: settingsFor(server.url), paths: () => server.requests.map(request => request.url) };
}

export function changeOf(key: string, fields: Partial<Change> = {}): Change {
  return { key, cursor: '1', deleted: false, revision: 1, skip: null, ...fields };
}
