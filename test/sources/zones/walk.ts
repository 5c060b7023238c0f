import { startStandIn } from '../../../src/sources/zones/stand-in/stand-in.ts';
import type { StandIn } from '../walk.ts';
import { expectedRow, recorded } from './recordings.ts';

/** Domains of the folder that have no row with records. */
const OTHERS: Record<string, ReturnType<NonNullable<StandIn['agenda']>['expected']>['outcome']> = {
  'gone-example.com': { gone: true },
  'unwritten-example.org': { gone: true },
  'lame-example.net': { parked: 'dns-error' },
  // Signed and broken: what it has is not known, and it exists.
  'stumbling-example.com': { row: { domain: 'stumbling-example.com', tld: 'com', nameservers: null, a_records: null } },
};

export async function startWalk(folder: string): Promise<StandIn> {
  const expires = new Set<() => void>();
  const standIn = await startStandIn({ folder, onHold: () => [...expires].forEach(expire => void expire()) });
  return {
    origin: standIn.origin,
    env: () => standIn.settings,
    subject: 'dns',
    failPage: answer => standIn.fault('/first/', [answer]),
    // Both resolvers fail, but for a throttled one: then the fallback is not asked.
    failDocument: (key, answer) => standIn.fault(key, answer.status === 429 ? [answer] : [answer, answer]),
    wrongPage: { body: '<html>', field: 'message' },
    wrongDocument: { body: () => '<html>', field: 'content type' },
    retried: [],
    timer: (_ms, expire) => {
      expires.add(expire);
      return () => expires.delete(expire);
    },
    agenda: {
      keys: [...standIn.domains, ...standIn.plainDomains],
      invalidKeys: [
        '',
        ' ',
        '.',
        'com',
        'co.uk',
        'not a domain.com',
        'a..com',
        '-',
        'x.nosuchzone',
        '192.0.2.1',
        'x.test',
      ],
      expected: key => ({ visits: 1, outcome: OTHERS[key] ?? { row: expectedRow(key) } }),
      // The addresses of willow-example.net rotate, and are those of the first day again on the 30th.
      changedLater: recorded.later.map(({ domain }) => domain),
      hasParts: false,
      passMonth: () => standIn.passDays(30),
    },
    close: standIn.stop,
  };
}
