import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ChangeError } from '../../../../src/errors.ts';
import { makeCoin } from '../../../../src/sources/stand-in/faults.ts';
import { NO_FACTS } from '../../../../src/sources/whois/facts.ts';
import { readWhoisText } from '../../../../src/sources/whois/text/answer.ts';
import { decodeText } from '../../../../src/sources/whois/text/lines.ts';
import { numberOf, seedOf } from '../../../budget.ts';
import { mutateText } from '../mutations.ts';

const FOLDER = path.resolve(import.meta.dirname, '../../../fixtures/whois');
const TEXTS = numberOf('FUZZ_WHOIS_TEXTS', 400);
const SEED = seedOf('FUZZ_SEED');

interface Base {
  name: string;
  domain: string;
  text: string;
  isRecord: boolean;
}

const jsonOf = (file: string) => JSON.parse(readFileSync(path.join(FOLDER, file), 'utf8'));
const recorded: Base[] = jsonOf('text/rows.json').map((row: { file: string; domain: string; found?: boolean }) => ({
  name: row.file,
  domain: row.domain,
  text: decodeText(readFileSync(path.join(FOLDER, 'text', row.file))),
  isRecord: row.found === true,
}));
const worded: Base[] = readdirSync(path.join(FOLDER, 'wordings')).flatMap(file =>
  jsonOf(`wordings/${file}`).map((row: { name: string; domain: string; outcome: string; text: string[] }) => ({
    name: row.name,
    domain: row.domain,
    text: `${row.text.join('\n')}\n`,
    isRecord: row.outcome === 'registered',
  })),
);
const bases = [...recorded, ...worded];

/** Reads a mutated text; an error without a name ends the test with the seed that repeats it. */
function outcomeOf(bytes: Uint8Array, { name, domain }: Base, index: number): string {
  try {
    const answer = readWhoisText(decodeText(bytes), domain);
    checkAnswer(answer);
    return answer.found ? 'found' : 'not found';
  } catch (error) {
    if (!(error instanceof ChangeError))
      throw new Error(`FUZZ_SEED=${SEED}, text ${index} of ${name}: ${String(error)}`, { cause: error });
    return error.reason;
  }
}

/** Reads mutated texts of some bases and counts their outcomes. */
function countOutcomes(from: Base[], each: (base: Base, coin: () => number, index: number) => string) {
  const counts = new Map<string, number>();
  for (let index = 0; index < TEXTS; index++) {
    const coin = makeCoin(Math.imul(SEED, 2654435761) ^ Math.imul(index + 1, 40503));
    const outcome = each(from[Math.floor(coin() * from.length)]!, coin, index);
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }
  process.stdout.write(`whois texts: seed ${SEED}, ${TEXTS} texts: ${JSON.stringify(Object.fromEntries(counts))}\n`);
  return counts;
}

const timeout = 60_000 + 4 * TEXTS;

test(`${TEXTS} mutated texts (seed ${SEED}) are answers, or fail for a known reason`, { timeout }, () => {
  const texts = bases.map(({ text }) => text);
  const counts = countOutcomes(bases, (base, coin, index) =>
    outcomeOf(mutateText(base.text, { coin, texts }), base, index),
  );
  // Mutations with the same outcome test nothing.
  expect([...counts.keys()].sort()).toEqual(['found', 'http-429', 'name-mismatch', 'not found', 'wrong-shape']);
});

test(`${TEXTS} mutated records (seed ${SEED}) to which nothing adds an absence are no deletions`, { timeout }, () => {
  // A status of the others becomes "available" when its "not" is cut off.
  const records = bases.filter(({ isRecord, text }) => isRecord && !/\bnot available\b/i.test(text));
  const texts = records.map(({ text }) => text);
  const counts = countOutcomes(records, (base, coin, index) => {
    const bytes = mutateText(base.text, { coin, texts, withoutAbsence: true });
    const outcome = outcomeOf(bytes, base, index);
    if (outcome === 'not found')
      throw new Error(
        `FUZZ_SEED=${SEED}, text ${index} of ${base.name}: expected no deletion, got one:\n${decodeText(bytes)}`,
      );
    return outcome;
  });
  expect(counts.get('found')).toBeGreaterThan(TEXTS / 4);
});

const REFUSALS = [
  'Query rate limit exceeded.',
  '% Too many requests...',
  'Your IP address has been blocked',
  'Error: quota exceeded',
];

test(`${TEXTS} mutated texts (seed ${SEED}) with a refusal somewhere are refusals`, { timeout }, () => {
  const texts = bases.map(({ text }) => text);
  const counts = countOutcomes(bases, (base, coin, index) => {
    const paragraphs = decodeText(mutateText(base.text, { coin, texts })).split(/\n{2,}/);
    const refusal = REFUSALS[Math.floor(coin() * REFUSALS.length)]!;
    paragraphs.splice(Math.floor(coin() * (paragraphs.length + 1)), 0, refusal);
    const text = paragraphs.join('\n\n');
    const outcome = outcomeOf(new TextEncoder().encode(text), base, index);
    if (outcome !== 'http-429')
      throw new Error(`FUZZ_SEED=${SEED}, text ${index} of ${base.name}: expected a refusal, got ${outcome}:\n${text}`);
    return outcome;
  });
  expect([...counts.keys()]).toEqual(['http-429']);
});

const ISO_DATE = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}Z)?$/;

function checkAnswer({ found, facts, redacted, stable }: ReturnType<typeof readWhoisText>): void {
  expect(Object.keys(facts)).toEqual(Object.keys(NO_FACTS));
  for (const [column, fact] of Object.entries(facts)) {
    if (fact === null) continue;
    if (typeof fact !== 'string' || fact === '' || fact !== fact.trim() || !fact.isWellFormed())
      throw new Error(`${column}: expected trimmed well-formed text, got ${JSON.stringify(fact)}`);
    if (/\p{Cc}/u.test(fact)) throw new Error(`${column}: expected no control character, got one`);
  }
  for (const date of [facts.created_date, facts.updated_date, facts.expiry_date])
    if (date !== null && !(ISO_DATE.test(date) && !Number.isNaN(Date.parse(date))))
      throw new Error(`expected an ISO date, got ${date}`);
  for (const email of [facts.registrant_email, facts.registrar_abuse_email])
    if (email !== null && !/^\S+@\S+$/.test(email)) throw new Error(`expected an email address, got ${email}`);
  for (const host of facts.nameservers?.split(',') ?? [])
    if (!/^[a-z0-9_-]+(\.[a-z0-9_-]+)+$/.test(host)) throw new Error(`expected a host, got ${host}`);
  for (const status of facts.status_codes?.split(',') ?? [])
    if (/\s/.test(status)) throw new Error(`expected a status of one word, got ${status}`);
  for (const column of redacted)
    if (facts[column] !== null) throw new Error(`${column}: expected null because it is withheld, got a value`);
  if (!found && Object.values(facts).some(fact => fact !== null))
    throw new Error('expected no facts of an unregistered domain, got some');
  if (stable.includes('\r')) throw new Error('stable: expected line feeds only, got a carriage return');
}
