// A zone file in ICANN's layout: owner, time to live, class, type and data with single tabs between them, one record a
// line, names absolute and in lower case. Own code, because the writers on npm lose or misquote records (record-text.ts).
import { shortDigest } from '../../digest.ts';
import { compareNames, nameText, nameWire } from './name.ts';
import { type DnsRecord, TYPES, typeName, typeNumber } from './record.ts';
import { dataText, readData } from './record-text.ts';

/** Octets of the SOA's data from its serial on: the serial and four times. */
const SERIAL_FROM_END = 20;
const SERIAL_OCTETS = 4;

/**
 * Records in the order of RFC 8976, 3.3.1: by owner, type and data. The SOA is before all others, because loaders of zone
 * files want it there. Equal records count once, with the shortest time to live.
 */
export function inOrder(records: DnsRecord[]): DnsRecord[] {
  const named = records.map(record => ({ record, owner: nameWire(record.owner) }));
  const isSoa = ({ type }: DnsRecord) => (type === TYPES.SOA ? 0 : 1);
  named.sort(
    (a, b) =>
      isSoa(a.record) - isSoa(b.record) ||
      compareNames(a.owner, b.owner) ||
      a.record.type - b.record.type ||
      Buffer.compare(a.record.data, b.record.data) ||
      a.record.ttl - b.record.ttl,
  );
  const ordered = named.map(({ record }) => record);
  return ordered.filter((record, index) => index === 0 || !isEqual(record, ordered[index - 1]!));
}

function isEqual(a: DnsRecord, b: DnsRecord): boolean {
  return a.owner === b.owner && a.type === b.type && Buffer.compare(a.data, b.data) === 0;
}

/** The zone file of records in order. */
export function writeZoneFile(records: DnsRecord[]): Uint8Array {
  const lines = records.map(
    ({ owner, ttl, type, data }) => `${owner}\t${ttl}\tin\t${typeName(type).toLowerCase()}\t${dataText(type, data)}\n`,
  );
  return new TextEncoder().encode(lines.join(''));
}

/** The records of a file that `writeZoneFile` made. Throws an Error that names the line. */
export function readZoneFile(bytes: Uint8Array): DnsRecord[] {
  const lines = new TextDecoder().decode(bytes).split('\n');
  if (lines.pop() !== '') throw new Error('zone file: expected a whole last line, got a part of one');
  return lines.map((line, index) => {
    try {
      return readLine(line);
    } catch (error) {
      throw new Error(`zone file, line ${index + 1}: ${(error as Error).message}`);
    }
  });
}

function readLine(line: string): DnsRecord {
  const fields = line.split('\t');
  const [owner = '', ttl = '', recordClass, name = '', data = ''] = fields;
  if (fields.length !== 5 || recordClass !== 'in' || !/^\d+$/.test(ttl))
    throw new Error('expected owner, time to live, class in, type and data with tabs between them, got another form');
  const type = typeNumber(name);
  return { owner: nameText(nameWire(owner)), ttl: Number(ttl), type, data: readData(type, data) };
}

/**
 * What counts in records, as a digest: not their order, times to live, and the SOA's serial. Of address sets that rotate
 * only that they do.
 */
export function zoneDigest(records: DnsRecord[], isRotating: (record: DnsRecord) => boolean): string {
  const lines = inOrder(records).map(record => {
    const { owner, type, data } = record;
    return `${owner} ${type} ${isRotating(record) ? 'rotates' : Buffer.from(countedData(type, data)).toString('hex')}`;
  });
  return shortDigest([...new Set(lines)].join('\n'));
}

function countedData(type: number, data: Uint8Array): Uint8Array {
  if (type !== TYPES.SOA) return data;
  const at = data.length - SERIAL_FROM_END;
  return new Uint8Array(data).fill(0, at, at + SERIAL_OCTETS);
}
