import { isIPv4, isIPv6 } from 'node:net';
import { type Name, readName, unescaped } from './names.ts';
import { octets, type Piece, TYPES } from './record.ts';

/** One word of a line; `quoted` ones stood between quotation marks, which are not part of `text`. Escapes are kept. */
export interface Word {
  text: string;
  quoted: boolean;
}

/** Octets of one character string (RFC 1035, section 3.3). */
const STRING_OCTETS_MAX = 255;

/** Keys of the parameters of HTTPS and SVCB records (RFC 9460, section 14.3.2). */
const PARAMETERS = ['mandatory', 'alpn', 'no-default-alpn', 'port', 'ipv4hint', 'ech', 'ipv6hint', 'dohpath'];

/** A kind of field: reads one word. */
type Field = (text: string, origin: Name) => Piece;

const number =
  (count: number): Field =>
  text => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value >= 256 ** count)
      throw new Error(`zone text: expected a number of ${count} octets, got ${text}`);
    return octets(value, count);
  };
const named =
  (compress: boolean): Field =>
  (text, origin) => ({ name: readName(text, origin), compress });
const string: Field = text => {
  const value = unescaped(text);
  if (value.length > STRING_OCTETS_MAX)
    throw new Error(`zone text: expected a string of at most ${STRING_OCTETS_MAX} octets, got ${value.length}`);
  return octets(value.length, 1) + value;
};
/** A string without its length before it. */
const bare: Field = text => unescaped(text);
const hex: Field = text => {
  if (!/^([\da-f]{2})*$/i.test(text)) throw new Error(`zone text: expected pairs of hexadecimal digits, got ${text}`);
  return Buffer.from(text, 'hex').toString('latin1');
};
const base64: Field = text => Buffer.from(text, 'base64').toString('latin1');

/** Fields by type, in their order. With `rest` the last field takes all words left, as one without blanks. */
const FIELDS: Partial<Record<number, { fields: Field[]; rest?: boolean }>> = {
  [TYPES.A]: { fields: [readIpv4] },
  [TYPES.AAAA]: { fields: [readIpv6] },
  [TYPES.NS]: { fields: [named(true)] },
  [TYPES.CNAME]: { fields: [named(true)] },
  [TYPES.PTR]: { fields: [named(true)] },
  [TYPES.DNAME]: { fields: [named(false)] },
  [TYPES.SOA]: { fields: [named(true), named(true), number(4), number(4), number(4), number(4), number(4)] },
  [TYPES.MX]: { fields: [number(2), named(true)] },
  [TYPES.SRV]: { fields: [number(2), number(2), number(2), named(false)] },
  [TYPES.CAA]: { fields: [number(1), string, bare] },
  [TYPES.DS]: { fields: [number(2), number(1), number(1), hex], rest: true },
  [TYPES.CDS]: { fields: [number(2), number(1), number(1), hex], rest: true },
  [TYPES.DNSKEY]: { fields: [number(2), number(1), number(1), base64], rest: true },
  [TYPES.CDNSKEY]: { fields: [number(2), number(1), number(1), base64], rest: true },
};

/** Reads the data of a record of a type, in the type's own form or in that of RFC 3597: `\# 2 0a0b`. */
export function readData(type: number, words: Word[], origin: Name): Piece[] {
  if (words[0]?.text === '\\#' && !words[0].quoted) return readUnknown(words.slice(1));
  if (type === TYPES.TXT) return readTexts(words, origin);
  if (type === TYPES.HTTPS || type === TYPES.SVCB) return readService(words, origin);
  const form = FIELDS[type];
  if (!form) throw new Error(`zone text: expected \\# and octets for type ${type}, got ${words[0]?.text}`);
  const { fields, rest = false } = form;
  const texts = words.map(({ text }) => text);
  if (rest) texts.push(texts.splice(fields.length - 1).join(''));
  if (texts.length !== fields.length)
    throw new Error(`zone text: expected ${fields.length} fields for type ${type}, got ${texts.length}`);
  return fields.map((field, index) => field(texts[index]!, origin));
}

function readUnknown([length, ...words]: Word[]): Piece[] {
  const data = hex(words.map(({ text }) => text).join(''), []) as string;
  if (Number(length?.text) !== data.length)
    throw new Error(`zone text: expected ${length?.text} octets after \\#, got ${data.length}`);
  return [data];
}

function readTexts(words: Word[], origin: Name): Piece[] {
  if (words.length === 0) throw new Error('zone text: expected at least one string, got none');
  return words.map(({ text }) => string(text, origin));
}

function readIpv4(text: string): string {
  if (!isIPv4(text)) throw new Error(`zone text: expected an IPv4 address, got ${text}`);
  return String.fromCharCode(...text.split('.').map(Number));
}

/** Sixteen octets of an address in any form: a part after `::` is filled up, an IPv4 address may be the last one. */
function readIpv6(text: string): string {
  if (!isIPv6(text) || text.includes('%')) throw new Error(`zone text: expected an IPv6 address, got ${text}`);
  const pure = text.replace(/[\d.]+\.[\d.]+$/, ipv4 => {
    const [a = 0, b = 0, c = 0, d = 0] = ipv4.split('.').map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [before = '', after = null] = pure.split('::');
  const groups = (part: string | null) => (part ? part.split(':') : []);
  const zeros = after === null ? 0 : 8 - groups(before).length - groups(after).length;
  const all = [...groups(before), ...Array<string>(zeros).fill('0'), ...groups(after)];
  return all.map(group => octets(Number.parseInt(group, 16), 2)).join('');
}

/** Priority, target and parameters (RFC 9460, section 2.1), which go in the order of their keys. */
function readService([priority, target, ...parameters]: Word[], origin: Name): Piece[] {
  if (!priority || !target) throw new Error('zone text: expected a priority and a target, got less');
  const read = parameters.map(({ text }) => {
    const [key = '', value = ''] = text.split(/=(.*)/s, 2);
    return { key: parameterKey(key), value: parameterValue(key, value.replace(/^"(.*)"$/s, '$1')) };
  });
  read.sort((one, other) => one.key - other.key);
  const encoded = read.map(({ key, value }) => octets(key, 2) + octets(value.length, 2) + value);
  return [number(2)(priority.text, []), { name: readName(target.text, origin), compress: false }, ...encoded];
}

function parameterKey(name: string): number {
  const key = /^key(\d+)$/.exec(name)?.[1] ?? PARAMETERS.indexOf(name);
  if (Number(key) < 0) throw new Error(`zone text: expected a parameter of HTTPS, got ${name}`);
  return Number(key);
}

function parameterValue(key: string, value: string): string {
  const list = value.split(',');
  switch (key) {
    case 'mandatory':
      return list
        .map(parameterKey)
        .sort((a, b) => a - b)
        .map(one => octets(one, 2))
        .join('');
    case 'alpn':
      return list.map(one => octets(one.length, 1) + one).join('');
    case 'port':
      return octets(Number(value), 2);
    case 'ipv4hint':
      return list.map(readIpv4).join('');
    case 'ipv6hint':
      return list.map(readIpv6).join('');
    case 'ech':
      return base64(value, []) as string;
    default:
      return unescaped(value);
  }
}
