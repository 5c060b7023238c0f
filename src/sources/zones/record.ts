import { joinBytes } from '../../bytes.ts';
import { nameText, readName } from './name.ts';

/** Numbers of the types that are written under a name of their own. Any other is written as `TYPE<number>` (RFC 3597). */
export const TYPES = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  DNAME: 39,
  DS: 43,
  DNSKEY: 48,
  CAA: 257,
} as const;

/** HTTPS (RFC 9460). The codec knows it by its number only, and zone files have its data as octets. */
export const HTTPS = 65;

/** The one class of the internet. */
export const CLASS_IN = 1;

/** A record of class IN. */
export interface DnsRecord {
  /** Absolute name in lower case, as a zone file has it. */
  owner: string;
  type: number;
  /** Seconds. */
  ttl: number;
  /** The data in canonical form (RFC 4034, 6.2): names spelt out, in lower case. */
  data: Uint8Array;
}

const NAMES = new Map<number, string>(Object.entries(TYPES).map(([name, number]) => [number, name]));

/** The name of a type, as `MX` or `TYPE65`. */
export function typeName(type: number): string {
  return NAMES.get(type) ?? `TYPE${type}`;
}

/** The number of a type's name, in any case. Throws an Error for a text that is none. */
export function typeNumber(name: string): number {
  const known = TYPES[name.toUpperCase() as keyof typeof TYPES] as number | undefined;
  const number = known ?? Number(/^TYPE(\d{1,5})$/i.exec(name)?.[1]);
  if (!(number <= 0xffff)) throw new Error(`type of a record: expected its name or TYPE<number>, got "${name}"`);
  return number;
}

/**
 * Where names are in the data of a type: octets before the first name, names, octets after the last. Types without names
 * need no entry; names of later types are never compressed, nor put into lower case (RFC 3597, 4; RFC 6840, 5.1).
 */
const LAYOUTS = new Map<number, { before: number; names: number; after: number }>([
  [TYPES.NS, { before: 0, names: 1, after: 0 }],
  [TYPES.CNAME, { before: 0, names: 1, after: 0 }],
  [TYPES.PTR, { before: 0, names: 1, after: 0 }],
  [TYPES.DNAME, { before: 0, names: 1, after: 0 }],
  [TYPES.SOA, { before: 0, names: 2, after: 20 }],
  [TYPES.MX, { before: 2, names: 1, after: 0 }],
]);

/** The parts of data that has names: octets before, the names in wire form, octets after. Null for another type. */
export interface DataParts {
  before: Uint8Array;
  names: Uint8Array[];
  after: Uint8Array;
}

/** Splits the data at `start` to `end` of a message around its names. Throws an Error where it does not fit its type. */
export function partsOf(
  message: Uint8Array,
  { type, start, end }: { type: number; start: number; end: number },
): DataParts | null {
  const layout = LAYOUTS.get(type);
  if (!layout) return null;
  let at = start + layout.before;
  const names: Uint8Array[] = [];
  for (let count = 0; count < layout.names; count++) {
    const name = readName(message.subarray(0, end), at);
    names.push(name.wire);
    at = name.end;
  }
  if (end - at !== layout.after)
    throw new Error(`data of ${typeName(type)}: expected ${layout.after} octets after its names, got ${end - at}`);
  return { before: copyOf(message, start, start + layout.before), names, after: copyOf(message, at, end) };
}

/** A copy of octets, because `slice` of a Buffer is none. */
function copyOf(message: Uint8Array, start: number, end: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(message.subarray(start, end));
}

/** Canonical data out of a message. Throws an Error where it does not fit its type. */
export function canonicalData(
  message: Uint8Array,
  place: { type: number; start: number; end: number },
): Uint8Array<ArrayBuffer> {
  const parts = partsOf(message, place);
  if (!parts) return copyOf(message, place.start, place.end);
  return joinBytes([parts.before].concat(parts.names, parts.after));
}

/** The text of the name that a record's data consists of. */
export function nameOfData(data: Uint8Array, offset = 0): string {
  return nameText(readName(data, offset).wire);
}
