import type { InletRules } from '../../ports/inlet.ts';
import { hostsIn } from '../names/host.ts';
import { REGISTRATION_COLUMNS, REGISTRATIONS, readRegistration } from './registration.ts';

/** Tables whose rows name domains. Only registrations say more of them: their facts are columns of the domain's row. */
export const ZONES_INLETS: InletRules[] = [
  { source: 'whois', table: REGISTRATIONS, columns: REGISTRATION_COLUMNS, read: readRegistration },
  homepages('npm', 'npm_package', 'homepage'),
  homepages('pypi', 'pypi_package', 'homepage'),
  homepages('github', 'github_repo', 'homepage'),
  homepages('github', 'github_profile', 'blog'),
];

/** The domains of homepages that a column has. */
function homepages(source: string, table: string, column: string): InletRules {
  return { source, table, columns: [column], read: ({ row }) => hostsIn(row[column]).map(key => ({ key })) };
}
