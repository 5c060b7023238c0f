import { ChangeError } from '../../../errors.ts';
import { isObject, type JsonObject, wrongShape } from '../../upstream/json.ts';
import { isoDate } from '../dates.ts';
import {
  ABUSE_COLUMNS,
  eppStatus,
  FACT_COLUMNS,
  type FactColumn,
  isRedacted,
  REGISTRANT_COLUMNS,
  type WhoisFacts,
} from '../facts.ts';
import { hostOf, joined, listOf, memberOf, textOf, webUrl } from '../values.ts';
import { type Contact, readJcard } from './jcard.ts';
import { redactedColumns } from './redaction.ts';
import { stableText } from './stable.ts';

/** One server's answer about a registration. */
export interface RdapAnswer {
  facts: WhoisFacts;
  /** Columns that the server withholds, in the table's order; their facts are null. */
  redacted: FactColumn[];
  /** The registrar's answer for the same domain; null when this answer names none. */
  relatedUrl: string | null;
  /** A text that changes only with the registration. */
  stable: string;
}

interface Entity {
  value: unknown;
  roles: string[];
  entities: Entity[];
}

/** Servers nest two deep: registrar, abuse contact. */
const ENTITY_DEPTH_MAX = 6;

/** Far more than any answer has; the rest is not read. */
const ENTITIES_MAX = 500;

const REGISTRAR_COLUMNS = FACT_COLUMNS.filter(
  column => column.startsWith('registrar_') && !ABUSE_COLUMNS.includes(column),
);

/** Members of a domain object (RFC 9083, section 5.3): an object without a class that has one of these is one. */
const DOMAIN_MEMBERS = ['ldhName', 'unicodeName', 'events', 'entities', 'status', 'nameservers', 'secureDNS'];

/** Remarks on withheld members, from before RFC 9537 (RFC 9083, section 10.2.1, and ICANN's profile of 2019). */
const NAME_WITHHELD = /^(object (redacted|truncated) due to authorization|redacted for privacy)/i;
const EMAIL_WITHHELD = /^email redacted for privacy/i;

/**
 * Reads the answer to a domain query (RFC 9083); `domain` is A-labels in lower case. Missing or malformed members are null.
 * Throws `ChangeError`: `wrong-shape` for no domain object, `name-mismatch` for another domain's. `ldhName` decides the
 * domain, because Unicode has several forms of one name.
 */
export function readRdap(json: unknown, domain: string): RdapAnswer {
  // Find the contacts.
  const document = domainObject(json, domain);
  const entities = entitiesOf(memberOf(document, 'entities'));
  const registrant = entityWithRole(entities, 'registrant');
  const registrar = entityWithRole(entities, 'registrar');
  const abuse =
    (registrar && entityWithRole([registrar], 'abuse')) ?? entities.find(({ roles }) => roles.includes('abuse'));
  const card = readJcard(memberOf(registrant?.value, 'vcardArray'));

  // Read the facts.
  const unredacted: WhoisFacts = {
    ...registrantFacts(card),
    ...registrarFacts(registrar, abuse),
    ...dates(listOf(memberOf(document, 'events'))),
    nameservers: joined(listOf(memberOf(document, 'nameservers')).flatMap(server => nameserverOf(server) ?? [])),
    status_codes: joined(listOf(memberOf(document, 'status')).flatMap(status => eppStatus(textOf(status) ?? '') ?? [])),
    dnssec: dnssecOf(memberOf(document, 'secureDNS')),
  };

  // Set what the server withholds to null.
  const named = new Set([
    ...redactedColumns(memberOf(document, 'redacted')),
    ...columnsOfRemarks(registrant, unredacted),
  ]);
  const redacted = FACT_COLUMNS.filter(column => named.has(column) || isRedacted(unredacted[column] ?? ''));
  const facts = { ...unredacted, ...Object.fromEntries(redacted.map(column => [column, null])) };
  // The name on an organization's card is the organization's, unless the server withholds that.
  if (card.isOrganization && !redacted.includes('registrant_organization'))
    facts.registrant_organization ??= facts.registrant_name;
  return {
    facts,
    redacted,
    relatedUrl: relatedUrl(listOf(memberOf(document, 'links'))),
    // The facts too, because some come from members that `stableText` leaves out.
    stable: stableText({ facts, redacted, document }),
  };
}

