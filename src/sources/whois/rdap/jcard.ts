import { isRedacted } from '../facts.ts';
import { firstText, listOf, memberOf, textOf, webUrl } from '../values.ts';

/** The fields of a contact's card; a text in place of a withheld value stays as it is. */
export interface Contact {
  name: string | null;
  organization: string | null;
  /** The card is of an organization, so `name` is the organization's. */
  isOrganization: boolean;
  email: string | null;
  phone: string | null;
  url: string | null;
  city: string | null;
  state: string | null;
  country: string | null;
}

/** A property of a jCard: `[name, parameters, type, value, …]` (RFC 7095 §3.3). */
interface Property {
  name: string;
  parameters: unknown;
  values: unknown[];
}

/** Positions in a structured address (RFC 6350, section 6.3.1); RFC 9554 adds more after them. */
const ADDRESS_POSITIONS = { city: 3, state: 4, country: 6 };
const ADDRESS_LENGTH = 7;

/** Cards are lists of lists; deeper than the parts of an address nothing is read. */
const NESTING_MAX = 3;

const EMAIL = /^[^\s@<>()[\],;:"]+@[^\s@<>()[\],;:"]+$/;
const PHONE = /^\+?[\d ().\-/]+$/;
const HOST = /^([a-z0-9-]+\.)+[a-z]{2,}(\/\S*)?$/i;

/**
 * The contact of a `vcardArray`, in every shape that servers write; null for what is missing or malformed. Email, phone and
 * URL have their form, or are a text in place of a withheld value. An address with only a label is free text, of which
 * the country code in `cc` is read (RFC 8605).
 */
export function readJcard(vcardArray: unknown): Contact {
  const properties = propertiesOf(vcardArray);
  const named = (name: string) => properties.filter(property => property.name === name);
  const texts = (name: string) => named(name).flatMap(({ values }) => flatten(values));
  const phones = named('tel').filter(isVoice);
  const address = addressOf(named('adr'));
  return {
    name: firstText(texts('fn')) ?? structuredName(named('n')),
    // The name of a structured organization is first; its units follow.
    organization: firstText(texts('org')),
    isOrganization: /^org/i.test(firstText(texts('kind')) ?? ''),
    email: firstValid(texts('email'), emailOf),
    phone: firstValid(
      phones.flatMap(({ values }) => flatten(values)),
      phoneOf,
    ),
    url: firstValid(texts('url'), urlOf),
    ...address,
  };
}

function propertiesOf(vcardArray: unknown): Property[] {
  const rows = listOf(Array.isArray(vcardArray) ? vcardArray : []);
  const isProperty = (row: unknown): row is unknown[] => Array.isArray(row) && typeof row[0] === 'string';
  // `["vcard", [property, …]]`; some servers omit the word, or the list around the properties.
  const properties = rows.flatMap(row =>
    isProperty(row) ? [row] : listOf(Array.isArray(row) ? row : []).filter(isProperty),
  );
  return properties.map(([name, parameters, , ...values]) => ({
    name: String(name).toLowerCase(),
    parameters,
    values: listOf(values),
  }));
}

/** The items of nested lists that are no lists. */
function flatten(values: unknown[]): unknown[] {
  return listOf(values.flat(NESTING_MAX)).filter(value => !Array.isArray(value));
}

/** Parts of a name in spoken order: prefix, given, further, family, suffix. */
function structuredName(properties: Property[]): string | null {
  const [family, given, further, prefix, suffix] =
    properties
      .map(({ values }) => listOf(values[0]))
      .find(parts => parts.some(part => firstText(flatten([part])) !== null)) ?? [];
  const parts = [prefix, given, further, family, suffix].map(part => firstText(flatten([part])));
  return parts.filter(part => part !== null).join(' ') || null;
}

function isVoice({ parameters }: Property): boolean {
  const types = listOf(memberOf(parameters, 'type')).map(type => String(textOf(type)).toLowerCase());
  return types.includes('voice') || !types.some(type => /^(fax|pager|text|textphone|video)$/.test(type));
}

function addressOf(properties: Property[]): Pick<Contact, 'city' | 'state' | 'country'> {
  for (const { parameters, values } of properties) {
    // Some servers write the seven parts as seven values.
    const parts = Array.isArray(values[0]) ? values[0] : values;
    const isWhole = parts.length >= ADDRESS_LENGTH;
    const part = (position: number) => (isWhole ? firstText(flatten([parts[position]])) : null);
    const code = textOf(memberOf(parameters, 'cc'));
    const isCode = code !== null && (/^[a-z]{2}$/i.test(code) || isRedacted(code));
    const country = isCode ? code : part(ADDRESS_POSITIONS.country);
    const [city, state] = [part(ADDRESS_POSITIONS.city), part(ADDRESS_POSITIONS.state)];
    if ([city, state, country].every(given => given === null)) continue;
    return { city, state, country: country !== null && /^[a-z]{2}$/i.test(country) ? country.toUpperCase() : country };
  }
  return { city: null, state: null, country: null };
}

/** The first text that `read` accepts, else the first in place of a withheld value. */
function firstValid(values: unknown[], read: (text: string) => string | null): string | null {
  const texts = values.map(value => textOf(value)).filter(text => text !== null);
  for (const text of texts) {
    const value = isRedacted(text) ? null : read(text);
    if (value !== null) return value;
  }
  return texts.find(isRedacted) ?? null;
}

function emailOf(text: string): string | null {
  const address = text.replace(/^mailto:/i, '');
  return EMAIL.test(address) ? address : null;
}

/** A telephone number as sent, with `ext. 12` for an extension such as `;ext=12` or ` x12`. */
function phoneOf(text: string): string | null {
  const [, number = '', extension] =
    /^(.*?)(?:[;,]? ?(?:ext(?:ension)?|x)[.=:]? ?(\d{1,10}))?$/i.exec(
      text.replace(/^tel:/i, '').replace(/;(?!ext)[a-z-]+=[^;]*/gi, ''),
    ) ?? [];
  const digits = number.replace(/\D/g, '').length;
  if (!PHONE.test(number) || digits < 5 || digits > 20) return null;
  return extension === undefined ? number.trim() : `${number.trim()} ext. ${extension}`;
}

function urlOf(text: string): string | null {
  return webUrl(text) ?? (HOST.test(text) ? text : null);
}
