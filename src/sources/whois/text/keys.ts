import type { FactColumn } from '../facts.ts';
import { dateColumn, isNameserverKey, isStatusKey } from './key-words.ts';

/** The object that a field belongs to; `unknown` below a heading that nobody has described. */
export type Role = 'domain' | 'registrant' | 'registrar' | 'abuse' | 'nameservers' | 'other' | 'unknown';

/** Columns that a key may fill; each takes the value if it has the column's form. */
export type Columns = readonly FactColumn[];

/** Keys of the domain's own name. All keys are in lower case, without accents and with single spaces as punctuation. */
export const DOMAIN_KEYS = keySet(
  'domain, domain name, domainname, domain ace, nom de domaine, domaine, nombre de dominio, nombre del dominio',
  'nome de dominio, nome do dominio, dominio, domena, domeinnaam, 域名, ドメイン名',
);

/** Keys of other forms of the name, which may differ from the queried one. */
export const ALIAS_KEYS = keySet(
  'puny name, punycode, ace, idn, idn name, domain name idn, unicode name, ascii name, variant, variants, idn variant',
  'domain unicode, internationalized domain name, u label, a label',
);

/** Keys that repeat the query, so that the domain below them is no sign of a record. */
export const ECHO_KEYS = /^(query|queried|request|lookup|search|whois|not found|no match|dns|domain not found)\b/;

const SECTION_ROLES = new Map<string, Role>([
  ...roles('domain', 'domain', 'domain information', 'domain details', 'relevant dates', 'additional info', 'dnssec'),
  ...roles('domain', 'additional information', 'status', 'registration status', 'important dates', 'dates'),
  ...roles(
    'registrant',
    'registrant',
    'registrant contact',
    'holder',
    'domain holder',
    'domain owner',
    'registrar contact registrant',
  ),
  ...roles(
    'registrant',
    'owner',
    'owner contact',
    'domain owners registrant',
    'domain registrant',
    'domain name holder',
  ),
  ...roles('registrant', 'organization using domain name', 'titular', 'titulaire', 'inhaber', 'domeinnaamhouder'),
  ...roles(
    'registrar',
    'registrar',
    'sponsoring registrar',
    'domain managers',
    'registrador',
    'bureau d enregistrement',
  ),
  ...roles('abuse', 'abuse contact', 'registrar abuse contact'),
  ...roles('other', 'admin contact', 'administrative contact', 'administrative contacts', 'admin', 'tech'),
  ...roles('other', 'tech contact', 'technical contact', 'technical contacts', 'technical', 'billing contact'),
  ...roles('other', 'registrar technical contacts', 'reseller', 'contact', 'keys', 'whois', 'billing', 'key'),
  ...roles(
    'other',
    'administrative contact agent',
    'contacto administrativo',
    'contacto tecnico',
    'contacto de cobranza',
  ),
  ...roles(
    'other',
    'contact administratif',
    'contact technique',
    'zone contact',
    'technical contact s',
    'data validation',
  ),
  ...roles(
    'other',
    'disclaimer',
    'whois server',
    'tech c',
    'admin c',
    'dnssec ds records',
    'ds records',
    'on hold contact',
  ),
]);

/** Words at the end of a heading that add nothing: `Registrant Contact Information`. */
const HEADING_END = / (information|details|info|data|section|record)$/;

/** Contacts other than the registrant. */
const OTHER_CONTACT = /^(admin\w*|tech\w*|billing|zone|on ?site|emergency|reseller) (contacts?|c)\b/;

/** The role of the fields below a heading; undefined for an unknown one. */
export function sectionRole(heading: string): Role | undefined {
  const found = SECTION_ROLES.get(heading) ?? SECTION_ROLES.get(heading.replace(HEADING_END, ''));
  if (!found && OTHER_CONTACT.test(heading)) return 'other';
  return found ?? (isNameserverKey(heading) ? 'nameservers' : undefined);
}

/** The role of a block that is another object, by its first key. */
export const BLOCK_ROLES = new Map<string, Role>([
  ...roles('registrar', 'registrar'),
  ...roles('nameservers', 'nsset'),
  ...roles('other', 'keyset', 'ds rdata', 'person', 'role', 'organisation', 'organization', 'personname'),
]);