/**
 * The facts of the registry's and the registrar's answers. Dates, statuses, name servers, DNSSEC and the registrar are the
 * registry's; the registrant and the abuse contact are the registrar's where it has them. A contact comes from one answer,
 * never from both.
 */
export function mergeAnswers(
  registry: RdapAnswer,
  registrar: RdapAnswer | null,
): { facts: WhoisFacts; redacted: FactColumn[] } {
  if (registrar === null) return { facts: registry.facts, redacted: registry.redacted };
  const facts = { ...registry.facts };
  const takeFromRegistrar = (columns: FactColumn[]) => {
    for (const column of columns) facts[column] = registrar.facts[column];
  };
  for (const contact of [REGISTRANT_COLUMNS, ABUSE_COLUMNS])
    if (contact.some(column => registrar.facts[column] !== null)) takeFromRegistrar(contact);
  // During a transfer the two answers may name two registrars.
  const [first, second] = [registry.facts, registrar.facts];
  const isOneRegistrar =
    first.registrar_id !== null && second.registrar_id !== null
      ? first.registrar_id === second.registrar_id
      : first.registrar_name === null || first.registrar_name === second.registrar_name;
  if (isOneRegistrar) takeFromRegistrar(REGISTRAR_COLUMNS.filter(column => facts[column] === null));
  const named = [...registry.redacted, ...registrar.redacted];
  return { facts, redacted: FACT_COLUMNS.filter(column => facts[column] === null && named.includes(column)) };
}

function domainObject(json: unknown, domain: string): JsonObject {
  const subject = 'rdap domain';
  if (!isObject(json)) throw wrongShape(subject, { path: [], expected: 'an object', value: json });
  if ((memberOf(json, 'errorCode') ?? null) !== null)
    throw new ChangeError('wrong-shape', `${subject}: expected a domain object, got an error object`);
  const kind = textOf(memberOf(json, 'objectClassName'))?.toLowerCase() ?? null;
  if (kind !== 'domain' && (kind !== null || DOMAIN_MEMBERS.every(member => memberOf(json, member) === undefined)))
    throw new ChangeError(
      'wrong-shape',
      `${subject}: expected objectClassName to be domain, got ${kind === null ? 'none' : 'another'}`,
    );
  const handle = memberOf(json, 'handle');
  // Some registries have no `ldhName`, and the domain as the handle; any other handle is no name.
  const given = [memberOf(json, 'ldhName'), memberOf(json, 'unicodeName'), hostOf(handle) === domain ? handle : null];
  const names = given.filter(name => typeof name === 'string' && name.trim() !== '');
  // An answer without a name says nothing of this domain: some servers answer every query with one object.
  if (names.length === 0 || hostOf(names[0]) !== domain) {
    const actual = names.length === 0 ? 'none' : 'another';
    throw new ChangeError('name-mismatch', `${subject}: expected ldhName to be the queried domain, got ${actual}`);
  }
  return json;
}

function entitiesOf(value: unknown, budget = { left: ENTITIES_MAX }, depth = 0): Entity[] {
  if (depth >= ENTITY_DEPTH_MAX) return [];
  return listOf(value)
    .filter(isObject)
    .filter(() => budget.left-- > 0)
    .map(entity => ({
      value: entity,
      roles: listOf(memberOf(entity, 'roles')).map(role => textOf(role)?.toLowerCase() ?? ''),
      entities: entitiesOf(memberOf(entity, 'entities'), budget, depth + 1),
    }));
}

/** The first entity with a role, of those nearest to the domain. */
function entityWithRole(entities: Entity[], role: string): Entity | undefined {
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
  const card = readJcard(memberOf(registrar?.value, 'vcardArray'));
  const contact = readJcard(memberOf(abuse?.value, 'vcardArray'));
  const about = listOf(memberOf(registrar?.value, 'links'))
    .filter(link => hasRelation(link, 'about'))
    .map(link => webUrl(memberOf(link, 'href')))
    .find(url => url !== null);
  return {
    registrar_name: card.name ?? card.organization,
    registrar_id: ianaId(listOf(memberOf(registrar?.value, 'publicIds'))),
    registrar_url: card.url ?? about ?? null,
    registrar_abuse_email: contact.email,
    registrar_abuse_phone: contact.phone,
  };
}

