import { z } from 'zod';
import { githubCommit } from '../../../schemas/github_commit.ts';
import { githubRepo } from '../../../schemas/github_repo.ts';
import { npmPackage } from '../../../schemas/npm_package.ts';
import { integerSetting, parseSettings, urlSetting } from '../../../src/config.ts';
import { isSigned } from '../../../src/digest.ts';
import { ChangeError } from '../../../src/errors.ts';
import type { Change, Loaded, LoadedRow, Visit } from '../../../src/ports/change.ts';
import type { FeedingRow } from '../../../src/ports/inlet.ts';
import type { Source } from '../../../src/sources/source.ts';
import { rowOf } from '../../simulation/world/sources.ts';

const HOUR = 3_600_000;
const NAME = /^[a-z\d][a-z\d-]{0,38}\/[a-z\d._-]{1,100}$/;

const settingsShape = z.object({ TRACKER_URL: urlSetting(), TRACKER_POLL_MS: integerSetting(60_000, 100, 3_600_000) });

export interface TrackerSettings {
  url: string;
  pollMs: number;
}

const probeShape = z.looseObject({ revisions: z.array(z.int().nonnegative()) });
const repositoryShape = z.looseObject({
  revision: z.int().positive(),
  description: z.string(),
  commits: z.array(z.looseObject({ sha: z.string(), message: z.string() })),
});

const hostOf = ({ url }: TrackerSettings) => new URL(url).host;
/** Permits of the probe, which is limited apart from the documents. */
const probeHostOf = (settings: TrackerSettings) => `${hostOf(settings)}/probe`;

/** A toy with all that an agenda can have but a directory: repositories, and their commits, which never change. */
export const tracker: Source<TrackerSettings, null> = {
  id: 'tracker',
  prefix: 'tracker',
  tables: [githubRepo, githubCommit],
  settingNames: Object.keys(settingsShape.shape),
  settings(env) {
    const { TRACKER_URL, TRACKER_POLL_MS } = parseSettings(settingsShape, env);
    return { url: TRACKER_URL, pollMs: TRACKER_POLL_MS };
  },
  pace: settings => ({
    pollMs: settings.pollMs,
    settleMs: 0,
    hosts: {
      [hostOf(settings)]: { requestsPerSecond: 5, burst: 5, quota: { field: 'ratelimit' } },
      [probeHostOf(settings)]: { requestsPerSecond: 1, burst: 1 },
    },
  }),
  requests(step, changes, settings) {
    if (changes.length === 0) return {};
    if (step === 'probe') return { [probeHostOf(settings)]: Math.ceil(changes.length / 5) };
    return step === 'load' ? { [hostOf(settings)]: changes.length } : {};
  },

  agenda: {
    read(text) {
      const key = text.trim().toLowerCase();
      return NAME.test(key) ? { key, space: key.split('/')[0]! } : { rejected: 'no-repository' };
    },
    next,
    inlets: [
      {
        source: 'npm',
        table: npmPackage.name,
        columns: ['repository'],
        read: ({ op, row }: FeedingRow) => {
          const named = op === 'delete' ? null : /github\.com\/([^/\s]+\/[^/\s#?]+)/.exec(String(row.repository ?? ''));
          return named ? [{ key: named[1]!.replace(/\.git$/, ''), facts: { role: 'repository' } }] : [];
        },
      },
    ],
    probe: {
      keysMax: 5,
      async ask(changes, ctx) {
        const names = changes.map(({ key }) => key).join(',');
        const url = `${ctx.settings.url}/probe?names=${encodeURIComponent(names)}`;
        const options = { subject: 'tracker probe', shape: probeShape, permitHost: probeHostOf(ctx.settings) };
        const { revisions } = (await ctx.fetchJson(url, options)).json;
        if (revisions.length !== changes.length)
          throw new ChangeError('wrong-shape', `tracker probe: expected revisions to be ${changes.length}, got others`);
        return changes.map(({ facts }, index) =>
          facts?.revision === revisions[index]
            ? { kind: 'unchanged' }
            : { kind: 'changed', answer: { revision: revisions[index] } },
        );
      },
    },
    uncounted: { [githubRepo.name]: ['stars'] },
    signals: {
      verify({ headers, body }) {
        if (!isSigned(body, { secret: 'of the tests', signature: headers.get('x-signature') ?? '' }))
          return { refused: 'unsigned', message: 'expected a signature in x-signature, got none that fits' };
        return { id: headers.get('x-delivery') ?? '', keys: Buffer.from(body).toString().split(',') };
      },
    },
  },

  async load(change, ctx) {
    const { key } = change;
    const url = `${ctx.settings.url}/repos/${key}`;
    try {
      const answer = await ctx.fetchJson(url, { subject: 'tracker repository', shape: repositoryShape });
      return loadedOf(change, answer);
    } catch (error) {
      if (error instanceof ChangeError && error.status === 404) return goneOf(key);
      throw error;
    }
  },
};

function loadedOf(
  { key, evidence }: Change,
  { json, bytes }: { json: z.output<typeof repositoryShape>; bytes: Uint8Array },
): Loaded {
  const repo = { full_name: key, description: json.description, topics: evidence ? String(evidence.total) : null };
  const rows: LoadedRow[] = [{ table: githubRepo.name, op: 'upsert', row: rowOf(githubRepo, repo) }];
  for (const { sha, message } of json.commits)
    rows.push({ table: githubCommit.name, op: 'upsert', row: rowOf(githubCommit, { repo: key, sha, message }) });
  return {
    documents: [{ name: key, bytes, revision: json.revision }],
    rows,
    revision: json.revision,
    seen: { found: true, facts: { revision: json.revision }, partial: false, moreHosts: [] },
  };
}

/** A repository that is gone leaves its commits: their table takes no deletion. */
function goneOf(key: string): Loaded {
  const row = rowOf(githubRepo, { full_name: key });
  const seen = { found: false, facts: { revision: 0 }, partial: false, moreHosts: [] };
  return { documents: [], rows: [{ table: githubRepo.name, op: 'delete', row }], revision: null, seen };
}

function next({ nowMs, outcome, times, changed, notBeforeMs }: Visit): { atMs: number; reason: string } {
  const hours = changed ? 1 : Math.min(times, 24) * (outcome === 'gone' ? 24 : 1);
  return { atMs: Math.max(nowMs + hours * HOUR, notBeforeMs ?? 0), reason: changed ? 'changed' : outcome };
}
