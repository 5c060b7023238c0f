import { lowerName, type Name, nameKey, nameText } from '../../../src/sources/zones/stand-in/names.ts';
import { type DnsRecord, dataOctets, type Piece, TYPES, typeName } from '../../../src/sources/zones/stand-in/record.ts';

/** What a visit asks for by the name below the domain, and so what a zone file may have. */
const ASKED = new Map(
  Object.entries({
    '': ['SOA', 'NS', 'CNAME', 'A', 'AAAA', 'MX', 'TXT', 'CAA', 'DS', 'DNSKEY', 'HTTPS'],
    www: ['CNAME', 'A', 'AAAA'],
    _dmarc: ['CNAME', 'TXT'],
  }),
);

export const hexOf = (data: Piece[]): string => Buffer.from(dataOctets(data), 'latin1').toString('hex');

/** A record's owner, type and data in the canonical form of RFC 4034, section 6.2, without its TTL. */
export function canonical({ owner, type, data }: DnsRecord): string {
  const lower = type === TYPES.HTTPS ? data : data.map(piece => (typeof piece === 'string' ? piece : lowered(piece)));
  return `${nameKey(owner)} ${type} ${hexOf(lower)}`;
}

function lowered({ name, compress }: Exclude<Piece, string>): Piece {
  return { name: lowerName(name), compress };
}

/** The records of a zone that a visit asks for; a wildcard has the names that are asked for. */
export function askedOf(records: DnsRecord[], apex: Name): DnsRecord[] {
  return records.flatMap(record => {
    const below = nameText(lowerName(record.owner.slice(0, record.owner.length - apex.length))).slice(0, -1);
    const owners = below === '*' ? ['www', '_dmarc'] : [below];
    return owners
      .filter(owner => ASKED.get(owner)?.includes(typeName(record.type)))
      .map(owner => ({ ...record, owner: owner === '' ? apex : [owner, ...apex] }));
  });
}
