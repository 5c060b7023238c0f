import { optional, required } from './column.ts';
import { defineTable, type RowOf } from './table.ts';

export const githubCommit = defineTable({
  name: 'github_commit',
  prefix: 'github/commits',
  description: 'Commits pushed to GitHub repositories: one row for each commit of a repository, once for ever.',
  version: 1,
  key: ['github_id', 'sha'],
  immutable: true,
  columns: {
    sha: required('utf8', 'Hash of the commit, in hexadecimal.'),
    repo: required(
      'utf8',
      'Owner and name, in lower case, that the repository had when the commit was read, e.g. `nodejs/node`.',
    ),
    author_name: optional('utf8', "The author's name in the commit."),
    author_email: optional('utf8', "The author's email address in the commit."),
    author_date: optional('utf8', 'When the change was written, ISO 8601.'),
    committer_name: optional('utf8', "The committer's name in the commit."),
    committer_email: optional('utf8', "The committer's email address in the commit."),
    committer_date: optional('utf8', 'When the commit was made, ISO 8601.'),
    message: optional('utf8', 'The whole commit message.'),
    data: optional('utf8', 'The document as JSON; says instead what was left out when the row would grow over 1 MiB.'),
    created_at: optional('utf8', 'When the commit came into being, ISO 8601: the same as `committer_date`.'),
  },
  beyond: {
    github_id: required('utf8', "GitHub's number of the repository, which it keeps under every name."),
  },
});

export type GithubCommit = RowOf<typeof githubCommit>;
