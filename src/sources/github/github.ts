import { githubCommit } from '../../../schemas/github_commit.ts';
import { githubProfile } from '../../../schemas/github_profile.ts';
import { githubRepo } from '../../../schemas/github_repo.ts';
import type { Source } from '../source.ts';
import { COMMITS_BYTES_MAX } from './commits-visit.ts';
import { askNodes, NODES_MAX } from './graphql.ts';
import { GITHUB_INLETS } from './inlets.ts';
import { kindOf, readKey } from './keys.ts';
import { nextVisit } from './next-visit.ts';
import { visitOwner } from './owner-visit.ts';
import { visitProfile } from './profile-visit.ts';
import { visitRepository } from './repository-visit.ts';
import { DOCUMENT_BYTES_MAX } from './rest.ts';
import {
  GITHUB_SETTINGS,
  type GithubSettings,
  graphqlHost,
  hostPaces,
  readGithubSettings,
  restHost,
} from './settings.ts';
import { verifySignal } from './signals.ts';

/**
 * The requests of a visit that are foreseen: the document, and of a repository a page of commits. For more the visit asks
 * one by one; without these two it might spend all its requests on documents and never read a commit. The engine also asks
 * for a visit of no key, when it looks for room.
 */
function requestsOf(key: string): number {
  return key === '' || kindOf(key) === 'repo' ? 2 : 1;
}

/** Documents of one visit: of the thing by number and by name, and of what has its old name now. */
const DOCUMENTS_MAX = 3;

const VISITS = { repo: visitRepository, user: visitProfile, owner: visitOwner };

/**
 * Repositories of GitHub, their commits, and profiles. No feed has their changes, so the agenda visits each watched key
 * when it is due: a probe asks GraphQL which keys changed, 100 in one request, and REST is asked for those only.
 */
export const github: Source<GithubSettings, null> = {
  id: 'github',
  prefix: 'github',
  tables: [githubRepo, githubProfile, githubCommit],
  documentBytes: COMMITS_BYTES_MAX + DOCUMENTS_MAX * DOCUMENT_BYTES_MAX,
  settingNames: GITHUB_SETTINGS,
  settings: readGithubSettings,
  pace: settings => ({ pollMs: settings.pollMs, settleMs: 0, hosts: hostPaces(settings) }),
  requests(step, changes, settings) {
    if (changes.length === 0) return {};
    if (step === 'probe') return { [graphqlHost(settings)]: Math.ceil(changes.length / NODES_MAX) };
    if (step !== 'load') return {};
    return { [restHost(settings)]: changes.reduce((sum, { key }) => sum + requestsOf(key), 0) };
  },

  agenda: {
    read: readKey,
    next: nextVisit,
    inlets: GITHUB_INLETS,
    probe: { keysMax: NODES_MAX, ask: askNodes },
    signals: { verify: verifySignal },
  },

  load: (change, ctx) => VISITS[kindOf(change.key)](change, ctx),
};
