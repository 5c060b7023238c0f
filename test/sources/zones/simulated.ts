import { watchKeys } from '../../../src/engine/controls/watched-keys.ts';
import { DAY } from '../../../src/limits.ts';
import type { DnsAnswer } from '../../../src/sources/zones/message.ts';
import { TYPES } from '../../../src/sources/zones/record.ts';
import { readZonesSettings } from '../../../src/sources/zones/settings.ts';
import { zones } from '../../../src/sources/zones/zones.ts';
import { DEFAULT_SETTINGS, type SourceKind } from '../../simulation/world/sources.ts';
import { startedWorld, type World, type WorldOptions } from '../../simulation/world/world.ts';
import { messageOf, questionOf, recordsOf } from './messages.ts';

export const FIRST = 'first.test';
export const FALLBACK = 'fallback.test';

const settings = readZonesSettings({
  ZONES_RESOLVER_URL: `https://${FIRST}/dns-query`,
  ZONES_FALLBACK_URL: `https://${FALLBACK}/dns-query`,
});

const { id, prefix, tables, folders, documentBytes } = zones;
const FIELDS = { id, prefix, tables, settingNames: [], folders: folders!, documentBytes: documentBytes! };

/** Questions of the simulator's requests that are about the root. */
const ROOT = '.';

interface SimulatedOptions {
  isQuick: boolean;
  requestsPerSecond: number;
  everyMs: number;
}

/**
 * The source over resolvers in the simulator: a published domain has an A record, whose last octet is its text. With
 * `isQuick` answers do not go through messages, so that many domains take less time.
 */
const kindOf =
  ({ isQuick, requestsPerSecond, everyMs }: SimulatedOptions): SourceKind =>
  (upstream, call) => ({
    ...FIELDS,
    settings: () => DEFAULT_SETTINGS,
    pace: () => zones.pace({ ...settings, requestsPerSecond }),
    requests: (step, changes) => zones.requests(step, changes, settings),
    agenda: { read: zones.agenda!.read, next: visit => zones.agenda!.next(visit, { ...settings, everyMs }) },
    async load(change, ctx) {
      return zones.load(change, {
        ...ctx,
        prepared: null,
        settings,
        async fetchRaw(url, { read }) {
          const { host, searchParams } = new URL(url);
          const question = questionOf(Buffer.from(searchParams.get('dns')!, 'base64url'));
          const isRoot = question.name === '.';
          const domain = isRoot ? ROOT : question.name.split('.').slice(-3, -1).join('.');
          const found = await upstream.answer(host, domain, call);
          const rcode = found || isRoot ? 0 : 3;
          const isAnswered = found !== null && question.type === TYPES.A && question.name === `${domain}.`;
          const answers = isAnswered ? recordsOf(`${domain}. 300 A 192.0.2.${found.text || 1}`) : [];
          if (isQuick) {
            const value: DnsAnswer = {
              rcode,
              isAuthentic: false,
              extendedErrors: [],
              records: answers,
              otherClasses: 0,
            };
            return { bytes: new Uint8Array(), etag: null, freshMs: null, value: value as ReturnType<typeof read> };
          }
          const bytes = messageOf({ ...question, rcode, answers });
          const body = { bytes, contentType: 'application/dns-message', headers: new Headers() };
          return { bytes, etag: null, freshMs: null, value: read(body) };
        },
      });
    },
  });

/** A world that visits these domains, all of which exist and are due at once. */
export async function zonesWorld(
  domains: string[],
  { isQuick = false, requestsPerSecond = 10, everyMs = DAY, ...options }: WorldOptions & Partial<SimulatedOptions> = {},
): Promise<World> {
  const world = await startedWorld({ kind: kindOf({ isQuick, requestsPerSecond, everyMs }), ...options });
  world.upstream.publish(domains);
  await watchDomains(world, domains);
  return world;
}

export function watchDomains(world: World, domains: string[]): Promise<unknown> {
  const keys = domains.map((domain, index) => {
    const read = zones.agenda!.read(domain);
    if ('rejected' in read) throw new Error(`${domain}: expected a domain, got ${read.rejected}`);
    return { line: index + 1, ...read };
  });
  return world.ask('object.watch', engine => watchKeys(engine, { atMs: null, keys }));
}

export const domainsOf = (count: number) => Array.from({ length: count }, (_, index) => `domain-${index}.com`);
