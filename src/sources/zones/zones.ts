import { domain as domainTable } from '../../../schemas/domain.ts';
import { readDomain } from '../names/domain.ts';
import type { Source } from '../source.ts';
import { ZONES_INLETS } from './inlets.ts';
import { lookUp, QUESTIONS } from './lookup.ts';
import { MESSAGE_BYTES_MAX } from './message.ts';
import { nextVisit, type VisitFacts } from './next-visit.ts';
import { registrationOf } from './registration.ts';
import { readZonesSettings, ZONES_SETTINGS, type ZonesSettings } from './settings.ts';
import { goneVisit, readFacts, seenVisit, ZONE_FOLDER } from './visit.ts';

/** One name space, because all domains are asked of the same resolvers. */
const SPACE = 'dns';

/**
 * What the DNS says of domains. No feed has their changes, so the agenda visits each watched domain when it is due, asks
 * a resolver over HTTPS, and writes the answers down as a row and as a zone file.
 */
export const zones: Source<ZonesSettings, null> = {
  id: 'zones',
  prefix: 'zones',
  folders: [ZONE_FOLDER],
  tables: [domainTable],
  settingNames: ZONES_SETTINGS,
  settings: readZonesSettings,
  pace: settings => ({ pollMs: settings.pollMs, settleMs: 0, hosts: hostsOf(settings) }),
  documentBytes: QUESTIONS.length * MESSAGE_BYTES_MAX,
  // The fallback's permits are taken when it is asked, because most visits do without it.
  requests: (step, changes, { resolverUrl }) =>
    step === 'load' && changes.length > 0 ? { [new URL(resolverUrl).host]: changes.length * QUESTIONS.length } : {},
  agenda: {
    inlets: ZONES_INLETS,
    read(text) {
      const read = readDomain(text);
      return 'rejected' in read ? read : { key: read.domain, space: SPACE };
    },
    next: (visit, settings) => nextVisit({ ...visit, facts: visit.facts as Partial<VisitFacts> | null }, settings),
  },

  async load({ key: domain, facts, evidence }, ctx) {
    const before = readFacts(facts);
    const registration = registrationOf(evidence);
    const found = await lookUp(domain, ctx);
    return found.kind === 'gone'
      ? goneVisit(domain, { before, registration })
      : seenVisit(domain, { found, before, registration }, ctx);
  },
};

function hostsOf({ resolverUrl, fallbackUrl, requestsPerSecond }: ZonesSettings) {
  const pace = { requestsPerSecond, burst: QUESTIONS.length };
  return Object.fromEntries([resolverUrl, fallbackUrl].map(url => [new URL(url).host, pace]));
}