function ianaId(publicIds: unknown[]): string | null {
  const named = publicIds.filter(id => /^iana registrar id$/i.test(textOf(memberOf(id, 'type')) ?? ''));
  const texts = named
    .map(id => memberOf(id, 'identifier'))
    .map(id => (typeof id === 'number' ? String(id) : textOf(id)));
  return texts.find(text => text !== null && /^\d{1,9}$/.test(text)) ?? null;
}

function dates(events: unknown[]) {
  const of = (action: string) =>
    events
      .filter(event => textOf(memberOf(event, 'eventAction'))?.toLowerCase() === action)
      .map(event => isoDate(textOf(memberOf(event, 'eventDate')) ?? ''))
      .filter(date => date !== null)
      .sort();
  return {
    created_date: of('registration')[0] ?? null,
    updated_date: of('last changed').at(-1) ?? null,
    expiry_date: of('expiration').at(-1) ?? of('registrar expiration').at(-1) ?? null,
  };
}

/** A name server's name; some servers send a text instead of an object, or an address after the name. */
function nameserverOf(server: unknown): string | null {
  const name = isObject(server)
    ? (textOf(memberOf(server, 'ldhName')) ?? textOf(memberOf(server, 'unicodeName')))
    : textOf(server);
  const host = hostOf(name?.split(' ')[0]);
  return host?.includes('.') ? host : null;
}

/** Whether the parent zone has DS records of the domain; `zoneSigned` is about the domain's own zone. */
function dnssecOf(secureDns: unknown): string | null {
  const signed = memberOf(secureDns, 'delegationSigned');
  if (signed === true || signed === 'true') return 'signedDelegation';
  if (signed === false || signed === 'false') return 'unsigned';
  const keys = [...listOf(memberOf(secureDns, 'dsData')), ...listOf(memberOf(secureDns, 'keyData'))];
  return keys.some(isObject) ? 'signedDelegation' : null;
}

/** Columns that the registrant's remarks declare withheld. A card must have a name (RFC 6350, section 6.2.1). */
function columnsOfRemarks(
  registrant: Entity | undefined,
  { registrant_name, registrant_email }: WhoisFacts,
): FactColumn[] {
  const hasRemark = (pattern: RegExp) =>
    listOf(memberOf(registrant?.value, 'remarks')).some(remark =>
      [memberOf(remark, 'type'), memberOf(remark, 'title')].some(text => pattern.test(textOf(text) ?? '')),
    );
  const columns: FactColumn[] = registrant_name === null && hasRemark(NAME_WITHHELD) ? ['registrant_name'] : [];
  return registrant_email === null && hasRemark(EMAIL_WITHHELD) ? [...columns, 'registrant_email'] : columns;
}

function hasRelation(link: unknown, relation: string): boolean {
  return listOf(memberOf(link, 'rel')).some(rel => textOf(rel)?.toLowerCase() === relation);
}

/** The URL of the registrar's answer: the first usable `related` link, if it is not this answer's own. */
function relatedUrl(links: unknown[]): string | null {
  const comparable = (url: string) => new URL(url).href.toLowerCase().replace(/\/$/, '');
  const selves = links.filter(link => hasRelation(link, 'self')).map(link => webUrl(memberOf(link, 'href')));
  const own = new Set(selves.filter(url => url !== null).map(comparable));
  for (const link of links.filter(each => hasRelation(each, 'related'))) {
    const url = webUrl(memberOf(link, 'href'));
    const type = textOf(memberOf(link, 'type'))?.toLowerCase() ?? null;
    if (url === null || own.has(comparable(url))) continue;
    const { pathname } = new URL(url);
    if (type === null ? /\/domain\//i.test(pathname) : /^application\/rdap\+json\b/.test(type)) return url;
  }
  return null;
}
