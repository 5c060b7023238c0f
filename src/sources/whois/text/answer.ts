import { LIMITS } from '../../../config.ts';
import { ChangeError } from '../../../errors.ts';
import { NAME_LENGTH_MAX, toAscii } from '../../names/domain.ts';
import { isoDate } from '../dates.ts';
import { eppStatus, type FactColumn, isRedacted, NO_FACTS, REGISTRANT_COLUMNS, type WhoisFacts } from '../facts.ts';
import { joined, textOf } from '../values.ts';
import { isFreeStatus, statesAbsence } from './absences.ts';
import { COLUMNS, type Columns, DOMAIN_KEYS, KEY_PREFIXES } from './dialects.ts';
import { type Field, fieldsOf, recordLines } from './lines.ts';
import { findRefusal } from './refusals.ts';
import { type Sentence, sentencesOf } from './sentences.ts';

/** A WHOIS server's answer about one domain. */
export interface WhoisTextAnswer {
  /** Whether the domain is registered. */
  found: boolean;
  facts: WhoisFacts;
  /** Columns that the server withholds, sorted; their facts are null. */
  redacted: FactColumn[];
  /** The text without the lines that change between visits. */
  stable: string;
}

/** Texts that registries write for "no value". */
const NO_VALUE = /^([-.*_]+|n\/?a|none|null|nil)$/i;

/**
 * Reads a server's text about a domain (A-labels in lower case). Facts that it cannot read are null, because registries
 * have their own layouts. Throws `ChangeError`: `http-429` for a refusal, with its time to wait if it has one,
 * `name-mismatch` for another domain's text, `wrong-shape` for a text about no domain.
 */
export function readWhoisText(text: string, domain: string): WhoisTextAnswer {
  // Read the record's fields and the names in it.
  const lines = recordLines(text);
  const fields = fieldsOf(lines);
  const names = fields.filter(({ role, key }) => role === 'domain' && DOMAIN_KEYS.has(key)).map(nameOf);
  const isOther = names.some(name => name !== domain);
  const data = new Set(fields.filter(isData).map(({ line }) => line));
  const options = { domain, isData: (line: number) => data.has(line) };

  // A refusal wins over everything else, because a server that refuses sends what it likes besides.
  const refusal = findRefusal(sentencesOf(text, { ...options, wrappedOnly: false }));
  if (refusal) throw refusalError(refusal);
  if (isOther) throw new ChangeError('name-mismatch', 'whois text: expected the queried domain, got another');

  // "Not found" counts only in a text that has no fact of a registration.
  const read = readFacts(fields);
  const stable = lines.map(line => line.text).join('\n');
  const statuses = fields.filter(field => columnsOf(field)?.includes('status_codes')).map(({ value }) => value);
  const states = sentencesOf(text, { ...options, wrappedOnly: true });
  const isAbsent = statuses.every(isFreeStatus) && (statuses.length > 0 || statesAbsence(states));
  if (isAbsent && EVIDENCE.every(column => read.facts[column] === null && !read.redacted.includes(column)))
    return { found: false, facts: { ...NO_FACTS }, redacted: [], stable };

  // Any fact makes a record, if the text names the domain.
  const hasFacts = read.redacted.length > 0 || Object.values(read.facts).some(fact => fact !== null);
  if (names.length > 0 && hasFacts) return { found: true, ...read, stable };
  throw new ChangeError('wrong-shape', 'whois text: expected a registration or "not found", got other text');
}

/** Facts that only a registration has; servers send the others with "not found" too. */
const EVIDENCE: FactColumn[] = [...REGISTRANT_COLUMNS, 'created_date', 'expiry_date', 'nameservers'];

/** The error for a text that refuses any query because of too many; null for another text. */
export function refusalOf(text: string): ChangeError | null {
  const refusal = findRefusal(sentencesOf(text, { domain: 'IANA', isData: () => false, wrappedOnly: false }));
  return refusal && refusalError(refusal);
}

function refusalError({ words, paragraph }: Sentence): ChangeError {
  const message = 'whois text: expected an answer, got a refusal because of too many queries';
  return new ChangeError('http-429', message, {
    status: 429,
    retryAfterMs: retryAfterOf(words) ?? retryAfterOf(paragraph),
  });
}

/** The time to wait in a refusal, at most a day; null if it has none. */
function retryAfterOf(words: string): number | null {
  const [, count, unit = ''] = /\b(\d{1,6}) ?(s|sec|second|m|min|minute|h|hr|hour|d|day)s?\b/.exec(words) ?? [];
  const unitMs = UNITS_MS.get(unit[0] ?? '');
  return unitMs === undefined ? null : Math.min(Number(count) * unitMs, LIMITS.retryAfterMsMax);
}

