import type { FactColumn } from '../facts.ts';

/** The object that a field belongs to. */
export type Role = 'domain' | 'registrant' | 'registrar' | 'abuse' | 'nameservers' | 'other';

/** Columns that a key may fill; each takes the value if it has the column's form. */
export type Columns = readonly FactColumn[];

/** Keys of the domain's own name. */
export const DOMAIN_KEYS = new Set(['domain', 'domain name', 'domainname', 'domain ace', 'nom de domaine']);

/** The role of the fields below a heading; `other` below any other heading. */
export const SECTION_ROLES = new Map<string, Role>([
  ...roles('domain', 'domain', 'domain information', 'domain details', 'relevant dates', 'additional info', 'dnssec'),
  ...roles('registrant', 'registrant', 'registrant contact', 'registrant information', 'holder', 'domain holder'),
  ...roles('registrant', 'owner', 'owner contact', 'domain owners registrant'),
  ...roles('registrar', 'registrar', 'registrar information', 'sponsoring registrar', 'domain managers'),
  ...roles('abuse', 'abuse contact', 'registrar abuse contact'),
  ...roles('nameservers', 'name servers', 'nameservers', 'nservers', 'domain servers', 'domain nameservers'),
  ...roles('nameservers', 'primary name server', 'secondary name server', 'domain servers in listed order'),
  ...roles('other', 'admin contact', 'administrative contact', 'administrative contacts', 'admin', 'tech'),
  ...roles('other', 'tech contact', 'technical contact', 'technical contacts', 'technical', 'billing contact'),
  ...roles('other', 'registrar technical contacts', 'reseller', 'contact information', 'keys', 'whois'),
]);

/** The role of a block that is another object, by its first key. */
export const BLOCK_ROLES = new Map<string, Role>([
  ...roles('registrar', 'registrar'),
  ...roles('nameservers', 'nsset'),
  ...roles('other', 'keyset', 'ds rdata', 'person', 'role', 'organisation', 'organization', 'personname'),
]);

/** Keys of a contact's handle, the most certain first, and keys of a domain that hold its registrant's handle. */
export const HANDLES = {
  objects: ['nic hdl', 'nic hdl br', 'contact id', 'contact'],
  registrant: new Set(['holder c', 'owner c', 'registrant c', 'registrant', 'holder']),
};

/** The role of a key's first words: `registrant city`, `registrar iana id`. */
export const KEY_PREFIXES: [RegExp, Role][] = [
  [/^(registrant contact|registrant|domain holder|holder|owner contact|owner) /, 'registrant'],
  [/^(sponsoring registrar|registrar|registration service provider) /, 'registrar'],
];

/** Columns by key of a contact. */
const CONTACT = {
  name: columns('registrant_name', 'name', 'contact', 'contact name', 'person', 'personname'),
  organization: columns('registrant_organization', 'organization', 'organisation', 'org', 'organization name'),
  country: columns('registrant_country', 'country', 'country code', 'country economy'),
  state: columns('registrant_state', 'state province', 'state', 'province', 'region', 'state region'),
  city: columns('registrant_city', 'city', 'town'),
  email: columns('registrant_email', 'email', 'e mail', 'contact email', 'mail'),
};

/** Columns by role and key. */
export const COLUMNS: Record<Role, Map<string, Columns>> = {
  domain: new Map([
    ...columns('registrant_name', 'registrant', 'registrant name', 'owner', 'person', 'owner name', 'domain holder'),
    ...columns('registrant_organization', 'org', 'organization', 'organisation'),
    ...columns('registrant_country', 'country'),
    ...columns('registrar_name', 'registrar', 'sponsoring registrar', 'authorized agency', 'registrar name'),
    ...columns('registrar_name', 'registration service provider', 'current registrar'),
    ...columns(
      'created_date',
      'creation date',
      'created',
      'created on',
      'created date',
      'creation',
      'record created on',
    ),
    ...columns('created_date', 'registered', 'registered on', 'registered date', 'registration date'),
    ...columns('created_date', 'registration time', 'domain registered', 'record created'),
    ...columns('updated_date', 'updated date', 'updated', 'last updated', 'last update', 'last updated date'),
    ...columns('updated_date', 'last modified', 'modified', 'changed', 'updated on', 'last updated on', 'update date'),
    ...columns('updated_date', 'modification date', 'record last updated on'),
    ...columns(
      'expiry_date',
      'registry expiry date',
      'expiry date',
      'expiration date',
      'expires',
      'expires on',
      'expire',
    ),
    ...columns('expiry_date', 'expire date', 'expiration time', 'paid till', 'renewal date', 'record expires on'),
    ...columns('expiry_date', 'expiry', 'valid until', 'validity', 'registrar registration expiration date'),
    ...columns('nameservers', 'name server', 'nameserver', 'nserver', 'name servers', 'nameservers', 'nservers', 'ns'),
    ...columns('nameservers', 'domain nameservers', 'domain servers', 'domain servers in listed order'),
    ...columns('nameservers', 'primary name server', 'secondary name server'),
    ...columns('status_codes', 'status', 'domain status', 'eppstatus', 'state', 'flags', 'registration status'),
    ...columns('dnssec', 'dnssec', 'signed', 'dnskey', 'ds rdata', 'dsrecord', 'ds record', 'signing key'),
    ...anyColumns(['registrar_abuse_email', 'registrar_abuse_phone'], 'abuse contact', 'registrar abuse contact'),
  ]),
  registrant: new Map(Object.values(CONTACT).flat()),
  registrar: new Map([
    ...columns('registrar_name', 'name', 'registrar', 'organization', 'organisation', 'organization name'),
    ...columns('registrar_id', 'iana id'),
    ...columns('registrar_url', 'url', 'website', 'web', 'www', 'web page'),
    ...columns('registrar_abuse_email', 'abuse contact email', 'abuse email'),
    ...columns('registrar_abuse_phone', 'abuse contact phone', 'abuse phone'),
  ]),
  abuse: new Map([
    ...columns('registrar_abuse_email', 'email', 'e mail'),
    ...columns('registrar_abuse_phone', 'phone', 'telephone'),
  ]),
  nameservers: new Map(columns('nameservers', 'host name', 'hostname', 'nserver', 'name server', 'name', 'nameserver')),
  other: new Map(),
};

/** A field that some registries write as a sentence. */
export const SENTENCE_FIELD = /^\s*(?<key>record (?:expires|created|last updated) on)\s(?<value>.*)$/i;

/** Lines that change between visits or are not of the record: comments, times of the answer, counters. */
export const VOLATILE_LINES = [
  /^\s*[%#;>]/,
  /^\s*\[ /,
  /^\s*(nsstat|nslastaa):/i,
  // With a colon it is a date of the record.
  /^\s*last updated on\b(?!\s*[.:])/i,
  /^\s*(whois lookup made at|database last updated|last update time|query time|timestamp|queried)\b/i,
  /^\s*(query|request|lookup|remaining (queries|lookups)|your ip( address)?)\s*:/i,
];

/** Lines after the record; the terms of use follow. */
export const RECORD_END = [/^\s*>>> ?last update of /i, /^--\s*$/, /^(notice|terms of use|disclaimer)\b/i];

function roles(role: Role, ...headings: string[]): [string, Role][] {
  return headings.map(heading => [heading, role]);
}

function columns(column: FactColumn, ...keys: string[]): [string, Columns][] {
  return anyColumns([column], ...keys);
}

function anyColumns(candidates: Columns, ...keys: string[]): [string, Columns][] {
  return keys.map(key => [key, candidates]);
}
