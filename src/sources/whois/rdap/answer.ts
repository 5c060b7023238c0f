import { ChangeError } from '../../../errors.ts';
import { isObject, type JsonObject, wrongShape } from '../../upstream/json.ts';
import { eppStatus, isoDate, isRedacted, NO_FACTS, type WhoisFacts } from '../facts.ts';
import { hostOf, listOf, own, textOf, webUrl } from '../values.ts';
import { type Contact, readJcard } from './jcard.ts';
import { type FactColumn, redactedColumns } from './redaction.ts';
import { stableText } from './stable.ts';

/** What a server's answer says of a registration. */
export interface RdapAnswer {
  facts: WhoisFacts;
  /** Columns that are null because the server withholds them, in the table's order. */
  redacted: FactColumn[];
  /** Where the registrar answers for the same domain; null where the answer names no such place. */
  relatedUrl: string | null;
  /** The same text as long as the registration is the same. */
  stable: string;
}

interface Entity {
  value: unknown;
  roles: string[];
  entities: Entity[];
}

/** Servers nest two deep: registrar, abuse contact. */
const ENTITY_DEPTH_MAX = 6;

/** Of a document made to have more, the first are read. */
const ENTITIES_MAX = 500;

const COLUMNS = Object.keys(NO_FACTS) as FactColumn[];
const REGISTRANT = COLUMNS.filter(column => column.startsWith('registrant_'));
const ABUSE = COLUMNS.filter(column => column.startsWith('registrar_abuse_'));
const REGISTRAR = COLUMNS.filter(column => column.startsWith('registrar_') && !ABUSE.includes(column));

/** Members of a domain object (RFC 9083 §5.3), any of which tells one that does not say what it is. */
const DOMAIN_MEMBERS = ['ldhName', 'unicodeName', 'events', 'entities', 'status', 'nameservers', 'secureDNS'];

/** Remarks of servers older than RFC 9537 that say a contact is not whole (RFC 9083 §10.2.1, and ICANN's profile of 2019). */
const WITHHOLDING = /^(object (redacted|truncated) due to authorization|redacted for privacy)/i;
const EMAIL_WITHHELD = /^email redacted for privacy/i;

/**
 * Reads the answer to a domain look-up (RFC 9083). Throws `ChangeError`: `wrong-shape` when it is no domain object,
 * `name-mismatch` when it is that of another domain than `domain` (A-labels, lower case). What is missing or odd inside
 * is null. `ldhName` decides what domain it is, since Unicode has several ways to write one name.
 */
export function readRdap(json: unknown, domain: string): RdapAnswer {
  const document = domainObject(json, domain);
  const entities = entitiesOf(own(document, 'entities'));
  const registrant = withRole(entities, 'registrant');
  const registrar = withRole(entities, 'registrar');
  const abuse = (registrar && withRole([registrar], 'abuse')) ?? entities.find(({ roles }) => roles.includes('abuse'));
  const card = readJcard(own(registrant?.value, 'vcardArray'));
  const given: WhoisFacts = {
    ...registrantFacts(card),
    ...registrarFacts(registrar, abuse),
    ...dates(listOf(own(document, 'events'))),
    nameservers: joined(listOf(own(document, 'nameservers')).map(nameserverOf)),
    status_codes: joined(listOf(own(document, 'status')).map(status => eppStatus(textOf(status) ?? ''))),
    dnssec: dnssecOf(own(document, 'secureDNS')),
  };
  const named = new Set([...redactedColumns(own(document, 'redacted')), ...remarkedColumns(registrant, given)]);
  const redacted = COLUMNS.filter(column => named.has(column) || isRedacted(given[column] ?? ''));
  const facts = { ...given, ...Object.fromEntries(redacted.map(column => [column, null])) };
  // The name of an organization's card is an organization, after it is known not to be withheld.
  if (card.isOrganization && !redacted.includes('registrant_organization'))
    facts.registrant_organization ??= facts.registrant_name;
  return {
    facts,
    redacted,
    relatedUrl: relatedUrl(listOf(own(document, 'links'))),
    // With the facts in it, no fact can change unseen, wherever it was read from.
    stable: stableText({ facts, redacted, document }),
  };
}

