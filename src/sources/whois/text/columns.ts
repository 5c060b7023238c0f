import { NAME_LENGTH_MAX, toAscii } from '../../names/domain.ts';
import { type DateOrder, isoDate } from '../dates.ts';
import { eppStatus, type FactColumn, isRedacted } from '../facts.ts';

/** What a reader knows besides the value. */
export interface Reading {
  key: string;
  /** The queried domain. */
  domain: string;
  /** The order of day and month in the record's dates. */
  order: DateOrder | null;
}

/** The values of a text for its column; none when it does not have the column's form. */
type Reader = (value: string, reading: Reading) => string[];

const anyText: Reader = value => [value];
const date: Reader = (value, { order }) => {
  // Some registries add an order number or a full stop, or write who changed the record before the day (RFC 2622).
  const plain = value
    .replace(/\s#\d+$/, '')
    .replace(/(\d{4}-[A-Za-z]{3}-\d{1,2})\.$/, '$1')
    .replace(CHANGED, '$1');
  const read = isoDate(plain, order);
  return read === null ? [] : [read];
};
const email: Reader = value => {
  const found = value.split(/[\s,;]+/).find(part => /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(part));
  // Several addresses may stand in one value; other text may not.
  return found !== undefined && value.split(/[\s,;]+/).every(part => part === '' || part.includes('@')) ? [found] : [];
};

/** The form of RFC 2622's `changed`: who, and on what day. A record has one for each change. */
export const CHANGED = /^(?:\S+@\S+|\S+ at \S+)\s+(\d{8})\b(?:\s+\([^)]*\))?$/i;

export const READERS: Record<FactColumn, Reader> = {
  registrant_name: value => [value.replace(WITH_EMAIL, '$1')].filter(Boolean),
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
  nameservers: nameserversOf,
  status_codes: value => (isSentence(value) ? [] : value.split(/,\s*/)).flatMap(statusesOf),
  dnssec: dnssecOf,
};

/** A name with an email address behind it, as some registries write the first line of a contact. */
export const WITH_EMAIL = /^(.*?)[\s<(]*\b([^\s@<>()]+@[^\s@<>()]+\.[^\s@<>()]+)[>)]?$/;

/** Texts of single registries in place of a withheld value; `isRedacted` knows the others. */
const WITHHELD_BY_REGISTRY = /^(ano nymous|<?data not disclosed>?|\*{3}n\/a\*{3}|\(?not shown\)?|restricted( data)?)$/i;

/** Words that a registry writes in place of the name of a person. No organization has one as its whole name. */
const PERSONS =
  /^(individual|private (person|individual|registrant|holder)|natural person|physical person|person|privat(e|person)|particulier|persona (fisica|natural)|pessoa (fisica|singular)|personne physique|fyzicka osoba|fizicka osoba|fizicko lice|osoba (fizyczna|prywatna)|yksityishenkilo|persoana fizica|fiziska persona|fizinis asmuo|физическое лицо|частное лицо|фізична особа)$/;

/** Whether a text takes the place of a withheld value of a column. */
export function isWithheld(value: string, column: FactColumn): boolean {
  const [first = ''] = value.split(/\s-\s|[.!] /);
  if (WITHHELD_BY_REGISTRY.test(value) || isRedacted(value) || isRedacted(first)) return true;
  const isName = column === 'registrant_name' || column === 'registrant_organization';
  return (
    isName &&
    PERSONS.test(
      value
        .toLowerCase()
        .normalize('NFD')
        .replace(/[\u0300-\u036f]/g, '')
        .normalize('NFC'),
    )
  );
}

/** A name as A-labels in lower case, without its last dot; a text that is no name stays as it is. */
export function asciiOf(name: string): string {
  const plain = name.toLowerCase().replace(/\.$/, '');
  if (/^\p{ASCII}*$/u.test(plain) || /[/?#@:\\%[\]]/.test(plain)) return plain;
  return toAscii(plain) ?? plain;
}

/** The hosts of a value: a list with commas or spaces, or one host with its addresses or a remark. */
function nameserversOf(value: string, { key, domain }: Reading): string[] {
  const parts = value.split(/,\s*/).flatMap(part => {
    const words = part.split(/\s+/).map(word => word.replace(/^[-([]+|[)\];]+$/g, ''));
    const areHosts = words.every(word => word === '' || hostOf(word) !== null || /^[\da-f.:]+$/i.test(word));
    return areHosts ? words : part.split(/[\s([/]/).slice(0, 1);
  });
  const hosts = parts.map(hostOf).filter(host => host !== null);
  // The line `DNS` of some registries repeats the domain in the form that DNS has.
  return hosts.filter(host => key !== 'dns' || host !== domain);
}

/** Names that registries write where there is no name server. */
const NO_HOSTS = new Set(['not.defined', 'no.nameserver', 'not.available']);

/** A host's name in lower case, of a text like `NS1.Example.net.`; null for anything else and for an address. */
function hostOf(text: string): string | null {
  const host = asciiOf(text.split(/[([/]/)[0]!);
  const labels = host.split('.');
  const isHost =
    host.length <= NAME_LENGTH_MAX && labels.length > 1 && labels.every(label => /^[a-z0-9_-]{1,63}$/.test(label));
  return isHost && !/^\d+$/.test(labels.at(-1)!) && !NO_HOSTS.has(host) ? host : null;
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

/** A status without its number and without the brackets, the URL or the remark after it. */
function withoutExplanation(value: string): string {
  return value
    .replace(/\s*\([^)]*\)$/, '')
    .replace(/\s+https?:.*$/, '')
    .replace(/\s+-\s.*$/, '')
    .replace(/^\d{3}\s+/, '');
}

/** `signedDelegation` or `unsigned`, the words of ICANN's WHOIS output. */
function dnssecOf(value: string, { key }: Reading): string[] {
  // Only a signed delegation has keys.
  if (/^(dnskey|ds|dsrecord|signing key)\b/.test(key)) return ['signedDelegation'];
  const letters = value
    .toLowerCase()
    .replace(/[,;(].*$/, '')
    .replace(/[\s_-]+/g, '');
  if (/^(signeddelegation|signed|yes|active|enabled|true)$/.test(letters)) return ['signedDelegation'];
  if (/^(unsigned|unsigneddelegation|notsigned|no|inactive|disabled|false)$/.test(letters)) return ['unsigned'];
  return [];
}
