import { expect, test } from 'vitest';
import { ChangeError, messageOf } from '../../src/errors.ts';
import { type FactColumn, isRedacted, NO_FACTS } from '../../src/sources/whois/facts.ts';
import { mergeAnswers, type RdapAnswer, readRdap } from '../../src/sources/whois/rdap/answer.ts';
import { numberOf, seedOf } from '../budget.ts';
import { readRecording, readRows } from '../sources/whois/recordings.ts';
import { coinOf, mutateStructure, pick } from './fuzz-mutations.ts';
import { hostileAnswer, reordered } from './rdap-mutations.ts';

const DOCUMENTS = numberOf('RDAP_DOCUMENTS', 2_000);
const SEED = seedOf('RDAP_SEED');

const COLUMNS = Object.keys(NO_FACTS) as FactColumn[];
const ISO = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}Z)?$/;
const HOST = /^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)+[a-z0-9_-]+$/;

/** The form of a column's values; values of other columns have another form. */
const FORMS: Partial<Record<FactColumn, RegExp>> = {
  registrant_email: /^[^\s@]+@[^\s@]+$/,
  registrar_id: /^\d{1,9}$/,
  registrar_url: /^(https?:\/\/\S+|([a-z0-9-]+\.)+[a-z]{2,}(\/\S*)?)$/i,
  registrar_abuse_email: /^[^\s@]+@[^\s@]+$/,
  registrar_abuse_phone: /^\+?[\d ().\-/]+( ext\. \d+)?$/,
  created_date: ISO,
  updated_date: ISO,
  expiry_date: ISO,
  status_codes: /^[a-z]+([,a-z]+)*$/i,
  dnssec: /^(signedDelegation|unsigned)$/,
};

/**
 * The column of each value in the documents of `hostileAnswer`. A value is in one member only, so a column with the value
 * of another was read from a wrong member.
 */
const MARKERS: Record<string, FactColumn> = {
  'Marker Registrant Name': 'registrant_name',
  'marker-registrant@example.com': 'registrant_email',
  'Marker Registrant Organization': 'registrant_organization',
  'Marker Registrant Country': 'registrant_country',
  'Marker Registrant State': 'registrant_state',
  'Marker Registrant City': 'registrant_city',
  'Marker Registrar Name': 'registrar_name',
  '424242': 'registrar_id',
  'https://marker-registrar.example/': 'registrar_url',
  'marker-abuse@example.com': 'registrar_abuse_email',
  '+1.2025550111': 'registrar_abuse_phone',
  '2001-01-01T01:01:01Z': 'created_date',
  '2002-02-02T02:02:02Z': 'updated_date',
  '2003-03-03T03:03:03Z': 'expiry_date',
  'marker-ns.example': 'nameservers',
};

/** Values of other contacts and other properties, which belong in no column. */
const STRAY = /stray|515151|2004-04-04|5550999/i;

const recorded = Object.entries(readRows().answers)
  .filter(([, expected]) => !('error' in expected))
  .map(([file, { domain }]) => ({ domain, text: JSON.stringify(JSON.parse(readRecording(`answers/${file}`))) }));

function ensure(holds: boolean, expected: string): void {
  if (!holds) throw new Error(`expected ${expected}`);
}

function read(json: unknown, domain: string): RdapAnswer | string {
  try {
    return readRdap(json, domain);
  } catch (error) {
    if (!(error instanceof ChangeError)) throw error;
    ensure(['wrong-shape', 'name-mismatch'].includes(error.reason), `a known reason, got ${error.reason}`);
    ensure(error.message.length < 200, 'a message that quotes no value');
    return error.reason;
  }
}

function checkAnswer({ facts, redacted, relatedUrl, stable }: RdapAnswer): void {
  ensure(Object.keys(facts).join() === COLUMNS.join(), 'every column, in its order');
  for (const column of COLUMNS) {
    const value = facts[column] as unknown;
    if (value === null) continue;
    if (typeof value !== 'string') throw new Error(`${column}: a ${typeof value}`);
    ensure(value.trim() !== '' && value.isWellFormed() && !/\p{Cc}/u.test(value), `${column}: text that is not blank`);
    ensure(!isRedacted(value), `${column}: no text that says it is withheld`);
    ensure(FORMS[column]?.test(value) ?? true, `${column}: a value of its form, got ${value.slice(0, 80)}`);
    if (ISO.test(value) && column.endsWith('_date'))
      ensure(new Date(value).toISOString().startsWith(value.replace('Z', '')), `${column}: an existing day`);
  }
  for (const host of facts.nameservers?.split(',') ?? []) ensure(HOST.test(host), `a name server's name, got ${host}`);
  ensure(
    redacted.every(column => facts[column] === null && COLUMNS.includes(column)),
    'withheld columns to be null',
  );
  ensure(new Set(redacted).size === redacted.length, 'each withheld column once');
  ensure(relatedUrl === null || /^https?:\/\//i.test(relatedUrl), 'a URL');
  JSON.parse(stable);
}

/** No column has a value of another column, or of none. */
function checkMarkers({ facts }: RdapAnswer): void {
  for (const [column, value] of Object.entries(facts)) {
    if (value === null) continue;
    ensure(!STRAY.test(value), `${column}: no value of another contact, got ${value}`);
    const own = MARKERS[value];
    ensure(own === undefined || own === column, `${column}: its own value, got that of ${own}`);
  }
}

const timeoutMs = 60_000 + DOCUMENTS * 5;

test(`${DOCUMENTS} mutated answers (seed ${SEED}) give facts in their own columns, or are refused for a known reason`, {
  timeout: timeoutMs,
}, () => {
  const startedMs = performance.now();
  const counts = new Map<string, number>();
  const count = (outcome: string) => counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  let previous: RdapAnswer | null = null;
  for (let index = 0; index < DOCUMENTS; index++) {
    const coin = coinOf(SEED, index);
    try {
      const isMarked = coin() < 0.5;
      const base = isMarked ? { domain: 'marked-example.com', text: '' } : pick(coin, recorded);
      const json: unknown = isMarked ? hostileAnswer(base.domain, coin) : JSON.parse(mutateStructure(base.text, coin));
      const answer = read(json, base.domain);
      count(typeof answer === 'string' ? answer : isMarked ? 'marked' : 'read');
      if (typeof answer === 'string') continue;
      checkAnswer(answer);
      if (isMarked) checkMarkers(answer);
      for (const column of COLUMNS) if (answer.facts[column] !== null) count(column);
      if (answer.redacted.length > 0) count('redacted');
      if (isMarked)
        ensure(
          readRdap(reordered(json, coin), base.domain).stable === answer.stable,
          'the same stable text in any order',
        );
      const merged = mergeAnswers(answer, previous);
      checkAnswer({ ...answer, ...merged });
      previous = answer;
    } catch (error) {
      throw new Error(`RDAP_SEED=${SEED}, document ${index}: ${messageOf(error)}`, { cause: error });
    }
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(
    `rdap: seed ${SEED}, ${DOCUMENTS} documents in ${seconds} s: ${JSON.stringify(Object.fromEntries(counts))}`,
  );
  // A run without one of the outcomes or columns would not test it.
  for (const outcome of ['marked', 'read', 'wrong-shape', 'name-mismatch', 'redacted', ...COLUMNS])
    expect(counts.get(outcome) ?? 0, outcome).toBeGreaterThan(DOCUMENTS / 500);
});