/**
 * What the registry and the registrar say together. The registry keeps dates, statuses, name servers, DNSSEC and who the
 * registrar is; the registrar knows the registrant and its own abuse contact. A contact is one server's, never put
 * together from two.
 */
export function mergeAnswers(
  registry: RdapAnswer,
  registrar: RdapAnswer | null,
): { facts: WhoisFacts; redacted: FactColumn[] } {
  if (registrar === null) return { facts: registry.facts, redacted: registry.redacted };
  const facts = { ...registry.facts };
  const take = (columns: FactColumn[]) => {
    for (const column of columns) facts[column] = registrar.facts[column];
  };
  for (const contact of [REGISTRANT, ABUSE])
    if (contact.some(column => registrar.facts[column] !== null)) take(contact);
  // During a transfer the two may name two registrars.
  const [first, second] = [registry.facts, registrar.facts];
  const isOneRegistrar =
    first.registrar_id !== null && second.registrar_id !== null
      ? first.registrar_id === second.registrar_id
      : first.registrar_name === null || first.registrar_name === second.registrar_name;
  if (isOneRegistrar) take(REGISTRAR.filter(column => facts[column] === null));
  const named = [...registry.redacted, ...registrar.redacted];
  return { facts, redacted: COLUMNS.filter(column => facts[column] === null && named.includes(column)) };
}

function domainObject(json: unknown, domain: string): JsonObject {
  const subject = 'rdap domain';
  if (!isObject(json)) throw wrongShape(subject, { path: [], expected: 'an object', value: json });
  if ((own(json, 'errorCode') ?? null) !== null)
    throw new ChangeError('wrong-shape', `${subject}: expected a domain object, got an error object`);
  const kind = textOf(own(json, 'objectClassName'))?.toLowerCase() ?? null;
  if (kind !== 'domain' && (kind !== null || DOMAIN_MEMBERS.every(member => own(json, member) === undefined)))
    throw new ChangeError(
      'wrong-shape',
      `${subject}: expected objectClassName to be domain, got ${kind === null ? 'none' : 'another'}`,
    );
  const names = [own(json, 'ldhName'), own(json, 'unicodeName')].filter(
    name => typeof name === 'string' && name.trim() !== '',
  );
  if (names.length > 0 && hostOf(names[0]) !== domain)
    throw new ChangeError('name-mismatch', `${subject}: expected ldhName to be the domain asked for, got another`);
  return json;
}

function entitiesOf(value: unknown, room = { left: ENTITIES_MAX }, depth = 0): Entity[] {
  if (depth >= ENTITY_DEPTH_MAX) return [];
  return listOf(value)
    .filter(isObject)
    .filter(() => room.left-- > 0)
    .map(entity => ({
      value: entity,
      roles: listOf(own(entity, 'roles')).map(role => textOf(role)?.toLowerCase() ?? ''),
      entities: entitiesOf(own(entity, 'entities'), room, depth + 1),
    }));
}

/** The first entity of a role, those nearest to the domain first. */
function withRole(entities: Entity[], role: string): Entity | undefined {
  for (let level = entities; level.length > 0; level = level.flatMap(entity => entity.entities)) {
    const found = level.find(({ roles }) => roles.includes(role));
    if (found) return found;
  }
  return undefined;
}

function registrantFacts(card: Contact) {
  return {
    registrant_name: card.name,
    registrant_email: card.email,
    registrant_organization: card.organization,
    registrant_country: card.country,
    registrant_state: card.state,
    registrant_city: card.city,
  };
}

