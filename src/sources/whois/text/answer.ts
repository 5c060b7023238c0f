import { LIMITS } from '../../../config.ts';
import { ChangeError } from '../../../errors.ts';
import { eppStatus, isoDate, isRedacted, NO_FACTS, type WhoisFacts } from '../facts.ts';
import { COLUMNS, CONDITION, type Columns, DOMAIN_KEYS, NOT_FOUND, PREFIXES, TURNED_AWAY } from './dialects.ts';
import { type Field, fieldsOf, recordLines } from './lines.ts';

export { decodeText } from './lines.ts';

/** What a WHOIS server's text says of one domain. */
export interface WhoisTextAnswer {
  /** Whether the server has a registration of it. */
  found: boolean;
  facts: WhoisFacts;
  /** Facts that are null because the server withholds them. */
  redacted: (keyof WhoisFacts)[];
  /** The text without what changes from look to look: two answers with the same say the same. */
  stable: string;
}

type Column = keyof WhoisFacts;

/** No fact is longer; what is longer is no fact. */
const FACT_LENGTH_MAX = 1_000;

/**
 * Reads a server's text about a domain (an A-label name in lower case). Of registries whose layout is not known, what
 * cannot be read is null. Throws `ChangeError`: `http-429` for a text that turns the caller away, with the time to
 * wait where it is told, `name-mismatch` for one about another domain, `wrong-shape` for one that says nothing of any.
 */
export function readWhoisText(text: string, domain: string): WhoisTextAnswer {
  const lines = recordLines(text);
  const fields = fieldsOf(lines);
  const stable = lines.join('\n');
  const names = fields.filter(({ role, key }) => role === 'domain' && DOMAIN_KEYS.has(key)).map(nameOf);
  const other = names.some(name => name !== domain);
  if (names.length > 0 && !other) {
    const read = readFacts(fields);
    const isFree = saysNotFound(text, domain) && onlyStatus(read.facts);
    if (!isFree && (read.redacted.length > 0 || Object.values(read.facts).some(fact => fact !== null)))
      return { found: true, ...read, stable };
  }
  if (!other && saysNotFound(text, domain)) return { found: false, facts: { ...NO_FACTS }, redacted: [], stable };
  const turnedAway = refusalOf(text);
  if (turnedAway) throw turnedAway;
  if (other) throw new ChangeError('name-mismatch', 'whois text: expected the domain asked for, got another');
  throw new ChangeError('wrong-shape', 'whois text: expected a registration or that there is none, got other text');
}

/** The error for a text that turns the caller away, null for any other: an answer that is none, whatever was asked. */
export function refusalOf(text: string): ChangeError | null {
  const refusal = sentences(text).find(({ sentence }) => TURNED_AWAY.some(pattern => isStated(pattern, sentence)));
  if (!refusal) return null;
  const message = 'whois text: expected an answer, got that too much was asked';
  return new ChangeError('http-429', message, { status: 429, retryAfterMs: waitOf(refusal.paragraph) });
}

function isStated(pattern: RegExp, sentence: string): boolean {
  const found = pattern.exec(sentence);
  return found !== null && !CONDITION.test(sentence.slice(0, found.index + found[0].length));
}

/** The time to wait that a refusal names, at most a day; null where it names none. */
function waitOf(paragraph: string): number | null {
  const [, count, unit = ''] = /\b(\d{1,6}) ?(second|sec|minute|min|hour|hr)s?\b/.exec(paragraph) ?? [];
  if (count === undefined) return null;
  const unitMs = unit.startsWith('s') ? 1_000 : unit.startsWith('m') ? 60_000 : 3_600_000;
  return Math.min(Number(count) * unitMs, LIMITS.retryAfterMsMax);
}

function saysNotFound(text: string, domain: string): boolean {
  return statements(text)
    .map(line => line.replaceAll(domain, '{domain}'))
    .some(line => NOT_FOUND.some(pattern => pattern.test(line)));
}

