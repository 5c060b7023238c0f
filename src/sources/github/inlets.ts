import type { FeedingRow, Finding, InletRules } from '../../ports/inlet.ts';
import { readKey } from './keys.ts';

/** Tables whose rows name repositories. They say nothing else of them, so there is no evidence. */
export const GITHUB_INLETS: InletRules[] = [
  { source: 'npm', table: 'npm_package', columns: ['repository'], read: repositoryOf },
  { source: 'pypi', table: 'pypi_package', columns: ['repository'], read: repositoryOf },
];

/** The repository that a package names. A text that names an account only is none, and counted as such. */
function repositoryOf({ op, row: { repository } }: FeedingRow): Finding[] {
  if (op === 'delete' || typeof repository !== 'string' || repository.trim() === '') return [];
  const read = readKey(repository);
  return [{ key: 'key' in read && read.space !== 'repo' ? `repo:${repository}` : repository }];
}
