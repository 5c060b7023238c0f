/**
 * A domain name: its labels from left to right, without the root's empty one. Each character of a label is one octet
 * (0 to 255), so a label may hold a dot, a zero or bytes that are no UTF-8.
 */
export type Name = readonly string[];

/** Octets of one label, and of a name on the wire (RFC 1035, section 2.3.4). */
const LABEL_OCTETS_MAX = 63;
const NAME_OCTETS_MAX = 255;

/** What RFC 1035 escapes in a name with a backslash alone; octets that are not printable are `\DDD`. */
const ESCAPED = /[.;()@$"\\ ]/;

/**
 * Octets of a text that escapes as in RFC 1035, section 5.1: `\DDD` is a decimal octet, `\X` is X. `onDot` is called for
 * each dot that is not escaped; without it a dot is an octet like others.
 */
export function unescaped(text: string, onDot?: (before: string) => void): string {
  let octets = '';
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === '.' && onDot) {
      onDot(octets);
      octets = '';
    } else if (character !== '\\') {
      octets += checkOctet(character);
    } else if (/^\d{3}$/.test(text.slice(at + 1, at + 4))) {
      octets += checkOctet(String.fromCharCode(Number(text.slice(at + 1, at + 4))));
      at += 3;
    } else if (at + 1 < text.length && !/\d/.test(text[at + 1]!)) {
      octets += checkOctet(text[at + 1]!);
      at += 1;
    } else {
      throw new Error(`zone text: expected \\DDD or \\ and a character, got ${text.slice(at, at + 4)}`);
    }
  }
  return octets;
}

function checkOctet(character: string): string {
  if (character.charCodeAt(0) > 255) throw new Error(`zone text: expected octets, got ${JSON.stringify(character)}`);
  return character;
}

/** Reads a name. `@` is the origin; a name without a last dot is below the origin. */
export function readName(text: string, origin: Name): Name {
  if (text === '@') return origin;
  if (text === '.') return [];
  const labels: string[] = [];
  const rest = unescaped(text, label => void labels.push(label));
  const name = rest === '' ? labels : [...labels, rest, ...origin];
  if (name.some(label => label === '' || label.length > LABEL_OCTETS_MAX))
    throw new Error(`zone text: expected labels of 1 to ${LABEL_OCTETS_MAX} octets, got ${text}`);
  if (octetsOf(name) > NAME_OCTETS_MAX)
    throw new Error(`zone text: expected a name of at most ${NAME_OCTETS_MAX} octets, got ${octetsOf(name)}`);
  return name;
}

/** A name as text, with its last dot. */
export function nameText(name: Name): string {
  return name.length === 0 ? '.' : name.map(label => `${labelText(label)}.`).join('');
}

function labelText(label: string): string {
  return Array.from(label, character => {
    if (ESCAPED.test(character)) return `\\${character}`;
    return /[!-~]/.test(character) ? character : `\\${String(character.charCodeAt(0)).padStart(3, '0')}`;
  }).join('');
}

/** Octets of a name on the wire without compression, with the root's label. */
function octetsOf(name: Name): number {
  return name.reduce((sum, label) => sum + label.length + 1, 1);
}

/** A name with its ASCII letters in lower case. */
export function lowerName(name: Name): Name {
  return name.map(label => label.replace(/[A-Z]/g, letter => letter.toLowerCase()));
}

/** A text that two names share when they are equal, whatever the case of their letters. */
export function nameKey(name: Name): string {
  return nameText(lowerName(name));
}

/** Whether a name is `ancestor` or below it. */
export function isWithin(name: Name, ancestor: Name): boolean {
  return name.length >= ancestor.length && nameKey(name.slice(name.length - ancestor.length)) === nameKey(ancestor);
}