/** No statement of a server is longer; what is longer is nobody's to read. */
const STATEMENT_LENGTH_MAX = 300;

/** The lines of a text as statements: comments as well, in lower case, without signs before them. */
function statements(text: string): string[] {
  return text.split('\n').map(line => {
    const plain = line.slice(0, STATEMENT_LENGTH_MAX).toLowerCase();
    return plain
      .replace(/^[^\p{L}\p{N}]+/u, '')
      .replace(/\s+/g, ' ')
      .trim();
  });
}

/** The sentences of a text, which may go on over lines, each with the paragraph it is in. */
function sentences(text: string): { sentence: string; paragraph: string }[] {
  const paragraphs = statements(text)
    .join('\n')
    .split(/\n{2,}/);
  return paragraphs.flatMap(lines => {
    const paragraph = lines.replaceAll('\n', ' ').trim();
    const parts = paragraph.split(/[.;!?]\s/);
    return parts.map(part => ({ sentence: part.slice(0, STATEMENT_LENGTH_MAX).trim(), paragraph }));
  });
}

/** The name a field tells, as an A-label. */
function nameOf({ value }: Field): string {
  return asciiOf(value.split(/[\s(]/)[0]!);
}

/** A name as it is compared: in lower case, without its last dot, other letters as A-labels. */
function asciiOf(name: string): string {
  const plain = name.toLowerCase().replace(/\.$/, '');
  if (!/[^\p{ASCII}]/u.test(plain) || /[/?#@:\\%[\]]/.test(plain)) return plain;
  // The URL's reader knows how such a name is written in ASCII (UTS 46).
  return URL.canParse(`http://${plain}`) ? new URL(`http://${plain}`).hostname : plain;
}

function readFacts(fields: Field[]): Pick<WhoisTextAnswer, 'facts' | 'redacted'> {
  const facts: WhoisFacts = { ...NO_FACTS };
  const withheld = new Set<Column>();
  const lists: Partial<Record<Column, Set<string>>> = { nameservers: new Set(), status_codes: new Set() };
  for (const field of fields) {
    const columns = columnsOf(field);
    const value = plainOf(field.value);
    if (!columns || value === null) continue;
    if (isWithheld(value)) {
      withheld.add(columns[0]!);
      continue;
    }
    for (const column of columns) {
      const read = READ[column](value, field.key);
      for (const one of read) lists[column]?.add(one);
      if (read.length > 0 && !lists[column]) facts[column] ??= read[0]!;
    }
    // Some write where the registrar is found beside its name.
    const url = columns[0] === 'registrar_name' ? /\((https?:\/\/[^\s)]+)\s*\)/.exec(value)?.[1] : undefined;
    if (url) facts.registrar_url ??= url;
  }
  for (const [column, values] of Object.entries(lists)) facts[column as Column] = [...values].sort().join(',') || null;
  return { facts, redacted: [...withheld].filter(column => facts[column] === null).sort() };
}

function columnsOf({ role, key }: Field): Columns | undefined {
  const known = COLUMNS[role].get(key);
  if (known || role !== 'domain') return known;
  const [pattern, whose] = PREFIXES.find(([pattern]) => pattern.test(key)) ?? [];
  return pattern && whose && COLUMNS[whose].get(key.replace(pattern, ''));
}

/** A value on one line; null for signs that stand for "none". */
function plainOf(value: string): string | null {
  const plain = value
    .toWellFormed()
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .trim();
  const isNone = plain === '' || plain.length > FACT_LENGTH_MAX || /^([-.*_]+|n\/?a|none|null|nil)$/i.test(plain);
  return isNone ? null : plain;
}

/** Stand-ins of single registries, beside those that are in use everywhere. */
const WITHHELD = /^(private person|ano nymous|<?data not disclosed>?|\*{3}n\/a\*{3})$/i;

function isWithheld(value: string): boolean {
  const [first = ''] = value.split(/\s-\s|\. /);
  return WITHHELD.test(value) || isRedacted(value) || isRedacted(first);
}

function onlyStatus({ status_codes: _, ...facts }: WhoisFacts): boolean {
  return Object.values(facts).every(fact => fact === null);
}

/** What a value is for its column: nothing where it does not fit. */
type Reader = (value: string, key: string) => string[];

const anyText: Reader = value => [value];
const date: Reader = value => {
  // A number of the order, and a full stop, are no part of it.
  const read = isoDate(value.replace(/\s#\d+$/, '').replace(/(\d{4}-[A-Za-z]{3}-\d{1,2})\.$/, '$1'));
  return read === null ? [] : [read];
};
const email: Reader = value => /^[^\s@]+@[^\s@]+\.[^\s@]+$/.exec(value)?.slice(0, 1) ?? [];

const READ: Record<Column, Reader> = {
  registrant_name: anyText,
  registrant_email: email,
  registrant_organization: anyText,
  registrant_country: anyText,
  registrant_state: anyText,
  registrant_city: anyText,
  // Without the tag, or the address, that stands behind it.
  registrar_name: value => [value.replace(/\s*(\[tag = [^\]]*\]|\(\s*https?:[^)]*\))$/i, '')].filter(Boolean),
  registrar_id: value => /^\d{1,7}$/.exec(value)?.slice(0, 1) ?? [],
  registrar_url: value => /^(https?:\/\/)?[^\s/]+\.[^\s]+$/.exec(value)?.slice(0, 1) ?? [],
  registrar_abuse_email: email,
  registrar_abuse_phone: value => /^(tel:)?[+(]?\d[\d\s()./x-]{4,}$/i.exec(value)?.slice(0, 1) ?? [],
  created_date: date,
  updated_date: date,
  expiry_date: date,
  nameservers: value => value.split(/,\s*/).flatMap(hostOf),
  status_codes: value => (isSentence(value) ? [] : value.split(/,\s*/)).flatMap(statusOf),
  dnssec: signedOf,
};

/** The host of a line like `NS1.Example.net. 192.0.2.1`, in lower case; none for an address alone. */
function hostOf(value: string): string[] {
  const host = asciiOf(value.split(/[\s([]/)[0]!);
  const labels = host.split('.');
  const isHost = host.length <= 253 && labels.length > 1 && labels.every(label => /^[a-z0-9_-]{1,63}$/.test(label));
  return isHost && !/^\d+$/.test(labels.at(-1)!) ? [host] : [];
}

/** Three words and more that are no list and no code, as in "Registered until expiry date." */
function isSentence(value: string): boolean {
  const plain = value.replace(/\s*\([^)]*\)$/, '').replace(/\s+https?:.*$/, '');
  return /\S \S+ \S/.test(plain) && !plain.includes(',') && eppStatus(plain) === null;
}

/** The EPP code of a status, or a registry's own word as it is. What stands behind it in brackets explains it. */
function statusOf(value: string): string[] {
  const plain = value.replace(/\s*\([^)]*\)$/, '').replace(/\s+https?:.*$/, '');
  const code = eppStatus(plain);
  if (code) return [code];
  return /^[\p{L}\p{N}_-]{1,40}$/u.test(plain) ? [plain] : [];
}

/** What registries say of DNSSEC, in the words of RDAP's WHOIS profile where they mean one of these. */
function signedOf(value: string, key: string): string[] {
  // Only a signed delegation has keys to show.
  if (/^(dnskey|ds|dsrecord|signing key)\b/.test(key)) return ['signedDelegation'];
  const plain = value.toLowerCase().replace(/[\s_-]+/g, '');
  if (/^(signeddelegation|signed|yes|active|enabled|true)$/.test(plain)) return ['signedDelegation'];
  if (/^(unsigned|unsigneddelegation|notsigned|no|inactive|disabled|false)$/.test(plain)) return ['unsigned'];
  return [];
}
