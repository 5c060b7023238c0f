import type { WhoisFacts } from '../facts.ts';

/** Whose a field is. */
export type Role = 'domain' | 'registrant' | 'registrar' | 'abuse' | 'nameservers' | 'other';

/** What a key may fill: the first column its value fits. */
export type Columns = readonly (keyof WhoisFacts)[];

/** Under which the name asked for is told again. */
export const DOMAIN_KEYS = new Set(['domain', 'domain name', 'domainname', 'domain ace', 'nom de domaine']);

/** Headings, and whose the fields below are. Below any other heading they are nobody's. */
export const SECTIONS = new Map<string, Role>([
  ...of('domain', 'domain', 'domain information', 'domain details', 'relevant dates', 'additional info', 'dnssec'),
  ...of('registrant', 'registrant', 'registrant contact', 'registrant information', 'holder', 'domain holder'),
  ...of('registrant', 'owner', 'owner contact', 'domain owners registrant'),
  ...of('registrar', 'registrar', 'registrar information', 'sponsoring registrar', 'domain managers'),
  ...of('abuse', 'abuse contact', 'registrar abuse contact'),
  ...of('nameservers', 'name servers', 'nameservers', 'nservers', 'domain servers', 'domain nameservers'),
  ...of('nameservers', 'primary name server', 'secondary name server', 'domain servers in listed order'),
  ...of('other', 'admin contact', 'administrative contact', 'administrative contacts', 'admin', 'tech'),
  ...of('other', 'tech contact', 'technical contact', 'technical contacts', 'technical', 'billing contact'),
  ...of('other', 'registrar technical contacts', 'reseller', 'contact information', 'keys', 'whois'),
]);

/** Objects apart from the domain's, by their first key. */
export const BLOCKS = new Map<string, Role>([
  ...of('registrar', 'registrar'),
  ...of('nameservers', 'nsset'),
  ...of('other', 'keyset', 'ds rdata', 'person', 'role', 'organisation', 'organization', 'personname'),
]);

/** Keys a contact has its handle under, the surest first, and keys of a domain that name its registrant by handle. */
export const HANDLES = {
  objects: ['nic hdl', 'nic hdl br', 'contact id', 'contact'],
  registrant: new Set(['holder c', 'owner c', 'registrant c', 'registrant', 'holder']),
};

/** First words of a key that say whose the rest of it is: `registrant city`, `registrar iana id`. */
export const PREFIXES: [RegExp, Role][] = [
  [/^(registrant contact|registrant|domain holder|holder|owner contact|owner) /, 'registrant'],
  [/^(sponsoring registrar|registrar|registration service provider) /, 'registrar'],
];

/** What a contact's keys fill. */
const CONTACT = {
  name: columns('registrant_name', 'name', 'contact', 'contact name', 'person', 'personname'),
  organization: columns('registrant_organization', 'organization', 'organisation', 'org', 'organization name'),
  country: columns('registrant_country', 'country', 'country code', 'country economy'),
  state: columns('registrant_state', 'state province', 'state', 'province', 'region', 'state region'),
  city: columns('registrant_city', 'city', 'town'),
  email: columns('registrant_email', 'email', 'e mail', 'contact email', 'mail'),
};

/** What each key fills, by whose field it is. */
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
    ...either(['registrar_abuse_email', 'registrar_abuse_phone'], 'abuse contact', 'registrar abuse contact'),
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

/** What some registries write as a sentence. */
export const SENTENCE = /^\s*(?<key>record (?:expires|created|last updated) on)\s(?<value>.*)$/i;

/** Lines that differ from look to look, or are not of the record: comments, times of the answer, counters. */
export const VOLATILE = [
  /^\s*[%#;>]/,
  /^\s*\[ /,
  /^\s*(nsstat|nslastaa):/i,
  // With a colon it is a date of the record.
  /^\s*last updated on\b(?!\s*[.:])/i,
  /^\s*(whois lookup made at|database last updated|last update time|query time|timestamp|queried)\b/i,
  /^\s*(query|request|lookup|remaining (queries|lookups)|your ip( address)?)\s*:/i,
];

/** Lines after which only the terms of use come. */
export const CUTS = [/^\s*>>> ?last update of /i, /^--\s*$/, /^(notice|terms of use|disclaimer)\b/i];

/**
 * How servers say that they know of no such domain: a whole line's beginning, in lower case and without signs before it.
 * `{domain}` stands for the name asked for.
 */
export const NOT_FOUND = [
  /^no match(!!|$|\.| for\b| found\b)/,
  /^(the |this )?(requested |queried )?(domain|domain name|object|record)?( \S+)? ?(was |is |has |does )?not (been )?(found|registered|exist)\b/,
  /^no (entries|data|object|domain|records?|such domain|matching (record|objects?))\b( was| is| were)? ?(found|$|\.)/,
  /^(no such domain|nothing found|not found|no found)\b/,
  /^above domain name is not registered\b/,
  /^this query returned 0 objects\b/,
  /^no information (was found|available about domain name)\b/,
  /^{domain}( is|:)? (free|available|not registered|not found|no match)\b/,
  /^(the )?domain( name)? (")?{domain}(")? (is|was) (free|available|not (registered|found)|still available)\b/,
  /^(status|domain status|state)[ .]*: *(free|available|not registered|no object found|unassigned)$/,
];

/**
 * How servers turn away who asks too often, as a statement: terms of use say the same of what may happen, with "if",
 * "may" and "must not".
 */
export const TURNED_AWAY = [
  /\b(quer(y|ies)|look ?ups?|requests?|connections?|access(es)?|whois|rate|control|quota|session|allowed)\b[^.;]{0,40}\b(limit|quota|rate|number|queries)?( (has|have) been| is| was| are)? (exceeded|reached|exhausted)\b/,
  /\byou(r (ip|address|host|network|client)[^.;]{0,40})? (have|has) (exceeded|reached|been (temporarily )?(blocked|blacklisted|denied|restricted|banned))\b/,
  /^(error:? ?)?(\S+ )?(limit|quota) (exceeded|reached)\b/,
  /\bexceeded (the|your|its) (maximum|allowed|allowable|query|quota|limit|daily)\b/,
  /\brate[- ]limited\b/,
  /\btoo many (requests|queries|connections|lookups)\b/,
  /^(error:? ?)?excessive (querying|access|queries)\b/,
  /^[^.;]{0,60}\b(please )?(try|retry) again (later|after|in)\b/,
  /^(error:?\s?\S{0,12} )?access (temporarily )?(denied|blocked|restricted)\b/,
];

/** A statement with one of these is a condition. */
export const CONDITION =
  /\b(if|when|may|might|must|should|shall|can|could|will|would|in case|unless|until|not exceed)\b/;

function of(role: Role, ...headings: string[]): [string, Role][] {
  return headings.map(heading => [heading, role]);
}

function columns(column: keyof WhoisFacts, ...keys: string[]): [string, Columns][] {
  return either([column], ...keys);
}

function either(candidates: Columns, ...keys: string[]): [string, Columns][] {
  return keys.map(key => [key, candidates]);
}
