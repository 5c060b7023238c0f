import { joinBytes } from '../../../src/bytes.ts';
import { nameText, nameWire } from '../../../src/sources/zones/name.ts';
import { type DnsRecord, HTTPS, TYPES } from '../../../src/sources/zones/record.ts';

const OCTETS = 'abcxyz019-_.;()@$"\\ \0\x7f\xe9'.split('').map(character => character.charCodeAt(0));

/** A zone of a few random records: every type that a visit asks for, unknown ones, and names of any octets. */
export function randomRecords(coin: () => number): DnsRecord[] {
  const below = (limit: number) => Math.floor(coin() * limit);
  const bytes = (count: number) => Uint8Array.from({ length: count }, () => below(256));
  const label = () => {
    const octets = Array.from({ length: 1 + below(6) }, () => OCTETS[below(OCTETS.length)]!);
    return [octets.length, ...octets];
  };
  const name = () => Uint8Array.from([...Array.from({ length: below(3) }, label).flat(), ...nameWire('example.com.')]);
  const string = () => {
    const length = below(4) === 0 ? 255 : below(20);
    return joinBytes([Uint8Array.of(length), bytes(length)]);
  };
  const kinds: [type: number, data: () => Uint8Array][] = [
    [TYPES.A, () => bytes(4)],
    [
      TYPES.AAAA,
      () =>
        below(4) === 0
          ? joinBytes([new Uint8Array(10), Uint8Array.of(255, 255), bytes(4)])
          : bytes(16).map(octet => (octet < 200 ? 0 : octet)),
    ],
    [TYPES.NS, name],
    [TYPES.CNAME, name],
    [TYPES.MX, () => joinBytes([bytes(2), name()])],
    [TYPES.SOA, () => joinBytes([name(), name(), bytes(20)])],
    [TYPES.TXT, () => joinBytes(Array.from({ length: 1 + below(5) }, string))],
    [TYPES.CAA, () => joinBytes([bytes(1), Uint8Array.of(5), Buffer.from('issue'), bytes(below(30))])],
    [TYPES.DS, () => joinBytes([bytes(4), bytes(1 + below(48))])],
    [TYPES.DNSKEY, () => joinBytes([bytes(2), Uint8Array.of(3), bytes(1), bytes(1 + below(200))])],
    [HTTPS, () => bytes(below(60))],
    [1000 + below(60_000), () => bytes(below(60))],
  ];
  return Array.from({ length: 1 + below(20) }, () => {
    const [type, data] = kinds[below(kinds.length)]!;
    // The owner and names in data are in lower case, as the reader of messages gives them.
    return { owner: nameText(name()), type, ttl: below(100_000), data: Uint8Array.from(data()) };
  });
}
