import { domain } from './domain.ts';
import { emailPattern } from './email_pattern.ts';
import { githubCommit } from './github_commit.ts';
import { githubProfile } from './github_profile.ts';
import { githubRepo } from './github_repo.ts';
import { npmPackage } from './npm_package.ts';
import { organization } from './organization.ts';
import { pypiPackage } from './pypi_package.ts';
import type { Table } from './table.ts';
import { whoisRecord } from './whois_record.ts';

export { keyOf, keyText } from './table.ts';

/** Every table of the lake. */
export const TABLES: readonly Table[] = [
  npmPackage,
  pypiPackage,
  githubProfile,
  githubRepo,
  githubCommit,
  emailPattern,
  organization,
  domain,
  whoisRecord,
];

/** The table of this name. Throws an `Error` when there is none. */
export function tableNamed(name: string): Table {
  const table = TABLES.find(candidate => candidate.name === name);
  if (!table) throw new Error(`table: expected one of ${TABLES.map(known => known.name).join(', ')}, got "${name}"`);
  return table;
}
