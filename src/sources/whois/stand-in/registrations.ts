import { readFileSync } from 'node:fs';
import path from 'node:path';
import { isoDay } from '../../../time.ts';

/** The folder of made-up registrations; its README describes the files. */
export const WHOIS_RECORDINGS = path.resolve(import.meta.dirname, '../../../../test/fixtures/whois');

/** The folder's HTTP servers; each has its own port. */
export const RDAP_SERVERS = ['registry-a', 'registry-b', 'registrar', 'registrar-b'] as const;

export type RdapServer = (typeof RDAP_SERVERS)[number];

/** One answer of a server. Several answers to one request come in their order, the last one for ever. */
export interface RecordedAnswer {
  status?: number;
  /** The body, below `answers/`. */
  file?: string;
  headers?: Record<string, string>;
  /** The server accepts the request and never answers it. */
  timeout?: boolean;
}

/** A domain and its answers by server, which may have a path: `registry-a`, `registry-a/v2`. */
export interface RecordedDomain {
  domain: string;
  /** The visit's outcome after all retries. */
  outcome: string;
  /** ISO 8601; null if the registry sends none, or the visit gives no row. */
  expires: string | null;
  answers: Record<string, RecordedAnswer[]>;
  note: string;
}

/** The folder's index. From `laterDate` on the domains in `later` have other answers. */
export interface RecordedDomains {
  /** The day to which the dates of the answers belong, `YYYY-MM-DD`. */
  baseDate: string;
  domains: (RecordedDomain & { registry: string | null })[];
  laterDate: string;
  later: RecordedDomain[];
}

/** A WHOIS server's answer to a domain. */
interface RecordedText {
  file: string;
  domain: string;
}

const DAY_MS = 86_400_000;

/** Reads the folder's index. Throws if it is missing or no JSON. */
export function readRecordedDomains(folder: string): RecordedDomains {
  return JSON.parse(readFileSync(path.join(folder, 'domains.json'), 'utf8')) as RecordedDomains;
}

/** The days from one date to another, both `YYYY-MM-DD`. */
export function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS);
}

/** Adds days to the date of each event; a date that means "no date", such as year 1, stays. */
export function shiftEvents(text: string, days: number): string {
  if (days === 0) return text;
  return text.replace(/("eventDate": ")([12]\d{3}-\d\d-\d\d)/g, (_, before: string, date: string) => {
    return before + isoDay(Date.parse(date) + days * DAY_MS);
  });
}

/** The top-level domains that the folder's bootstrap file has an RDAP server for. */
export function rdapTlds(folder: string): string[] {
  const { services } = JSON.parse(readFileSync(path.join(folder, 'bootstrap.json'), 'utf8')) as {
    services: [string[], string[]][];
  };
  return services.flatMap(([tlds]) => tlds);
}

/** The WHOIS answers by domain, for top-level domains without RDAP. */
export function readTexts(folder: string): Map<string, Uint8Array> {
  const tlds = rdapTlds(folder);
  const recorded = JSON.parse(readFileSync(path.join(folder, 'text/rows.json'), 'utf8')) as RecordedText[];
  const texts = new Map<string, Uint8Array>();
  for (const { file, domain } of recorded) {
    if (tlds.includes(tldOf(domain)) || texts.has(domain)) continue;
    texts.set(domain, readFileSync(path.join(folder, 'text', file)));
  }
  return texts;
}

export function tldOf(domain: string): string {
  return domain.slice(domain.lastIndexOf('.') + 1);
}
