import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { WhoisFacts } from '../../src/sources/whois-facts.ts';
import type { FactColumn } from '../../src/sources/whois-redaction.ts';

export const WHOIS_RECORDINGS = path.resolve(import.meta.dirname, '../fixtures/whois');

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
}

/** One answer of the replay; several to one question are given in their order, the last for ever. */
export interface Step {
  status?: number;
  file?: string;
  headers?: Record<string, string>;
  timeout?: boolean;
}

export interface RecordedDomain {
  domain: string;
  registry: string | null;
  outcome: string;
  expires: string | null;
  answers: Record<string, Step[]>;
  note: string;
}

export const SERVERS = ['registry-a', 'registry-b', 'registrar'];

/** A text of the folder, with a host in place of each placeholder. */
export function readRecording(file: string): string {
  const text = readFileSync(path.join(WHOIS_RECORDINGS, file), 'utf8');
  return text.replace(/\{\{([a-z-]+)\}\}/g, (_, server: string) => `https://${server}.example`);
}

export function readRows(): Rows {
  return JSON.parse(readRecording('rows.json')) as Rows;
}

export function readDomains(): { baseDate: string; domains: RecordedDomain[] } {
  return JSON.parse(readRecording('domains.json')) as ReturnType<typeof readDomains>;
}

/** The answers' files, as `rows.json` and `domains.json` name them. */
export function answerFiles(): string[] {
  return readdirSync(path.join(WHOIS_RECORDINGS, 'answers'), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => path.relative(path.join(WHOIS_RECORDINGS, 'answers'), path.join(entry.parentPath, entry.name)))
    .sort();
}
