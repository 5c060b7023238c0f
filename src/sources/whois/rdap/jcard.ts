import { isRedacted } from '../facts.ts';
import { firstText, listOf, own, textOf, webUrl } from '../values.ts';

/** What a contact's card says; a text that stands for a withheld value is given as it is. */
export interface Contact {
  name: string | null;
  organization: string | null;
  /** The card is that of an organization, whose name then is its name. */
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

/** Places in a structured address (RFC 6350 §6.3.1); cards of RFC 9554 have more behind them. */
const ADDRESS = { city: 3, state: 4, country: 6 };
const ADDRESS_LENGTH = 7;

/** Cards are lists of lists; those that are nested deeper than an address's parts say nothing. */
const NESTING_MAX = 3;

const EMAIL = /^[^\s@<>()[\],;:"]+@[^\s@<>()[\],;:"]+$/;
const PHONE = /^\+?[\d ().\-/]+$/;
const HOST = /^([a-z0-9-]+\.)+[a-z]{2,}(\/\S*)?$/i;

/**
 * The contact a `vcardArray` describes, in all the shapes servers give it; what is missing or odd is null. Email, phone
 * and URL are values of that form, or a text that says they are withheld. An address given as a label only is free text:
 * of it the country code in `cc` is read, if there is one (RFC 8605).
 */
export function readJcard(vcardArray: unknown): Contact {
  const properties = propertiesOf(vcardArray);
  const named = (name: string) => properties.filter(property => property.name === name);
  const texts = (name: string) => named(name).flatMap(({ values }) => flat(values));
  const phones = named('tel').filter(isVoice);
  const address = addressOf(named('adr'));
  return {
    name: firstText(texts('fn')) ?? structuredName(named('n')),
    // A structured organization begins with its name; its units follow.
    organization: firstText(texts('org')),
    isOrganization: /^org/i.test(firstText(texts('kind')) ?? ''),
    email: chosen(texts('email'), emailOf),
    phone: chosen(
      phones.flatMap(({ values }) => flat(values)),
      phoneOf,
    ),
    url: chosen(texts('url'), urlOf),
    ...address,
  };
}

function propertiesOf(vcardArray: unknown): Property[] {
  const rows = listOf(Array.isArray(vcardArray) ? vcardArray : []);
  const isProperty = (row: unknown): row is unknown[] => Array.isArray(row) && typeof row[0] === 'string';
  // `["vcard", [property, …]]`; some servers leave the word out, or the list around the properties.
  const properties = rows.flatMap(row =>
    isProperty(row) ? [row] : listOf(Array.isArray(row) ? row : []).filter(isProperty),
  );
  return properties.map(([name, parameters, , ...values]) => ({
    name: String(name).toLowerCase(),
    parameters,
    values: listOf(values),
  }));
}

/** All that is no list in a value that may be one. */
function flat(values: unknown[]): unknown[] {
  return listOf(values.flat(NESTING_MAX)).filter(value => !Array.isArray(value));
}

/** Parts of a name in the order they are spoken: prefix, given, further, family, suffix. */
function structuredName(properties: Property[]): string | null {
  const [family, given, further, prefix, suffix] =
    properties
      .map(({ values }) => listOf(values[0]))
      .find(parts => parts.some(part => firstText(flat([part])) !== null)) ?? [];
  const parts = [prefix, given, further, family, suffix].map(part => firstText(flat([part])));
  return parts.filter(part => part !== null).join(' ') || null;
}

function isVoice({ parameters }: Property): boolean {
  const types = listOf(own(parameters, 'type')).map(type => String(textOf(type)).toLowerCase());
  return types.includes('voice') || !types.some(type => /^(fax|pager|text|textphone|video)$/.test(type));
}

function addressOf(properties: Property[]): Pick<Contact, 'city' | 'state' | 'country'> {
  for (const { parameters, values } of properties) {
    // A few servers write the seven parts as seven values.
    const parts = Array.isArray(values[0]) ? values[0] : values;
    const isWhole = parts.length >= ADDRESS_LENGTH;
    const part = (place: number) => (isWhole ? firstText(flat([parts[place]])) : null);
    const code = textOf(own(parameters, 'cc'));
    const isCode = code !== null && (/^[a-z]{2}$/i.test(code) || isRedacted(code));
    const country = isCode ? code : part(ADDRESS.country);
    const [city, state] = [part(ADDRESS.city), part(ADDRESS.state)];
    if ([city, state, country].every(given => given === null)) continue;
    return { city, state, country: country !== null && /^[a-z]{2}$/i.test(country) ? country.toUpperCase() : country };
  }
  return { city: null, state: null, country: null };
}

/** The first value that has its form, else the first that says it is withheld. */
function chosen(values: unknown[], read: (text: string) => string | null): string | null {
  const texts = values.map(textOf).filter(text => text !== null);
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

/** A telephone number as given, its extension as `ext. 12`: `tel:+1.2025550100;ext=12`, `+1 202 555 0100 x12`. */
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
