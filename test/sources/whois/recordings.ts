import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { FactColumn, WhoisFacts } from '../../../src/sources/whois/facts.ts';
import { type RecordedDomains, WHOIS_RECORDINGS } from '../../../src/sources/whois/stand-in/registrations.ts';

/** What an answer or a domain comes to; columns that are not here are null. */
interface Expected {
  facts: Partial<WhoisFacts>;
  redacted: FactColumn[];
}

export interface Rows {
  /** By the answer's file. */
  answers: Record<string, { domain: string } & ((Expected & { relatedUrl: string | null }) | { error: string })>;
  /** By domain: the registry's answer and the registrar's together. */
  domains: Record<string, Expected>;
  /** The same from the later date on. */
  later: Record<string, Expected>;
}

/** A text of the folder, with a host in place of each placeholder. */
export function readRecording(file: string): string {
  const text = readFileSync(path.join(WHOIS_RECORDINGS, file), 'utf8');
  return text.replace(/\{\{([a-z-]+)\}\}/g, (_, server: string) => `https://${server}.example`);
}

export function readRows(): Rows {
  return JSON.parse(readRecording('rows.json')) as Rows;
}

export function readDomains(): RecordedDomains {
  return JSON.parse(readRecording('domains.json')) as RecordedDomains;
}

/** The answers' files, as `rows.json` and `domains.json` name them. */
export function answerFiles(): string[] {
  return readdirSync(path.join(WHOIS_RECORDINGS, 'answers'), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => path.relative(path.join(WHOIS_RECORDINGS, 'answers'), path.join(entry.parentPath, entry.name)))
    .sort();
}
