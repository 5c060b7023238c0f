import { addressParser } from 'postal-mime';
import type { JsonObject } from '../upstream/json.ts';
import { textOf } from './text.ts';

/** A longer field is cut: a list of a thousand people. */
const ADDRESSES_LENGTH_MAX = 100_000;

/**
 * The names of the authors. Where `author` is empty they are in `author_email`, as the tools of today write them, and there
 * a person without a name is given by the address.
 */
export function authorOf(info: JsonObject): string | null {
  const author = textOf(info.author)?.trim() ?? null;
  return author ?? (namesIn(textOf(info.author_email)).join(', ') || null);
}

/** The names, else the addresses, of the people in a list such as `"Doe, Jane" <jane@example.org>, joe@example.org`. */
function namesIn(list: string | null): string[] {
  if (list === null) return [];
  const people = addressParser(list.slice(0, ADDRESSES_LENGTH_MAX), { flatten: true });
  // Many hide their address, as `<jane at example dot org>`: the parser gives such a text as it is.
  return people.flatMap(({ name, address }) => textOf(name) ?? textOf(address) ?? []);
}
