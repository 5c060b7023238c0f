import type { WhoisRecord } from '../../../schemas/whois_record.ts';

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
