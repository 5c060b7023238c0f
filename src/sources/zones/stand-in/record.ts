import { type Name, nameKey } from './names.ts';

/** Types of records by their mnemonic, with their numbers on the wire (IANA's registry of DNS parameters). */
export const TYPES = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  DNAME: 39,
  OPT: 41,
  DS: 43,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  CDS: 59,
  CDNSKEY: 60,
  SVCB: 64,
  HTTPS: 65,
  CAA: 257,
} as const;

/** A piece of a record's data: octets, one a character, or a name. Only a name with `compress` may become a pointer. */
export type Piece = string | { name: Name; compress: boolean };

/** One record. */
export interface DnsRecord {
  owner: Name;
  ttl: number;
  type: number;
  data: Piece[];
}

/** A number in so many octets, the highest first, one octet a character. */
export function octets(number: number, count: number): string {
  let text = '';
  for (let at = count - 1; at >= 0; at--) text += String.fromCharCode(Math.floor(number / 256 ** at) % 256);
  return text;
}

/** Octets of a name without compression. */
export function nameOctets(name: Name): string {
  return `${name.map(label => octets(label.length, 1) + label).join('')}\0`;
}

/** A record's data without compression. */
export function dataOctets(data: Piece[]): string {
  return data.map(piece => (typeof piece === 'string' ? piece : nameOctets(piece.name))).join('');
}

/** The mnemonic of a type, or `TYPE` and its number. */
export function typeName(type: number): string {
  return Object.entries(TYPES).find(([, number]) => number === type)?.[0] ?? `TYPE${type}`;
}

/** Whether a record is of an owner, and of a type. */
export function isOf(record: DnsRecord, owner: Name, type?: number): boolean {
  return (type === undefined || record.type === type) && nameKey(record.owner) === nameKey(owner);
}
