import { addressParser } from 'postal-mime';
import type { JsonObject } from '../upstream/json.ts';
import { textOf } from './text.ts';

/** A longer field is cut: a list of a thousand people. */
const ADDRESSES_LENGTH_MAX = 100_000;

interface Person {
  name: string | null;
  address: string | null;
}

/**
 * The authors as one text: names, each followed by `<address>` where one is given. Where `author` is empty, the names are
 * in `author_email`, as the tools of today write them.
 */
export function authorOf(info: JsonObject): string | null {
  const author = textOf(info.author)?.trim() ?? null;
  const people = peopleIn(textOf(info.author_email));
  if (author === null) return people.map(personText).join(', ') || null;
  const addresses = people.flatMap(({ address }) => (address === null ? [] : [`<${address}>`]));
  return addresses.length === 0 ? author : `${author} ${addresses.join(', ')}`;
}

/** The people in a list such as `"Doe, Jane" <jane@example.org>, joe@example.org`. */
function peopleIn(list: string | null): Person[] {
  if (list === null) return [];
  return addressParser(list.slice(0, ADDRESSES_LENGTH_MAX), { flatten: true }).flatMap(({ name, address }) => {
    const person = { name: textOf(name), address: isAddress(address) ? address : null };
    // The parser takes text without an address for the address where the text stands in brackets.
    const text = person.address === null ? (person.name ?? textOf(address)) : person.name;
    return text === null && person.address === null ? [] : [{ ...person, name: text }];
  });
}

function personText({ name, address }: Person): string {
  return [name, address && `<${address}>`].filter(part => part !== null).join(' ');
}

/** Many hide their address, as `jane at example dot org`: such a text is none. */
function isAddress(text: string | undefined): text is string {
  return text !== undefined && /^[^\s@<>]+@[^\s@<>]+$/.test(text);
}
