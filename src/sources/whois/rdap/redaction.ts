import type { WhoisFacts } from '../facts.ts';
import { listOf, own, textOf } from '../values.ts';

export type FactColumn = keyof WhoisFacts;

const REGISTRANT: FactColumn[] = [
  'registrant_name',
  'registrant_email',
  'registrant_organization',
  'registrant_country',
  'registrant_state',
  'registrant_city',
];
const ADDRESS: FactColumn[] = ['registrant_country', 'registrant_state', 'registrant_city'];
const ABUSE: FactColumn[] = ['registrar_abuse_email', 'registrar_abuse_phone'];

/** Names as ICANN's response profile and the RFC's examples write them, without spaces and signs. */
const NAMES: [RegExp, FactColumn[]][] = [
  [/^registrant(contact|entity|data|information|details)?$/, REGISTRANT],
  [/^registrant(contact|full)?name$/, ['registrant_name']],
  [/^registrant(contact)?email(address)?$/, ['registrant_email']],
  [/^registrant(contact)?organi[sz]ation(name)?$/, ['registrant_organization']],
  [/^registrant(contact)?country(code|name)?$/, ['registrant_country']],
  [/^registrant(contact)?(state(or|and)?(province)?|province|region)$/, ['registrant_state']],
  [/^registrant(contact)?(city|locality)$/, ['registrant_city']],
  [/^registrant(contact)?(postal)?address$/, ADDRESS],
  [/^(registrar)?abuse(contact)?$/, ABUSE],
  [/^(registrar)?abuse(contact)?email(address)?$/, ['registrar_abuse_email']],
  [/^(registrar)?abuse(contact)?(tele)?phone(number)?$/, ['registrar_abuse_phone']],
];

/** Paths to what a domain object has beside its contacts. */
const MEMBERS: [RegExp, FactColumn[]][] = [
  [/^\$\.nameservers(\[\*\])?(\.ldhName)?$/, ['nameservers']],
  [/^\$\.status(\[\*\])?$/, ['status_codes']],
  [/^\$\.secureDNS(\.delegationSigned)?$/, ['dnssec']],
  [/^\$\.events\[.*['"]registration['"].*\](\.eventDate)?$/, ['created_date']],
  [/^\$\.events\[.*['"]last changed['"].*\](\.eventDate)?$/, ['updated_date']],
  [/^\$\.events\[.*['"](registrar )?expiration['"].*\](\.eventDate)?$/, ['expiry_date']],
];

/** Properties of a registrant's card. */
const CARD = new Map<string, FactColumn[]>([
  ['fn', ['registrant_name']],
  ['n', ['registrant_name']],
  ['email', ['registrant_email']],
  ['org', ['registrant_organization']],
  ['adr', ADDRESS],
]);

/** Places in a structured address; others (street, postal code) have no column. */
const ADDRESS_PARTS = new Map<string, FactColumn[]>([
  ['3', ['registrant_city']],
  ['4', ['registrant_state']],
  ['6', ['registrant_country']],
]);

/** No path that means one thing is longer. */
const PATH_LENGTH_MAX = 400;

/**
 * The columns that a domain object says are redacted (RFC 9537), by whatever method: what a partial or a replaced value
 * says is not the registrant's either. This is no JSONPath: a path counts where it has one of the shapes servers
 * write (an entity by a role in quotes, a card's property by its name, an address's part by its place), a name where it
 * means one column, or where there is no such path. Paths by plain numbers lead into the document before it was
 * redacted, which nobody has here.
 */
export function redactedColumns(redacted: unknown): FactColumn[] {
  return listOf(redacted).flatMap(redaction => {
    const byName = columnsOfName(own(redaction, 'name'));
    const byPath = ['postPath', 'prePath', 'replacementPath']
      .map(member => columnsOfPath(own(redaction, member)))
      .find(columns => columns !== null);
    if (byPath === undefined) return byName;
    // Some servers write one path for all they redact, and "Registrant" for each part of it.
    return byName.length === 1 ? [...byPath, ...byName] : byPath;
  });
}

/** Columns of the name: `{ type }` when it is registered, else `{ description }`; both hold the same words. */
function columnsOfName(name: unknown): FactColumn[] {
  for (const text of [own(name, 'type'), own(name, 'description'), name]) {
    const words =
      textOf(text)
        ?.toLowerCase()
        .replace(/[^a-z]/g, '') ?? '';
    const known = NAMES.find(([pattern]) => pattern.test(words));
    if (known) return known[1];
  }
  return [];
}

/** Columns of a path, none when it leads to something else; null when it has none of the shapes. */
function columnsOfPath(given: unknown): FactColumn[] | null {
  const text = textOf(given);
  if (text === null || text.length > PATH_LENGTH_MAX) return null;
  // `$['entities']` and `$.entities` are the same.
  const path = text.replace(/\[(['"])(\w+)\1\]/g, '.$2');
  const member = MEMBERS.find(([pattern]) => pattern.test(path));
  if (member) return member[1];
  const role = [...path.matchAll(/['"](\w+)['"] in @\.roles|\broles\b[^'"]*['"](\w+)['"]/g)].at(-1);
  if (role === undefined) return null;
  const rest = path.slice(role.index + role[0].length);
  return columnsOfContact((role[1] ?? role[2] ?? '').toLowerCase(), rest);
}

/** Columns of a contact's redaction; `rest` is the path behind the role: `)].vcardArray[1][?(@[0]=='adr')][3][3]`. */
function columnsOfContact(role: string, rest: string): FactColumn[] | null {
  if (role !== 'registrant' && role !== 'abuse') return [];
  const property = /@\[0\] ?={2,3} ?['"]([\w-]+)['"]/.exec(rest)?.[1]?.toLowerCase();
  if (property === undefined) {
    if (/^[)\]\s]*(\.vcardArray(\[1\]|\[\*\])?)?$/.test(rest)) return role === 'abuse' ? ABUSE : REGISTRANT;
    // A property by its number, or by a parameter: the name has to tell.
    return /\.vcardArray/.test(rest) ? null : [];
  }
  if (role === 'abuse') return ABUSE.filter(column => column === { email: ABUSE[0], tel: ABUSE[1] }[property]);
  if (property !== 'adr') return CARD.get(property) ?? [];
  if (/\[1\]\.cc$/.test(rest)) return ['registrant_country'];
  const part = /\]\[3\]\[([^\]]+)\]$/.exec(rest)?.[1];
  return part === undefined || part === '*' ? ADDRESS : (ADDRESS_PARTS.get(part) ?? []);
}
