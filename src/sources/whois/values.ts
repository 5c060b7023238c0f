import { NAME_LENGTH_MAX, toAscii } from '../names/domain.ts';
import { isObject } from '../upstream/json.ts';

/** Far longer than any name, address or URL of a contact; a longer text is no value. */
const TEXT_LENGTH_MAX = 1000;

/** Far more than any registration has of one thing; the rest is not read. */
const LIST_LENGTH_MAX = 500;

/** Texts that people and servers write for "no value". */
const NO_VALUE = /^(-+|\.+|n\/?a|null|none|not (available|applicable))$/i;

const LABEL = /^[\p{L}\p{N}_]([\p{L}\p{M}\p{N}_-]{0,61}[\p{L}\p{M}\p{N}_])?$/u;

/** An object's own member, because an upstream may send the name of a prototype's member. */
export function memberOf(value: unknown, key: string): unknown {
  return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

/** The items of a list; a value that is no list is its only item, and null or undefined is an empty list. */
export function listOf(value: unknown): unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value.slice(0, LIST_LENGTH_MAX) : [value];
}

/** A text on one line and in well-formed Unicode; null when it is empty, too long, no text, or matches `noValue`. */
export function textOf(value: unknown, noValue = NO_VALUE): string | null {
  if (typeof value !== 'string' || value.length > TEXT_LENGTH_MAX) return null;
  const text = value.replace(/[\p{Cc}\s]+/gu, ' ').trim();
  return text === '' || noValue.test(text) ? null : text.toWellFormed();
}

/** The first value that is a text; null if none is. */
export function firstText(values: unknown[]): string | null {
  for (const value of values) {
    const text = textOf(value);
    if (text !== null) return text;
  }
  return null;
}

/** Texts as one column holds them: each once, sorted, separated by commas; null for none. */
export function joined(texts: Iterable<string>): string | null {
  return [...new Set(texts)].sort().join(',') || null;
}

/** A host's or domain's name as A-labels in lower case, without the last dot; null when it is no name. */
export function hostOf(value: unknown): string | null {
  const name = textOf(value)?.toLowerCase().replace(/\.$/, '') ?? '';
  if (name.length > NAME_LENGTH_MAX || !name.split('.').every(label => LABEL.test(label))) return null;
  const host = /^\p{ASCII}*$/u.test(name) ? name : toAscii(name);
  // A name of digits only is an address.
  return host !== null && /[^\d.]/.test(host) ? host : null;
}

/** An address of the web as it was sent; null for anything else, and for one with a login. */
export function webUrl(value: unknown): string | null {
  const text = textOf(value);
  if (text === null || !/^https?:\/\/\S+$/i.test(text) || !URL.canParse(text)) return null;
  const { username, password } = new URL(text);
  return username === '' && password === '' ? text : null;
}
