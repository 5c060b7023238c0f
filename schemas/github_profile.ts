import { optional, required } from './column.ts';
import { defineTable, type RowOf } from './table.ts';

export const githubProfile = defineTable({
  name: 'github_profile',
  prefix: 'github/profiles',
  description: 'GitHub accounts: one row for each visit of a profile that found a change.',
  version: 1,
  key: ['username'],
  identity: 'github_id',
  columns: {
    username: required('utf8', 'Login name in lower case.'),
    email: optional('utf8', 'Email address the profile shows.'),
    name: optional('utf8', 'Display name.'),
    company: optional('utf8', 'Company, as typed by the user.'),
    location: optional('utf8', 'Location, as typed by the user.'),
    bio: optional('utf8', 'Biography; the description of an organization.'),
    blog: optional('utf8', 'Web site.'),
    twitter: optional('utf8', 'Twitter user name, without `@`.'),
    public_repos: optional('int32', 'Number of public repositories.'),
    followers: optional('int32', 'Number of followers.'),
    following: optional('int32', 'Number of accounts followed.'),
    created_at: optional('utf8', 'When the account was created, ISO 8601.'),
    updated_at: optional(
      'utf8',
      "When this row was accepted, ISO 8601; GitHub's own time of change is in `data`. The month of it is the partition.",
    ),
    data: optional('utf8', 'The document as JSON; says instead what was left out when the row would grow over 1 MiB.'),
  },
  beyond: {
    github_id: required('utf8', "GitHub's number of the account, which it keeps under every login name."),
  },
});

export type GithubProfile = RowOf<typeof githubProfile>;
