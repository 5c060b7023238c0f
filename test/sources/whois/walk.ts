import { readFileSync } from 'node:fs';
import path from 'node:path';
import { NO_FACTS, type WhoisFacts } from '../../../src/sources/whois/facts.ts';
import { readTexts } from '../../../src/sources/whois/stand-in/registrations.ts';
import { startStandIn } from '../../../src/sources/whois/stand-in/stand-in.ts';
import type { StandIn } from '../walk.ts';
import { readDomains, readRows } from './recordings.ts';

export async function startWalk(folder: string): Promise<StandIn> {
  const expires = new Set<() => void>();
  const standIn = await startStandIn({ folder, onHold: () => [...expires].forEach(expire => void expire()) });
  return {
    origin: standIn.origins['registry-a'],
    env: () => standIn.settings,
    subject: 'rdap',
    failPage: answer => standIn.fault('/bootstrap', [answer]),
    failDocument: (key, answer) => standIn.fault(key, [answer]),
    wrongPage: { body: '{"services":{}}', field: 'services' },
    wrongDocument: { body: () => '{"objectClassName":"entity"}', field: 'objectClassName' },
    retried: ['slow-example.com', 'silent-example.com'],
    timer: (_ms, expire) => {
      expires.add(expire);
      return () => expires.delete(expire);
    },
    agenda: {
      keys: standIn.domains,
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
        '\u0007.com',
        '192.0.2.1',
      ],
      expected: expectedRegistrations(folder),
      changedLater: readDomains().later.map(({ domain }) => domain),
      hasParts: true,
      passMonth: () => standIn.goTo(30),
    },
    close: standIn.stop,
  };
}

/** The expected outcome of each domain of the folder: from `rows.json`, and for WHOIS from `text/rows.json`. */
function expectedRegistrations(folder: string): NonNullable<StandIn['agenda']>['expected'] {
  const { domains } = readDomains();
  const rows = readRows();
  const texts = readTexts(folder);
  const textRows = JSON.parse(readFileSync(path.join(folder, 'text/rows.json'), 'utf8')) as {
    domain: string;
    found?: boolean;
    facts?: Partial<WhoisFacts>;
  }[];
  const reasons: Record<string, string> = { 'redirect-loop': 'http-301', 'no-rdap': 'no-server' };
  return key => {
    if (texts.has(key)) {
      const { found, facts } = textRows.find(({ domain }) => domain === key)!;
      return { visits: 1, outcome: found ? { row: { ...NO_FACTS, ...facts } } : { gone: true } };
    }
    const { outcome, answers } = domains.find(({ domain }) => domain === key)!;
    const visits = Math.max(1, ...Object.values(answers).map(steps => steps.length));
    if (outcome === 'not-found') return { visits, outcome: { gone: true } };
    if (outcome !== 'row') return { visits, outcome: { parked: reasons[outcome] ?? outcome } };
    return { visits, outcome: { row: { ...NO_FACTS, ...rows.domains[key]!.facts } } };
  };
}
