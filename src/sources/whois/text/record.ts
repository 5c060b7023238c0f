import { orderOf } from '../dates.ts';
import { eppStatus, type FactColumn, NO_FACTS, type WhoisFacts } from '../facts.ts';
import { joined, textOf } from '../values.ts';
import { asciiOf, CHANGED, isWithheld, READERS, WITH_EMAIL } from './columns.ts';
import { hasNoColumn } from './key-words.ts';
import {
  ALIAS_KEYS,
  type Columns,
  columnsOfKey,
  DOMAIN_KEYS,
  ECHO_KEYS,
  HANDLES,
  isHandle,
  type Role,
} from './keys.ts';
import type { Field, RecordLine } from './lines.ts';

/** What a record's fields say. */
export interface RecordFacts {
  facts: WhoisFacts;
  /** Columns that the server withholds, sorted; their facts are null. */
  redacted: FactColumn[];
  /** Lines of the record that were not understood, in their order. */
  unread: number[];
}

/** Texts that registries write for "no value". */
const NO_VALUE = /^([-.*_]+|n\/?a|none|null|nil)$/i;

export function columnsOf({ role, key }: Field): Columns | undefined {
  return columnsOfKey(role, key);
}

/** Reads a record. `loose` are its lines without a key. */
export function readRecord(fields: Field[], loose: RecordLine[], domain: string): RecordFacts {
  const facts: WhoisFacts = { ...NO_FACTS };
  const withheld = new Set<FactColumn>();
  const lists: Partial<Record<FactColumn, Set<string>>> = { nameservers: new Set(), status_codes: new Set() };
  const unread = new Set<number>();
  const order = orderOf(fields.filter(field => columnsOf(field)?.[0]?.endsWith('_date')).map(({ value }) => value));
  for (const field of fields) {
    const { key, line } = field;
    const columns = columnsOf(field);
    const value = textOf(field.value, NO_VALUE);
    // Some registries write the status in brackets behind the name.
    const status = DOMAIN_KEYS.has(key) ? eppStatus(/\(([^()]+)\)$/.exec(field.value)?.[1] ?? '') : null;
    if (status) lists.status_codes!.add(status);
    if (!columns && !isUnderstood(field, domain)) unread.add(line);
    if (!columns || value === null) continue;
    if (isWithheld(value, columns[0]!)) {
      withheld.add(columns[0]!);
      continue;
    }
    // The handle of a contact is not its name.
    if (HANDLES.registrant.has(key) && isHandle(value)) continue;
    // A list column takes every value, any other column the first.
    let isTaken = false;
    for (const column of columns) {
      const list = lists[column];
      const read = READERS[column](value, { key, domain, order });
      isTaken ||= read.length > 0;
      if (list) for (const item of read) list.add(item);
      else if (read.length > 0) facts[column] ??= read[0]!;
      // Of several changes the last one counts.
      const isLater = column === 'updated_date' && CHANGED.test(value) && (read[0] ?? '') > (facts[column] ?? '');
      if (isLater) facts[column] = read[0]!;
    }
    isTaken = addRest({ facts, columns, value }) || isTaken;
    if (!isTaken && !isEcho(field, domain)) unread.add(line);
  }
  for (const [column, values] of Object.entries(lists)) facts[column as FactColumn] = joined(values);
  for (const { text, line } of loose) if (/[\p{L}\p{N}]/u.test(text)) unread.add(line);
  return {
    facts,
    redacted: [...withheld].filter(column => facts[column] === null).sort(),
    unread: [...unread].sort((a, b) => a - b),
  };
}

/** Adds what some registries write behind a name: the registrar's URL, the registrant's email address. */
function addRest({ facts, columns, value }: { facts: WhoisFacts; columns: Columns; value: string }): boolean {
  const url = columns[0] === 'registrar_name' ? /\((https?:\/\/[^\s)]+)\s*\)/.exec(value)?.[1] : undefined;
  if (url) facts.registrar_url ??= url;
  const email = columns[0] === 'registrant_name' ? WITH_EMAIL.exec(value)?.[2] : undefined;
  if (email) facts.registrant_email ??= email;
  return url !== undefined || email !== undefined;
}

/** Whether a field without a column is understood: a name, a handle, another contact, or a key that has no column. */
function isUnderstood(field: Field, domain: string): boolean {
  const { role, key } = field;
  if (role === 'other' || DOMAIN_KEYS.has(key) || ALIAS_KEYS.has(key) || hasNoColumn(key)) return true;
  if (HANDLES.registrant.has(key) || HANDLES.objects.includes(key) || isEcho(field, domain)) return true;
  // Other objects have dates, a registrar and addresses of their own.
  if (role === 'domain' || role === 'unknown') return false;
  return ['domain', 'registrant'].some(of => columnsOfKey(of as Role, key) !== undefined);
}

/** Whether a field only repeats the queried domain. */
function isEcho({ key, value }: Field, domain: string): boolean {
  return ECHO_KEYS.test(key) && nameIn(value) === domain;
}

/** The name at the beginning of a value, as A-labels. */
function nameIn(value: string): string {
  return asciiOf(value.split(/[\s(]/)[0]!);
}

/**
 * Whether the record is of the queried domain; null when it names none. The names at its beginning are one domain's: an
 * internationalized domain may have variants, such as one in traditional characters. Where no key is known to hold the name,
 * the queried name below any other key counts.
 */
export function isOfDomain(fields: Field[], domain: string): boolean | null {
  const isName = ({ role, key }: Field) => role === 'domain' && (DOMAIN_KEYS.has(key) || ALIAS_KEYS.has(key));
  const first = fields.findIndex(isName);
  if (first < 0) {
    const isNamed = ({ role, key, value }: Field) =>
      role === 'domain' && !ECHO_KEYS.test(key) && nameIn(value) === domain;
    return fields.some(isNamed) ? true : null;
  }
  const after = fields.findIndex((field, index) => index > first && !isName(field));
  const heads = fields.slice(first, after < 0 ? undefined : after);
  const known = new Set(heads.map(({ value }) => nameIn(value)));
  if (!known.has(domain)) return false;
  const areVariants = heads.every(({ key, value }) => ALIAS_KEYS.has(key) || isVariant(nameIn(value), domain));
  const areKnown = fields.every(field => !isName(field) || ALIAS_KEYS.has(field.key) || known.has(nameIn(field.value)));
  return areVariants && areKnown;
}

/** The line on which the record begins: the one that names the domain. */
export function firstLine(fields: Field[], domain: string): number {
  return fields.find(({ value }) => nameIn(value) === domain)?.line ?? 0;
}

/** Whether two names may be variants of each other: both have other letters than ASCII, and as many labels. */
function isVariant(name: string, domain: string): boolean {
  if (name === domain) return true;
  const isIdn = (text: string) => /(^|\.)xn--/.test(text);
  return isIdn(name) && isIdn(domain) && name.split('.').length === domain.split('.').length;
}
