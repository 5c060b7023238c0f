import type { InletRules } from '../../ports/inlet.ts';
import { hostsIn } from '../names/host.ts';

/** Tables whose rows name domains. They say nothing else of them, so there is no evidence. */
export const WHOIS_INLETS: InletRules[] = [
  {
    source: 'npm',
    table: 'npm_package',
    columns: ['homepage'],
    // The domain of a homepage, because anyone can register it after it lapses.
    read: ({ row }) => hostsIn(row.homepage).map(key => ({ key })),
  },
  {
    source: 'pypi',
    table: 'pypi_package',
    columns: ['homepage'],
    read: ({ row }) => hostsIn(row.homepage).map(key => ({ key })),
  },
  {
    source: 'zones',
    table: 'domain',
    columns: ['domain'],
    // One that does not exist may still be registered, but it is watched since it existed.
    read: ({ op, row }) => (op === 'delete' ? [] : [{ key: String(row.domain) }]),
  },
];