/** Keys of a contact's handle, the most certain first, and keys of a domain that hold its registrant's handle. */
export const HANDLES = {
  objects: ['nic hdl', 'nic hdl br', 'contact id', 'contact'],
  registrant: keySet(
    'holder c, owner c, registrant c, registrant, holder, owner, domain holder, owner contact, registrant contact',
    'holder contact, registrant id, owner id, registrant handle, titular',
  ),
};

/**
 * Whether a value has the form of a handle: capitals and digits without a space, with a separator or as many digits as no
 * name has. A name such as `STUDIO54` has neither.
 */
export function isHandle(value: string): boolean {
  return /^(\d{5,}|[A-Z]{1,10}[-_:][A-Z]{0,8}\d+([-_][A-Z]{2,10})?|[A-Z]{1,8}\d{3,}([-_][A-Z]{2,10})?|[A-Z]{1,8}\d+[-_][A-Z]{2,12})$/.test(
    value,
  );
}

/** The role of a key's first words: `registrant city`, `registrar iana id`. */
export const KEY_PREFIXES: [RegExp, Role][] = [
  [/^(registrant contact|registrant|domain holder|holder|owner contact|owner|org) /, 'registrant'],
  [/^(sponsoring registrar|registrar|registration service) /, 'registrar'],
];

/** Columns by key of a contact. */
const CONTACT = {
  name: columns('registrant_name', 'name', 'contact', 'contact name', 'person', 'personname', 'role', 'full name'),
  organization: columns(
    'registrant_organization',
    'organization',
    'organisation',
    'org',
    'organization name',
    'company',
  ),
  more: columns('registrant_organization', 'company english name', 'company name', 'organisation name', 'organizacion'),
  country: columns('registrant_country', 'country', 'country code', 'country economy', 'pais', 'pays', 'land'),
  state: columns('registrant_state', 'state province', 'state', 'province', 'region', 'state region', 'provincia'),
  city: columns('registrant_city', 'city', 'town', 'locality', 'ciudad', 'cidade', 'ville', 'ort', 'stadt'),
  email: columns('registrant_email', 'email', 'e mail', 'contact email', 'mail', 'email address'),
};

/** Columns by role and key. */
const COLUMNS: Record<Role, Map<string, Columns>> = {
  domain: new Map([
    ...columns('registrant_name', 'registrant', 'registrant name', 'owner', 'person', 'owner name', 'domain holder'),
    ...columns('registrant_name', 'holder', 'titular', 'titulaire', 'inhaber', 'domain owner', 'domain registrant'),
    ...columns('registrant_organization', 'org', 'organization', 'organisation', 'org name'),
    ...columns('registrant_country', 'country'),
    ...columns('registrar_name', 'registrar', 'sponsoring registrar', 'authorized agency', 'registrar name'),
    ...columns('registrar_name', 'registration service provider', 'current registrar', 'current registar', 'registar'),
    ...columns('registrar_name', 'registrador', 'sponsoring registrar organization', 'bureau d enregistrement'),
    ...columns('registrar_url', 'url', 'referral url', 'registrar info'),
    ...columns(
      'created_date',
      'fecha de creacion',
      'fecha de registro',
      'data de criacao',
      'data de registo',
      'criado',
    ),
    ...columns('created_date', 'date de creation', 'date d enregistrement', 'erstellt', 'registriert', 'creado'),
    ...columns('updated_date', 'ultima actualizacion', 'fecha de actualizacion', 'derniere modification', 'geandert'),
    ...columns(
      'updated_date',
      'date de mise a jour',
      'ultima alteracao',
      'ultima modificacion',
      'gewijzigd',
      'alterado',
    ),
    ...columns('expiry_date', 'paid till', 'valid until', 'validity', 'fecha de vencimiento', 'fecha de expiracion'),
    ...columns('expiry_date', 'data de expiracao', 'date d expiration', 'date d echeance', 'expira', 'verfallsdatum'),
    ...columns('status_codes', 'eppstatus', 'flags', 'domaintype', 'estatus del dominio', 'estado', 'statut', 'etat'),
    ...columns('status_codes', 'estado del dominio', 'estado do dominio', 'situacao', 'stav'),
    ...columns('dnssec', 'dnssec', 'signed', 'dnskey', 'ds rdata', 'dsrecord', 'ds record', 'signing key'),
    ...anyColumns(['registrar_abuse_email', 'registrar_abuse_phone'], 'abuse contact', 'registrar abuse contact'),
  ]),
  registrant: new Map(Object.values(CONTACT).flat()),
  registrar: new Map([
    ...columns('registrar_name', 'name', 'registrar', 'organization', 'organisation', 'organization name', 'provider'),
    ...columns('registrar_id', 'iana id'),
    ...columns('registrar_url', 'url', 'website', 'web', 'www', 'web page', 'info'),
    ...columns('registrar_abuse_email', 'abuse contact email', 'abuse email', 'abuse mail'),
    ...columns('registrar_abuse_phone', 'abuse contact phone', 'abuse phone'),
  ]),
  abuse: new Map([
    ...columns('registrar_abuse_email', 'email', 'e mail'),
    ...columns('registrar_abuse_phone', 'phone', 'telephone'),
  ]),
  nameservers: new Map(columns('nameservers', 'host name', 'hostname', 'name', 'host')),
  other: new Map(),
  unknown: new Map(),
};

