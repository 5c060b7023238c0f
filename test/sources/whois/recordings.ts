import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { FactColumn, WhoisFacts } from '../../../src/sources/whois/facts.ts';
import { type RecordedDomains, WHOIS_RECORDINGS } from '../../../src/sources/whois/stand-in/registrations.ts';

/** The facts of an answer or a domain; columns that are not here are null. */
interface Expected {
  facts: Partial<WhoisFacts>;
  redacted: FactColumn[];
}

export interface Rows {
  /** By file of the answer. */
  answers: Record<string, { domain: string } & ((Expected & { relatedUrl: string | null }) | { error: string })>;
  /** By domain: the registry's and the registrar's answers, merged. */
  domains: Record<string, Expected>;
  /** The same from the later date on. */
  later: Record<string, Expected>;
}

/** A file's text, with a host in place of each placeholder. */
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

/** The files of the answers, as in `rows.json` and `domains.json`. */
export function listAnswerFiles(): string[] {
  return readdirSync(path.join(WHOIS_RECORDINGS, 'answers'), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => path.relative(path.join(WHOIS_RECORDINGS, 'answers'), path.join(entry.parentPath, entry.name)))
    .sort();
}
