import { isObject } from '../upstream/json.ts';

/** Far longer than any name, address or URL of a contact; what is longer is none. */
const TEXT_LENGTH_MAX = 1000;

/** Far more than any registration has of one thing. What comes after is not read. */
const LIST_LENGTH_MAX = 500;

/** What people and servers write where there is nothing to write. */
const NOTHING = /^(-+|\.+|n\/?a|null|none|not (available|applicable))$/i;

const LABEL = /^[\p{L}\p{N}_]([\p{L}\p{M}\p{N}_-]{0,61}[\p{L}\p{M}\p{N}_])?$/u;

/** A member of an object; keys are an upstream's, so what a prototype has is not the document's. */
export function own(value: unknown, key: string): unknown {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** The items of a list; a value that should have been one stands for a list of itself, and nothing for an empty one. */
export function listOf(value: unknown): unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value.slice(0, LIST_LENGTH_MAX) : [value];
}

/** One line of text that says something, as any file can hold it (half a surrogate pair has no UTF-8); else null. */
export function textOf(value: unknown): string | null {
  if (typeof value !== 'string' || value.length > TEXT_LENGTH_MAX) return null;
  const text = value.replace(/[\p{Cc}\s]+/gu, ' ').trim();
  return text === '' || NOTHING.test(text) ? null : text.toWellFormed();
}

/** The first of some values that is text, null where none is. */
export function firstText(values: unknown[]): string | null {
  for (const value of values) {
    const text = textOf(value);
    if (text !== null) return text;
  }
  return null;
}

/** A host's or domain's name in lower case, as A-labels, without the last dot; null when it is no name. */
export function hostOf(value: unknown): string | null {
  const name = textOf(value)?.toLowerCase().replace(/\.$/, '') ?? '';
  if (name.length > 253 || !name.split('.').every(label => LABEL.test(label))) return null;
  // All digits would be read as an address.
  if (/^[\0-\x7f]*$/.test(name)) return /[^\d.]/.test(name) ? name : null;
  return URL.canParse(`http://${name}`) ? new URL(`http://${name}`).hostname : null;
}

/** An address of the web, as given; null for anything else, and for one that carries a login. */
export function webUrl(value: unknown): string | null {
  const text = textOf(value);
  if (text === null || !/^https?:\/\/\S+$/i.test(text) || !URL.canParse(text)) return null;
  const { username, password } = new URL(text);
  return username === '' && password === '' ? text : null;
}
