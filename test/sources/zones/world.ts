import { DAY } from '../../../src/limits.ts';
import type { Change, Evidence, Loaded, Seen } from '../../../src/ports/change.ts';
import type { Answer } from '../../../src/sources/stand-in/faults.ts';
import { type RequestLog, startServer } from '../../../src/sources/stand-in/server.ts';
import { readZonesSettings } from '../../../src/sources/zones/settings.ts';
import { zones } from '../../../src/sources/zones/zones.ts';
import { type Lake, load } from '../step.ts';
import { answersTo, messageOf, type Parts, questionOf, recordsOf } from './messages.ts';

/** When tests begin. */
export const START_MS = Date.UTC(2026, 10, 29);

export type By = 'first' | 'fallback';

/** What a resolver does instead of answering from the zone: another answer in DNS, or another one over HTTP. */
export type Instead = Partial<Parts> | { http: Answer };

/** Two resolvers over zones that a test sets. */
export interface ResolverWorld {
  settings: ReturnType<typeof readZonesSettings>;
  requests: Record<By, RequestLog>;
  /** Questions to a resolver so far, by the number of their type: `2 example.com.`. */
  asked: Record<By, string[]>;
  setZone(domain: string, ...lines: string[]): void;
  removeZone(domain: string): void;
  /** What a resolver does for a domain, or for one question such as `2 example.com.`; null: it answers from the zone. */
  instead(by: By, target: string, instead: Instead | null): void;
  /** A visit, with what the last one of the domain left. `isRow`: it gives a row. */
  visit(domain: string, options?: VisitOptions): Promise<Loaded & { isRow: boolean }>;
  /** Sets what the last accepted visit of a domain left, as if later ones had been lost. */
  forget(domain: string, seen: Seen): void;
  stop(): Promise<void>;
}

export interface VisitOptions {
  evidence?: Evidence;
  /** Days after the test began. */
  day?: number;
}

export async function startResolvers(env: Record<string, unknown> = {}): Promise<ResolverWorld> {
  const zonesOf = new Map<string, string[]>();
  const others = new Map<string, Instead>();
  const asked: Record<By, string[]> = { first: [], fallback: [] };
  const left = new Map<string, Seen>();
  const lake: Lake = new Map();
  const answerOf = (by: By, url: URL): Answer => {
    const question = questionOf(Buffer.from(url.searchParams.get('dns') ?? '', 'base64url'));
    asked[by].push(`${question.type} ${question.name}`);
    const domain = question.name.split('.').slice(-3, -1).join('.');
    const instead = others.get(`${by} ${question.type} ${question.name}`) ?? others.get(`${by} ${domain}`);
    if (instead && 'http' in instead) return instead.http;
    const lines = zonesOf.get(domain);
    const rcode = lines || domain === '' ? 0 : 3;
    const answers = answersTo(recordsOf(...(lines ?? [])), question);
    const body = messageOf({ ...question, rcode, answers, ...instead });
    return { headers: { 'content-type': 'application/dns-message' }, body };
  };
  const servers = {
    first: await startServer({ port: 0, gzip: false }, url => answerOf('first', url)),
    fallback: await startServer({ port: 0, gzip: false }, url => answerOf('fallback', url)),
  };
  const settings = readZonesSettings({
    ZONES_RESOLVER_URL: `${servers.first.origin}/dns-query`,
    ZONES_FALLBACK_URL: `${servers.fallback.origin}/dns-query`,
    ...env,
  });
  const world: ResolverWorld = {
    settings,
    requests: { first: servers.first.requests, fallback: servers.fallback.requests },
    asked,
    setZone: (domain, ...lines) => void zonesOf.set(domain, lines),
    removeZone: domain => void zonesOf.delete(domain),
    instead(by, target, instead) {
      if (instead) others.set(`${by} ${target}`, instead);
      else others.delete(`${by} ${target}`);
    },
    async visit(domain, { evidence, day = 0 } = {}) {
      const before = left.get(domain);
      const change = { key: domain, cursor: '1', deleted: false, revision: null, skip: null };
      const visit: Change = { facts: before?.facts ?? null, ...change, ...(evidence && { evidence }) };
      const loaded = await load(zones, settings, visit, { lake, nowMs: START_MS + day * DAY });
      const { seen } = loaded;
      left.set(domain, seen!);
      return { ...loaded, isRow: before?.digests?.domain !== seen!.digests!.domain };
    },
    forget: (domain, seen) => void left.set(domain, seen),
    async stop() {
      for (const { server } of Object.values(servers))
        await new Promise(resolve => void server.close(resolve).closeAllConnections());
    },
  };
  return world;
}
