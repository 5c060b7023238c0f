import { joinBytes } from '../../../src/bytes.ts';
import { nameText, nameWire, readName } from '../../../src/sources/zones/name.ts';
import { type DnsRecord, TYPES, typeNumber } from '../../../src/sources/zones/record.ts';
import { readData } from '../../../src/sources/zones/record-text.ts';

/** The parts of an answer that tests set; the rest is what a resolver sends. */
export interface Parts {
  name: string;
  type: number;
  rcode?: number;
  ad?: boolean;
  tc?: boolean;
  id?: number;
  extendedErrors?: number[];
  answers?: (DnsRecord & { class?: number })[];
}

/** Records of lines as `example.com. 300 MX 10 mx.example.com.`, names absolute. */
export function recordsOf(...lines: string[]): DnsRecord[] {
  return lines.map(line => {
    const [, owner = '', ttl = '', name = '', data = ''] = /^(\S+) (\d+) (\S+) (.*)$/.exec(line) ?? [];
    const type = typeNumber(name);
    return { owner, ttl: Number(ttl), type, data: readData(type, data) };
  });
}

/** An answer in wire form, without compression. */
export function messageOf({
  name,
  type,
  rcode = 0,
  ad,
  tc,
  id = 0,
  extendedErrors = [],
  answers = [],
}: Parts): Uint8Array {
  const flags = 0x8180 | (rcode & 0xf) | (ad ? 0x20 : 0) | (tc ? 0x200 : 0);
  const header = uint16(id, flags, 1, answers.length, 0, 1);
  const question = joinBytes([nameWire(name), uint16(type, 1)]);
  const records = answers.map(({ owner, type: of, ttl, data, class: recordClass = 1 }) =>
    joinBytes([nameWire(owner), uint16(of, recordClass), uint32(ttl), uint16(data.length), data]),
  );
  const options = joinBytes(extendedErrors.map(code => uint16(15, 2, code)));
  const opt = joinBytes([Uint8Array.of(0), uint16(41, 1232, (rcode >> 4) << 8, 0x8000, options.length), options]);
  return joinBytes([header, question].concat(records, opt));
}

/** The question of a message. */
export function questionOf(message: Uint8Array): { name: string; type: number } {
  const { wire, end } = readName(message, 12);
  return { name: nameText(wire), type: (message[end]! << 8) | message[end + 1]! };
}

/** What a server of a zone answers to a question: records of the name and type, or an alias. */
export function answersTo(records: DnsRecord[], { name, type }: { name: string; type: number }): DnsRecord[] {
  const own = records.filter(({ owner }) => owner === name);
  const aliases = own.filter(one => one.type === TYPES.CNAME);
  return aliases.length > 0 ? aliases : own.filter(one => one.type === type);
}

export function uint16(...numbers: number[]): Uint8Array {
  return Uint8Array.from(numbers.flatMap(number => [number >> 8, number & 0xff]));
}

function uint32(number: number): Uint8Array {
  return uint16(number >>> 16, number & 0xffff);
}
