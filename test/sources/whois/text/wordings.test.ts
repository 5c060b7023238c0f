import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ChangeError } from '../../../../src/errors.ts';
import { NO_FACTS, type WhoisFacts } from '../../../../src/sources/whois/facts.ts';
import { readWhoisText } from '../../../../src/sources/whois/text/answer.ts';

const FOLDER = path.resolve(import.meta.dirname, '../../../fixtures/whois/wordings');

/** An answer of the folder and the right reading of it; columns that are not named are null. */
interface Wording {
  name: string;
  domain: string;
  /** `registered`, `not-registered`, or the reason of the error. */
  outcome: string;
  facts?: Partial<WhoisFacts>;
  redacted?: string[];
  retryAfterMs?: number;
  text: string[];
}

const files = readdirSync(FOLDER).sort();
const wordings = files.flatMap(file => JSON.parse(readFileSync(path.join(FOLDER, file), 'utf8')) as Wording[]);

function readingOf({ text, domain }: Wording) {
  try {
    const { found, facts, redacted } = readWhoisText(`${text.join('\n')}\n`, domain);
    return { outcome: found ? 'registered' : 'not-registered', facts, redacted, retryAfterMs: null };
  } catch (error) {
    if (!(error instanceof ChangeError)) throw error;
    return { outcome: error.reason, facts: NO_FACTS, redacted: [], retryAfterMs: error.retryAfterMs };
  }
}

describe('an answer in the words of a registry', () => {
  it.each(wordings)('is read right: $name', wording => {
    const { outcome, facts = {}, redacted = [], retryAfterMs = null } = wording;
    expect(readingOf(wording)).toEqual({ outcome, facts: { ...NO_FACTS, ...facts }, redacted, retryAfterMs });
  });

  it('has a name of its own', () => {
    expect(new Set(wordings.map(({ name }) => name)).size).toBe(wordings.length);
  });
});