function registrarFacts(registrar: Entity | undefined, abuse: Entity | undefined) {
  const card = readJcard(own(registrar?.value, 'vcardArray'));
  const contact = readJcard(own(abuse?.value, 'vcardArray'));
  const about = listOf(own(registrar?.value, 'links'))
    .filter(link => hasRelation(link, 'about'))
    .map(link => webUrl(own(link, 'href')))
    .find(url => url !== null);
  return {
    registrar_name: card.name ?? card.organization,
    registrar_id: ianaId(listOf(own(registrar?.value, 'publicIds'))),
    registrar_url: card.url ?? about ?? null,
    registrar_abuse_email: contact.email,
    registrar_abuse_phone: contact.phone,
  };
}

function ianaId(publicIds: unknown[]): string | null {
  const named = publicIds.filter(id => /^iana registrar id$/i.test(textOf(own(id, 'type')) ?? ''));
  const texts = named.map(id => own(id, 'identifier')).map(id => (typeof id === 'number' ? String(id) : textOf(id)));
  return texts.find(text => text !== null && /^\d{1,9}$/.test(text)) ?? null;
}

function dates(events: unknown[]) {
  const of = (action: string) =>
    events
      .filter(event => textOf(own(event, 'eventAction'))?.toLowerCase() === action)
      .map(event => isoDate(textOf(own(event, 'eventDate')) ?? ''))
      .filter(date => date !== null)
      .sort();
  return {
    created_date: of('registration')[0] ?? null,
    updated_date: of('last changed').at(-1) ?? null,
    expiry_date: of('expiration').at(-1) ?? of('registrar expiration').at(-1) ?? null,
  };
}

/** A name server's name; some servers give a text in place of an object, or an address after the name. */
function nameserverOf(given: unknown): string | null {
  const name = isObject(given) ? (textOf(own(given, 'ldhName')) ?? textOf(own(given, 'unicodeName'))) : textOf(given);
  const host = hostOf(name?.split(' ')[0]);
  return host?.includes('.') ? host : null;
}

function joined(texts: (string | null)[]): string | null {
  return [...new Set(texts.filter(text => text !== null))].sort().join(',') || null;
}

/** Whether the parent zone has the domain's DS records; `zoneSigned` is about the zone and tells nothing of it. */
function dnssecOf(secureDns: unknown): string | null {
  const signed = own(secureDns, 'delegationSigned');
  if (signed === true || signed === 'true') return 'signedDelegation';
  if (signed === false || signed === 'false') return 'unsigned';
  const keys = [...listOf(own(secureDns, 'dsData')), ...listOf(own(secureDns, 'keyData'))];
  return keys.some(isObject) ? 'signedDelegation' : null;
}

/** A card must have a name (RFC 6350 §6.2.1), so one without it under such a remark has its name withheld. */
function remarkedColumns(
  registrant: Entity | undefined,
  { registrant_name, registrant_email }: WhoisFacts,
): FactColumn[] {
  const says = (pattern: RegExp) =>
    listOf(own(registrant?.value, 'remarks')).some(remark =>
      [own(remark, 'type'), own(remark, 'title')].some(text => pattern.test(textOf(text) ?? '')),
    );
  const columns: FactColumn[] = registrant_name === null && says(WITHHOLDING) ? ['registrant_name'] : [];
  return registrant_email === null && says(EMAIL_WITHHELD) ? [...columns, 'registrant_email'] : columns;
}

function hasRelation(link: unknown, relation: string): boolean {
  return listOf(own(link, 'rel')).some(given => textOf(given)?.toLowerCase() === relation);
}

function relatedUrl(links: unknown[]): string | null {
  const sameAs = (url: string) => new URL(url).href.toLowerCase().replace(/\/$/, '');
  const selves = links.filter(link => hasRelation(link, 'self')).map(link => webUrl(own(link, 'href')));
  const itself = new Set(selves.filter(url => url !== null).map(sameAs));
  for (const link of links.filter(each => hasRelation(each, 'related'))) {
    const url = webUrl(own(link, 'href'));
    const type = textOf(own(link, 'type'))?.toLowerCase() ?? null;
    if (url === null || itself.has(sameAs(url))) continue;
    const { pathname } = new URL(url);
    if (type === null ? /\/domain\//i.test(pathname) : /^application\/rdap\+json\b/.test(type)) return url;
  }
  return null;
}