const UNITS_MS = new Map([
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** Whether a field holds data of the record, and so states nothing of the answer. Statuses may. */
function isData(field: Field): boolean {
  const columns = columnsOf(field);
  if (field.role === 'other') return true;
  return columns !== undefined && !columns.includes('status_codes');
}

/** The name in a domain's field, as A-labels. */
function nameOf({ value }: Field): string {
  return asciiOf(value.split(/[\s(]/)[0]!);
}

/** A name as A-labels in lower case, without its last dot; a text that is no name stays as it is. */
function asciiOf(name: string): string {
  const plain = name.toLowerCase().replace(/\.$/, '');
  if (/^\p{ASCII}*$/u.test(plain) || /[/?#@:\\%[\]]/.test(plain)) return plain;
  return toAscii(plain) ?? plain;
}

function readFacts(fields: Field[]): Pick<WhoisTextAnswer, 'facts' | 'redacted'> {
  const facts: WhoisFacts = { ...NO_FACTS };
  const withheld = new Set<FactColumn>();
  const lists: Partial<Record<FactColumn, Set<string>>> = { nameservers: new Set(), status_codes: new Set() };
  for (const field of fields) {
    const columns = columnsOf(field);
    const value = textOf(field.value, NO_VALUE);
    if (!columns || value === null) continue;
    if (isWithheld(value)) {
      withheld.add(columns[0]!);
      continue;
    }
    // A list column takes every value, any other column the first.
    for (const column of columns) {
      const list = lists[column];
      const read = READERS[column](value, field.key);
      if (list) for (const item of read) list.add(item);
      else if (read.length > 0) facts[column] ??= read[0]!;
    }
    // Some registries write the registrar's URL after its name.
    const url = columns[0] === 'registrar_name' ? /\((https?:\/\/[^\s)]+)\s*\)/.exec(value)?.[1] : undefined;
    if (url) facts.registrar_url ??= url;
  }
  for (const [column, values] of Object.entries(lists)) facts[column as FactColumn] = joined(values);
  return { facts, redacted: [...withheld].filter(column => facts[column] === null).sort() };
}

function columnsOf({ role, key }: Field): Columns | undefined {
  const known = COLUMNS[role].get(key);
  if (known || role !== 'domain') return known;
  const [prefix, prefixRole] = KEY_PREFIXES.find(([pattern]) => pattern.test(key)) ?? [];
  return prefix && prefixRole && COLUMNS[prefixRole].get(key.replace(prefix, ''));
}

/** Texts of single registries in place of a withheld value; `isRedacted` knows the others. */
const WITHHELD_BY_REGISTRY = /^(private person|ano nymous|<?data not disclosed>?|\*{3}n\/a\*{3})$/i;

function isWithheld(value: string): boolean {
  const [first = ''] = value.split(/\s-\s|\. /);
  return WITHHELD_BY_REGISTRY.test(value) || isRedacted(value) || isRedacted(first);
}

/** The values of a text for its column; none when it does not have the column's form. */
type Reader = (value: string, key: string) => string[];

const anyText: Reader = value => [value];
const date: Reader = value => {
  // Some registries add an order number or a full stop.
  const read = isoDate(value.replace(/\s#\d+$/, '').replace(/(\d{4}-[A-Za-z]{3}-\d{1,2})\.$/, '$1'));
  return read === null ? [] : [read];
};
const email: Reader = value => /^[^\s@]+@[^\s@]+\.[^\s@]+$/.exec(value)?.slice(0, 1) ?? [];

const READERS: Record<FactColumn, Reader> = {
  registrant_name: anyText,
  registrant_email: email,
  registrant_organization: anyText,
  registrant_country: anyText,
  registrant_state: anyText,
  registrant_city: anyText,
  // Without the tag or URL after it.
  registrar_name: value => [value.replace(/\s*(\[tag = [^\]]*\]|\(\s*https?:[^)]*\))$/i, '')].filter(Boolean),
  registrar_id: value => /^\d{1,7}$/.exec(value)?.slice(0, 1) ?? [],
  registrar_url: value => /^(https?:\/\/)?[^\s/]+\.[^\s]+$/.exec(value)?.slice(0, 1) ?? [],
  registrar_abuse_email: email,
  registrar_abuse_phone: value => /^(tel:)?[+(]?\d[\d\s()./x-]{4,}$/i.exec(value)?.slice(0, 1) ?? [],
  created_date: date,
  updated_date: date,
  expiry_date: date,
  nameservers: value => value.split(/,\s*/).flatMap(nameserverOf),
  status_codes: value => (isSentence(value) ? [] : value.split(/,\s*/)).flatMap(statusesOf),
  dnssec: dnssecOf,
};

/** The host of a text like `NS1.Example.net. 192.0.2.1`, in lower case; none for an address alone. */
function nameserverOf(value: string): string[] {
  const host = asciiOf(value.split(/[\s([]/)[0]!);
  const labels = host.split('.');
  const isHost =
    host.length <= NAME_LENGTH_MAX && labels.length > 1 && labels.every(label => /^[a-z0-9_-]{1,63}$/.test(label));
  return isHost && !/^\d+$/.test(labels.at(-1)!) ? [host] : [];
}

/** Three or more words that are no list and no code, such as "Registered until expiry date." */
function isSentence(value: string): boolean {
  const status = withoutExplanation(value);
  return /\S \S+ \S/.test(status) && !status.includes(',') && eppStatus(status) === null;
}

/** The EPP code of a status, or a registry's own word as it is. */
function statusesOf(value: string): string[] {
  const status = withoutExplanation(value);
  const code = eppStatus(status);
  if (code) return [code];
  return /^[\p{L}\p{N}_-]{1,40}$/u.test(status) ? [status] : [];
}

/** A status without the brackets or the URL after it. */
function withoutExplanation(value: string): string {
  return value.replace(/\s*\([^)]*\)$/, '').replace(/\s+https?:.*$/, '');
}

/** `signedDelegation` or `unsigned`, the words of ICANN's WHOIS output. */
function dnssecOf(value: string, key: string): string[] {
  // Only a signed delegation has keys.
  if (/^(dnskey|ds|dsrecord|signing key)\b/.test(key)) return ['signedDelegation'];
  const letters = value.toLowerCase().replace(/[\s_-]+/g, '');
  if (/^(signeddelegation|signed|yes|active|enabled|true)$/.test(letters)) return ['signedDelegation'];
  if (/^(unsigned|unsigneddelegation|notsigned|no|inactive|disabled|false)$/.test(letters)) return ['unsigned'];
  return [];
}
