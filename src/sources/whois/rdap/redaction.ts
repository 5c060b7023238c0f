import { ABUSE_COLUMNS, type FactColumn, REGISTRANT_COLUMNS } from '../facts.ts';
import { listOf, memberOf, textOf } from '../values.ts';

const ADDRESS: FactColumn[] = ['registrant_country', 'registrant_state', 'registrant_city'];

/** Columns by name: names as in ICANN's response profile and the RFC's examples, letters only, in lower case. */
const NAME_COLUMNS: [RegExp, FactColumn[]][] = [
  [/^registrant(contact|entity|data|information|details)?$/, REGISTRANT_COLUMNS],
  [/^registrant(contact|full)?name$/, ['registrant_name']],
  [/^registrant(contact)?email(address)?$/, ['registrant_email']],
  [/^registrant(contact)?organi[sz]ation(name)?$/, ['registrant_organization']],
  [/^registrant(contact)?country(code|name)?$/, ['registrant_country']],
  [/^registrant(contact)?(state(or|and)?(province)?|province|region)$/, ['registrant_state']],
  [/^registrant(contact)?(city|locality)$/, ['registrant_city']],
  [/^registrant(contact)?(postal)?address$/, ADDRESS],
  [/^(registrar)?abuse(contact)?$/, ABUSE_COLUMNS],
  [/^(registrar)?abuse(contact)?email(address)?$/, ['registrar_abuse_email']],
  [/^(registrar)?abuse(contact)?(tele)?phone(number)?$/, ['registrar_abuse_phone']],
];

/** Columns by path, for the members of a domain object that are no contacts. */
const MEMBER_COLUMNS: [RegExp, FactColumn[]][] = [
  [/^\$\.nameservers(\[\*\])?(\.ldhName)?$/, ['nameservers']],
  [/^\$\.status(\[\*\])?$/, ['status_codes']],
  [/^\$\.secureDNS(\.delegationSigned)?$/, ['dnssec']],
  [/^\$\.events\[.*['"]registration['"].*\](\.eventDate)?$/, ['created_date']],
  [/^\$\.events\[.*['"]last changed['"].*\](\.eventDate)?$/, ['updated_date']],
  [/^\$\.events\[.*['"](registrar )?expiration['"].*\](\.eventDate)?$/, ['expiry_date']],
];

/** Columns by property of a registrant's card. */
const CARD_COLUMNS = new Map<string, FactColumn[]>([
  ['fn', ['registrant_name']],
  ['n', ['registrant_name']],
  ['email', ['registrant_email']],
  ['org', ['registrant_organization']],
  ['adr', ADDRESS],
]);

const ABUSE_CARD_COLUMNS = new Map<string, FactColumn[]>([
  ['email', ['registrar_abuse_email']],
  ['tel', ['registrar_abuse_phone']],
]);

/** Columns by position in a structured address; street and postal code have none. */
const ADDRESS_PART_COLUMNS = new Map<string, FactColumn[]>([
  ['3', ['registrant_city']],
  ['4', ['registrant_state']],
  ['6', ['registrant_country']],
]);

/** Far longer than any path to one member. */
const PATH_LENGTH_MAX = 400;

/**
 * The columns that a domain object declares redacted (RFC 9537), by any method, because a partial or replaced value is not
 * the registrant's either. This does not evaluate JSONPath: it knows the forms of path that servers write (an entity by
 * its quoted role, a card's property by its name, an address's part by its position). The redaction's name counts when it
 * means one column, or when no path has such a form. A path of plain numbers points into the document before redaction,
 * which only the server has.
 */
export function redactedColumns(redacted: unknown): FactColumn[] {
  return listOf(redacted).flatMap(redaction => {
    const byName = columnsOfName(memberOf(redaction, 'name'));
    const byPath = ['postPath', 'prePath', 'replacementPath']
      .map(member => columnsOfPath(memberOf(redaction, member)))
      .find(columns => columns !== null);
    if (byPath === undefined) return byName;
    // Some servers write one path for all redactions of the registrant, and name each of its members.
    return byName.length === 1 ? [...byPath, ...byName] : byPath;
  });
}

/** Columns of a redaction's name: `{ type }` when IANA registers it, else `{ description }`; both have the same words. */
function columnsOfName(name: unknown): FactColumn[] {
  for (const text of [memberOf(name, 'type'), memberOf(name, 'description'), name]) {
    const words =
      textOf(text)
        ?.toLowerCase()
        .replace(/[^a-z]/g, '') ?? '';
    const known = NAME_COLUMNS.find(([pattern]) => pattern.test(words));
    if (known) return known[1];
  }
  return [];
}

/** Columns of a path, none when it points elsewhere; null when its form is unknown. */
function columnsOfPath(given: unknown): FactColumn[] | null {
  const text = textOf(given);
  if (text === null || text.length > PATH_LENGTH_MAX) return null;
  // `$['entities']` is `$.entities`.
  const path = text.replace(/\[(['"])(\w+)\1\]/g, '.$2');
  const member = MEMBER_COLUMNS.find(([pattern]) => pattern.test(path));
  if (member) return member[1];
  const role = [...path.matchAll(/['"](\w+)['"] in @\.roles|\broles\b[^'"]*['"](\w+)['"]/g)].at(-1);
  if (role === undefined) return null;
  const rest = path.slice(role.index + role[0].length);
  return columnsOfContact((role[1] ?? role[2] ?? '').toLowerCase(), rest);
}

/** Columns of a path to a contact; `rest` is the path after the role: `)].vcardArray[1][?(@[0]=='adr')][3][3]`. */
function columnsOfContact(role: string, rest: string): FactColumn[] | null {
  if (role !== 'registrant' && role !== 'abuse') return [];
  const property = /@\[0\] ?={2,3} ?['"]([\w-]+)['"]/.exec(rest)?.[1]?.toLowerCase();
  if (property === undefined) {
    if (/^[)\]\s]*(\.vcardArray(\[1\]|\[\*\])?)?$/.test(rest))
      return role === 'abuse' ? ABUSE_COLUMNS : REGISTRANT_COLUMNS;
    // A property by number or by a parameter: null, so that the name decides.
    return /\.vcardArray/.test(rest) ? null : [];
  }
  if (role === 'abuse') return ABUSE_CARD_COLUMNS.get(property) ?? [];
  if (property !== 'adr') return CARD_COLUMNS.get(property) ?? [];
  if (/\[1\]\.cc$/.test(rest)) return ['registrant_country'];
  const part = /\]\[3\]\[([^\]]+)\]$/.exec(rest)?.[1];
  return part === undefined || part === '*' ? ADDRESS : (ADDRESS_PART_COLUMNS.get(part) ?? []);
}
