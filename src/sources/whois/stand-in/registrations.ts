import { readFileSync } from 'node:fs';
import path from 'node:path';

/** The folder of made-up registrations, with a README that says what its files are. */
export const WHOIS_RECORDINGS = path.resolve(import.meta.dirname, '../../../../test/fixtures/whois');

/** The servers of the folder that answer over HTTP, each at an address of its own. */
export const RDAP_SERVERS = ['registry-a', 'registry-b', 'registrar', 'registrar-b'] as const;

export type RdapServer = (typeof RDAP_SERVERS)[number];

/** One answer of a server; several to one question are given in their order, the last for ever. */
export interface RecordedStep {
  status?: number;
  /** The body, below `answers/`. */
  file?: string;
  headers?: Record<string, string>;
  /** The question is taken and never answered. */
  timeout?: boolean;
}

/** A domain and what each server does when it is asked for it, by server and path: `registry-a`, `registry-a/v2`. */
export interface RecordedDomain {
  domain: string;
  /** What a visit comes to in the end. */
  outcome: string;
  /** ISO 8601; null where the registry does not say, or no row comes. */
  expires: string | null;
  answers: Record<string, RecordedStep[]>;
  note: string;
}

/** The folder's index. `later` says which domains are answered for otherwise from `laterDate` on. */
export interface RecordedDomains {
  /** The day the dates were made for, `YYYY-MM-DD`. */
  baseDate: string;
  domains: (RecordedDomain & { registry: string | null })[];
  laterDate: string;
  later: RecordedDomain[];
}

/** The text that a WHOIS server answers to a domain with. */
interface RecordedText {
  file: string;
  domain: string;
}

const DAY_MS = 86_400_000;

/** Reads the folder's index. Throws when it is missing or is no JSON. */
export function readRecordedDomains(folder: string): RecordedDomains {
  return JSON.parse(readFileSync(path.join(folder, 'domains.json'), 'utf8')) as RecordedDomains;
}

/** How many days lie from one date to another, both `YYYY-MM-DD`. */
export function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(to) - Date.parse(from)) / DAY_MS);
}

/** Adds days to each date of an event; a stand-in such as year 1 stays. */
export function shiftEvents(text: string, days: number): string {
  if (days === 0) return text;
  return text.replace(/("eventDate": ")([12]\d{3}-\d\d-\d\d)/g, (_, before: string, date: string) => {
    return before + new Date(Date.parse(date) + days * DAY_MS).toISOString().slice(0, 10);
  });
}

/** Zones that have an RDAP server, by IANA's list of the folder. */
export function rdapZones(folder: string): string[] {
  const { services } = JSON.parse(readFileSync(path.join(folder, 'bootstrap.json'), 'utf8')) as {
    services: [string[], string[]][];
  };
  return services.flatMap(([zones]) => zones);
}

/** The WHOIS answers of the folder by domain: those of top-level domains without RDAP. */
export function readTexts(folder: string): Map<string, Uint8Array> {
  const zones = rdapZones(folder);
  const recorded = JSON.parse(readFileSync(path.join(folder, 'text/rows.json'), 'utf8')) as RecordedText[];
  const texts = new Map<string, Uint8Array>();
  for (const { file, domain } of recorded) {
    if (zones.includes(topLevelOf(domain)) || texts.has(domain)) continue;
    texts.set(domain, readFileSync(path.join(folder, 'text', file)));
  }
  return texts;
}

export function topLevelOf(domain: string): string {
  return domain.slice(domain.lastIndexOf('.') + 1);
}