/** The columns that a key fills in an object; undefined for an unknown key. */
export function columnsOfKey(role: Role, key: string): Columns | undefined {
  const isDomain = role === 'domain';
  const known = COLUMNS[role].get(key) ?? (isDomain ? COLUMNS.domain.get(key.replace(/^domain /, '')) : undefined);
  if (known) return known;
  if ((isDomain || role === 'nameservers') && isNameserverKey(key)) return ['nameservers'];
  if (isDomain && isStatusKey(key)) return ['status_codes'];
  const date = isDomain ? dateColumn(key) : null;
  if (date) return [date];
  // The first words of a key may name its object, also below that object's heading.
  const [prefix, prefixRole] = KEY_PREFIXES.find(([pattern]) => pattern.test(key)) ?? [];
  if (!prefix || !prefixRole || (!isDomain && role !== prefixRole)) return undefined;
  return COLUMNS[prefixRole].get(key.replace(prefix, ''));
}

/** Fields that some registries write as a sentence. */
export const SENTENCE_FIELDS = [
  /^\s*(?<key>record (?:expires|created|last updated) on)\s(?<value>.*)$/i,
  /^\s*(?<key>domain(?: name)?)\s+(?<value>[^\s:"']+\.[^\s:"'.]+(?:\s+\([^)]*\))?)$/i,
];

/** Lines that change between visits or are not of the record: comments, times of the answer, counters. */
export const VOLATILE_LINES = [
  /^\s*[%#;>]/,
  /^\s*\[ /,
  /^\s*(nsstat|nslastaa):/i,
  // With a colon it is a date of the record.
  /^\s*last updated on\b(?!\s*[.:])/i,
  /^\s*(whois lookup made at|database last updated|last update time|query time|timestamp|queried|query_datetime)\b/i,
  /^\s*(query|request|lookup|remaining (queries|lookups)|your ip( address)?)\s*:/i,
];

/** Lines after the record; the terms of use, or facts of the answer, follow. */
export const RECORD_END = [
  /^\s*>>> ?last update of /i,
  /^--\s*$/,
  /^(notice|terms of use|disclaimer)\b/i,
  /^\[(whois|disclaimer)\]$/i,
];

function keySet(...lists: string[]): Set<string> {
  return new Set(lists.flatMap(list => list.split(', ')));
}

function roles(role: Role, ...headings: string[]): [string, Role][] {
  return headings.map(heading => [heading, role]);
}

function columns(column: FactColumn, ...keys: string[]): [string, Columns][] {
  return anyColumns([column], ...keys);
}

function anyColumns(candidates: Columns, ...keys: string[]): [string, Columns][] {
  return keys.map(key => [key, candidates]);
}
