import { optional, required } from './column.ts';
import { defineTable, type RowOf } from './table.ts';

export const githubRepo = defineTable({
  name: 'github_repo',
  prefix: 'github/repos',
  description: 'GitHub repositories: one row for each visit of a repository that found a change.',
  version: 1,
  key: ['full_name'],
  identity: 'github_id',
  columns: {
    full_name: required('utf8', 'Owner and name in lower case, e.g. `nodejs/node`.'),
    owner: optional('utf8', 'Login name of the owner in lower case.'),
    name: optional('utf8', 'Name without the owner, in lower case.'),
    description: optional('utf8', "The repository's one-line description."),
    homepage: optional('utf8', 'URL of the home page.'),
    language: optional('utf8', 'The main language.'),
    license: optional('utf8', 'SPDX identifier of the licence.'),
    topics: optional('utf8', 'Topics, separated by commas.'),
    default_branch: optional('utf8', 'Name of the default branch.'),
    stars: optional('int64', 'Number of stars.'),
    forks: optional('int64', 'Number of forks.'),
    watchers: optional('int64', 'Number of accounts that watch the repository.'),
    open_issues: optional('int64', 'Number of open issues and pull requests.'),
    size_kb: optional('int64', 'Size in kilobytes, as GitHub counts it.'),
    fork: optional('boolean', 'Whether the repository is a fork.'),
    archived: optional('boolean', 'Whether the repository is archived.'),
    pushed_at: optional('utf8', 'When something was last pushed, ISO 8601.'),
    last_updated: optional('utf8', 'When GitHub last changed the repository, ISO 8601.'),
    data: optional('utf8', 'The document as JSON; says instead what was left out when the row would grow over 1 MiB.'),
    created_at: optional('utf8', 'When the repository was created, ISO 8601.'),
    updated_at: optional('utf8', 'When this row was accepted, ISO 8601. The month of it is the partition.'),
  },
  beyond: {
    github_id: required('utf8', "GitHub's number of the repository, which it keeps under every name."),
  },
});

export type GithubRepo = RowOf<typeof githubRepo>;
