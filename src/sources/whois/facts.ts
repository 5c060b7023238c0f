import type { WhoisRecord } from '../../../schemas/whois_record.ts';
import { isoDay, isoTime } from '../../time.ts';

/** The facts that an answer has of a registration: the row's columns without the domain, the documents and our own times. */
export type WhoisFacts = Pick<
  WhoisRecord,
  | 'registrant_name'
  | 'registrant_email'
  | 'registrant_organization'
  | 'registrant_country'
  | 'registrant_state'
  | 'registrant_city'
  | 'registrar_name'
  | 'registrar_id'
  | 'registrar_url'
  | 'registrar_abuse_email'
  | 'registrar_abuse_phone'
  | 'created_date'
  | 'updated_date'
  | 'expiry_date'
  | 'nameservers'
  | 'status_codes'
  | 'dnssec'
>;

/** No fact known, in the order of the table's columns. */
export const NO_FACTS: Readonly<WhoisFacts> = Object.freeze({
  registrant_name: null,
  registrant_email: null,
  registrant_organization: null,
  registrant_country: null,
  registrant_state: null,
  registrant_city: null,
  registrar_name: null,
  registrar_id: null,
  registrar_url: null,
  registrar_abuse_email: null,
  registrar_abuse_phone: null,
  created_date: null,
  updated_date: null,
  expiry_date: null,
  nameservers: null,
  status_codes: null,
  dnssec: null,
});

export type FactColumn = keyof WhoisFacts;

/** In the table's order. */
export const FACT_COLUMNS = Object.keys(NO_FACTS) as FactColumn[];
export const REGISTRANT_COLUMNS = FACT_COLUMNS.filter(column => column.startsWith('registrant_'));
export const ABUSE_COLUMNS = FACT_COLUMNS.filter(column => column.startsWith('registrar_abuse_'));

/** No server writes a longer date. */
const DATE_LENGTH_MAX = 80;

/** The first domains were registered in 1985, and none for centuries ahead: servers write other years for "no date". */
const YEAR_MIN = 1985;
const YEAR_MAX = 2200;

const MONTHS = [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
];

/** Zones with one meaning (CST and IST have several), in minutes east of UTC. */
const ZONES = new Map<string, number>([
  ['z', 0],
  ['utc', 0],
  ['gmt', 0],
  ['wet', 0],
  ['cet', 60],
  ['west', 60],
  ['cest', 120],
  ['eet', 120],
  ['eest', 180],
  ['msk', 180],
  ['jst', 540],
  ['kst', 540],
]);

/** Forms of a day at the beginning of a text. `a` and `b` are day and month in unknown order. */
const DAYS = [
  /^(?<year>\d{4})(?<separator>[-/.])\s?(?<month>\d{1,2})\k<separator>\s?(?<day>\d{1,2})\.?(?![\d.])/,
  /^(?<year>\d{4})(?<month>\d\d)(?<day>\d\d)(?!\d)/,
  /^(?<year>\d{4})[-/. ](?<name>[a-z]{3,9})\.?[-/. ](?<day>\d{1,2})(?!\d)/,
  /^(?<day>\d{1,2})(?:st|nd|rd|th)?[-/. ]\s?(?<name>[a-z]{3,9})\.?,?[-/. ](?<year>\d{4})(?!\d)/,
  /^(?<name>[a-z]{3,9})\.?[- ]{1,2}(?<day>\d{1,2})(?:st|nd|rd|th)?,?[- ](?<year>\d{4})(?!\d)/,
  // With dots the day is first: European registries write this form, and no registry writes it with the month first.
  /^(?<day>\d{1,2})\.\s?(?<month>\d{1,2})\.\s?(?<year>\d{4})(?!\d)/,
  /^(?<a>\d{1,2})(?<separator>[-/])(?<b>\d{1,2})\k<separator>(?<year>\d{4})(?!\d)/,
];

const TIME = /^[t,]?\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d{1,9})?)?\s*([ap]m)?\s*(.*)$/;

/** The form of C's `asctime` and of `date`: the year last, an optional zone before it. */
const YEAR_LAST = /^([a-z]{3}) {1,2}(\d{1,2}) (\d{2}:\d{2}:\d{2})(?: ([a-z]{1,5}|[+-]\d{4}))? (\d{4})$/;

/**
 * A date of an RDAP or WHOIS server as ISO 8601: `2024-01-02T03:04:05Z`, or `2024-01-02` without a time or with an unknown
 * zone. Null for any other text, for an ambiguous day (01/02/2024), and for years such as 1 or 9999 that mean "no date".
 */
export function isoDate(text: string): string | null {
  if (text.length > DATE_LENGTH_MAX) return null;
  const plain = text
    .trim()
    .toLowerCase()
    .replace(/\s+/g, ' ')
    .replace(/^(mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}\.?,? /, '')
    .replace(YEAR_LAST, (_, month, day, time, zone, year) => `${month} ${day} ${year} ${time} ${zone ?? ''}`)
    .trim();
  const found = DAYS.map(pattern => pattern.exec(plain)).find(match => match !== null);
  const day = found && dayOf(found.groups ?? {});
  if (!day) return null;
  const rest = plain.slice(found[0].length).trim();
  return rest === '' || zoneMinutes(rest) !== null ? day : withTime(day, rest);
}

/**
 * Whether a value is a text that servers write in place of a withheld value (before RFC 9537). The name of a proxy
 * service ("Domains By Proxy, LLC", "Privacy service provided by …") is a registrant's name, and so is a name that only
 * contains such a word.
 */
