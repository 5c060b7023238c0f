import { createHash } from 'node:crypto';
import { type Name, nameKey } from './names.ts';
import { type DnsRecord, dataOctets, isOf, nameOctets, octets, TYPES } from './record.ts';

/** ECDSA P-256 with SHA-256, the algorithm of most zones. Its signatures have 64 octets. */
const ALGORITHM = 13;

/** A signature counts from a day before it is made to this many seconds after. */
const VALID_SECONDS = 14 * 86_400;
const DAY_SECONDS = 86_400;

/** Records of one owner and type, which one signature covers. */
export function recordSets(records: DnsRecord[]): DnsRecord[][] {
  return [...Map.groupBy(records, ({ owner, type }) => `${type} ${nameKey(owner)}`).values()];
}

/**
 * The RRSIG record of a set (RFC 4034, section 3). Its form is right and its signature is invented, since the stand-in
 * is the resolver that would have checked it. `ttl` is the zone's own, `set` may have what is left of it.
 */
export function signatureOf(set: DnsRecord[], { signer, ttl, nowSeconds }: SignatureFacts): DnsRecord {
  const [first] = set as [DnsRecord];
  const labels = first.owner.length - (first.owner[0] === '*' ? 1 : 0);
  const times = octets(nowSeconds + VALID_SECONDS, 4) + octets(nowSeconds - DAY_SECONDS, 4);
  const facts = octets(first.type, 2) + octets(ALGORITHM, 1) + octets(labels, 1) + octets(ttl, 4) + times;
  const signed = facts + set.map(({ data }) => dataOctets(data)).join('') + nameOctets(first.owner);
  const hash = (text: string) => createHash('sha512').update(text, 'latin1').digest().toString('latin1');
  return {
    owner: first.owner,
    ttl: first.ttl,
    type: TYPES.RRSIG,
    data: [facts, hash(nameOctets(signer)).slice(0, 2), { name: signer, compress: false }, hash(signed)],
  };
}

export interface SignatureFacts {
  signer: Name;
  ttl: number;
  nowSeconds: number;
}

/** The NSEC record that proves which types a name has, and that the next name follows it (RFC 4034, section 4). */
export function denialOf(owner: Name, { zone, ttl, next }: { zone: DnsRecord[]; ttl: number; next: Name }): DnsRecord {
  const types = new Set(zone.filter(record => isOf(record, owner)).map(({ type }) => type));
  types.add(TYPES.RRSIG).add(TYPES.NSEC);
  return { owner, ttl, type: TYPES.NSEC, data: [{ name: next, compress: false }, bitmap([...types])] };
}

/** Types as a bitmap for each window of 256 types (RFC 4034, section 4.1.2). */
function bitmap(types: number[]): string {
  const windows = Map.groupBy(types, type => type >> 8);
  return [...windows.keys()]
    .sort((a, b) => a - b)
    .map(window => {
      const bits = Buffer.alloc(32);
      for (const type of windows.get(window)!) bits[(type & 255) >> 3]! |= 0x80 >> (type & 7);
      const length = bits.findLastIndex(octet => octet !== 0) + 1;
      return octets(window, 1) + octets(length, 1) + bits.toString('latin1', 0, length);
    })
    .join('');
}