export function isRedacted(text: string): boolean {
  const plain = text
    .toLowerCase()
    .replace(/[\s|,;:!*()[\]<>_-]+/g, ' ')
    .replace(/[ .]+$/, '')
    .trim();
  return WITHHELD_TEXTS.has(plain) || WITHHELD_WORDS.test(plain) || WITHHELD_SENTENCES.test(plain);
}

/** Whole values in lower case, each run of punctuation as one space. */
const WITHHELD_TEXTS = new Set([
  'data protected',
  'data protected not disclosed',
  'statutory masking enabled',
  'gdpr masked',
  'gdpr redacted',
  'gdpr masking@gdpr masked.com',
  'masked',
  'masked for privacy',
  'not disclosed',
  'not published',
  'undisclosed',
  'hidden',
  'hidden upon user request',
  'withheld',
  'withheld for privacy',
  'withheld for privacy purposes',
  'non public data',
  'nonpublic data',
  'personal data',
  'private data',
  'confidential',
  'confidential data',
]);

/** "Redacted" and a reason. No other word may follow, so "Redacted Records Ltd" is a name. */
const WITHHELD_WORDS =
  /^(data |information |value |personal data |registrant )?redacted( (for|by|due to|under|as per|eu data subject|registry policy)\b( (privacy|gdpr|eu|purposes?|reasons?|data|protection|policy|registry|law|regulations?|service|dt|the|of))*)?$/;

/** Beginnings of sentences that name another service to query. */
const WITHHELD_SENTENCES =
  /^(please query the (rdds|whois) service|please query the registrar|select (request email form|contact domain holder) (link )?at |not shown please visit |personal data can ?not be publicly disclosed|visit www\.\S+ for (the )?web ?based whois)/;

/** EPP's codes for domains: RFC 5731, with the grace periods of RFC 3915. */
const EPP_CODES = [
  'clientDeleteProhibited',
  'clientHold',
  'clientRenewProhibited',
  'clientTransferProhibited',
  'clientUpdateProhibited',
  'serverDeleteProhibited',
  'serverHold',
  'serverRenewProhibited',
  'serverTransferProhibited',
  'serverUpdateProhibited',
  'pendingCreate',
  'pendingDelete',
  'pendingRenew',
  'pendingTransfer',
  'pendingUpdate',
  'pendingRestore',
  'addPeriod',
  'autoRenewPeriod',
  'renewPeriod',
  'transferPeriod',
  'redemptionPeriod',
  'inactive',
  'ok',
  'linked',
];

/** EPP codes by their letters. RDAP writes the same words with spaces, and two others (RFC 8056, section 2). */
const EPP_BY_LETTERS = new Map<string, string>([
  ...EPP_CODES.map(code => [code.toLowerCase(), code] as const),
  ['active', 'ok'],
  ['associated', 'linked'],
]);

/**
 * The EPP code of a status of RDAP (`client transfer prohibited`) or of a WHOIS line, where a URL may follow it
 * (`clientTransferProhibited https://icann.org/epp#clientTransferProhibited`); null for a registry's own status.
 */
export function eppStatus(text: string): string | null {
  const words = text.replace(/\(?\s*\bhttps?:.*$/is, '');
  return EPP_BY_LETTERS.get(words.replace(/[\s_-]+/g, '').toLowerCase()) ?? null;
}

/** `2024-01-02` from the groups of a `DAYS` pattern; null when it is no day, or an ambiguous one. */
function dayOf(groups: Record<string, string | undefined>): string | null {
  const { year, name, a, b } = groups;
  let [day, month] = [Number(groups.day), Number(groups.month)];
  if (name !== undefined) month = MONTHS.findIndex(full => full.startsWith(name)) + 1;
  if (a !== undefined && b !== undefined) {
    const [first, second] = [Number(a), Number(b)];
    if (first <= 12 && second <= 12 && first !== second) return null;
    [day, month] = first > 12 ? [first, second] : [second, first];
  }
  if (Number(year) < YEAR_MIN || Number(year) > YEAR_MAX || month < 1 || month > 12) return null;
  const date = new Date(Date.UTC(Number(year), month - 1, day));
  return date.getUTCDate() === day ? isoDay(date.getTime()) : null;
}

/** A day with the time of a text, in UTC; the day alone when the zone is unknown, null when the text is no time. */
function withTime(day: string, rest: string): string | null {
  const [, hours, minutes, seconds = '0', amPm, zone = ''] = TIME.exec(rest) ?? [];
  if (hours === undefined || Number(minutes) > 59 || Number(seconds) > 60) return null;
  if (amPm === undefined ? Number(hours) > 23 : Number(hours) < 1 || Number(hours) > 12) return null;
  const hour = amPm === undefined ? Number(hours) : (Number(hours) % 12) + (amPm === 'pm' ? 12 : 0);
  const eastMinutes = zoneMinutes(zone);
  if (eastMinutes === null) return zone === '' || /^\(?[a-z]{2,5}\)?$/.test(zone) ? day : null;
  const atMs =
    Date.parse(`${day}T00:00:00Z`) + ((hour * 60 + Number(minutes) - eastMinutes) * 60 + Number(seconds)) * 1000;
  return `${isoTime(atMs).slice(0, 19)}Z`;
}

/** Minutes east of UTC of `Z`, `+02:00`, `+0200`, `+02`, `(UTC+8)` or `JST`; null for an unknown zone. */
function zoneMinutes(text: string): number | null {
  const zone = text.replace(/^\((.*)\)$/, '$1');
  const named = ZONES.get(zone);
  if (named !== undefined) return named;
  const [, sign, hours, minutes = '0'] = /^(?:utc|gmt)?([+-])(\d{1,2})(?::?(\d{2}))?$/.exec(zone) ?? [];
  if (sign === undefined || Number(hours) > 14 || Number(minutes) > 59) return null;
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
}
