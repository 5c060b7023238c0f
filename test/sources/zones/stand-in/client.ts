import { createSocket } from 'node:dgram';
import { promises as dns } from 'node:dns';
import type { AddressInfo } from 'node:net';
import type { ZonesStandIn } from '../../../../src/sources/zones/stand-in/stand-in.ts';

/** A question of a test, and the flags of its query. */
export interface Asked {
  name: string;
  type: number;
  dnssec?: boolean;
  checkingDisabled?: boolean;
  recursionDesired?: boolean;
}

export interface ReadRecord {
  owner: string;
  type: number;
  ttl: number;
  data: Buffer;
  /** Where its data begins in the message. */
  at: number;
}

export interface ReadAnswer {
  id: number;
  rcode: number;
  ad: boolean;
  truncated: boolean;
  records: { answer: ReadRecord[]; authority: ReadRecord[]; additional: ReadRecord[] };
  message: Buffer;
  headers: Headers;
}

/** A query with an OPT record, as octets. */
export function queryFor({
  name,
  type,
  dnssec = true,
  checkingDisabled = false,
  recursionDesired = true,
}: Asked): Buffer {
  const labels = name === '' ? [] : name.split('.');
  const question = labels.map(label => String.fromCharCode(label.length) + label).join('');
  const fields = Buffer.alloc(12);
  fields.writeUInt16BE((recursionDesired ? 0x0100 : 0) | (checkingDisabled ? 0x0010 : 0), 2);
  fields.writeUInt16BE(1, 4);
  fields.writeUInt16BE(1, 10);
  const end = Buffer.from([0, type >> 8, type & 255, 0, 1]);
  const opt = Buffer.from([0, 0, 41, 0x04, 0xd0, 0, 0, dnssec ? 0x80 : 0, 0, 0, 0]);
  return Buffer.concat([fields, Buffer.from(question, 'latin1'), end, opt]);
}

/** Asks a resolver with GET, and reads its answer octet by octet. */
export async function ask(origin: string, asked: Asked): Promise<ReadAnswer> {
  const url = `${origin}/dns-query?dns=${queryFor(asked).toString('base64url')}`;
  const response = await fetch(url, { headers: { accept: 'application/dns-message' } });
  const bytes = Buffer.from(await response.arrayBuffer());
  if (response.status !== 200) throw new Error(`${asked.name}: expected status 200, got ${response.status}`);
  return { ...readMessage(bytes), headers: response.headers };
}

function readMessage(message: Buffer): Omit<ReadAnswer, 'headers'> {
  const flags = message.readUInt16BE(2);
  let at = nameAt(message, 12).end + 4;
  const section = (count: number): ReadRecord[] =>
    Array.from({ length: count }, () => {
      const { text: owner, end } = nameAt(message, at);
      const length = message.readUInt16BE(end + 8);
      at = end + 10 + length;
      const data = message.subarray(end + 10, at);
      return { owner, type: message.readUInt16BE(end), ttl: message.readUInt32BE(end + 4), data, at: end + 10 };
    });
  const [answer, authority, additional] = [6, 8, 10].map(place => section(message.readUInt16BE(place)));
  if (at !== message.length) throw new Error(`message: expected ${at} octets, got ${message.length}`);
  return {
    id: message.readUInt16BE(0),
    rcode: flags & 15,
    ad: (flags & 0x20) !== 0,
    truncated: (flags & 0x200) !== 0,
    records: { answer: answer!, authority: authority!, additional: additional! },
    message,
  };
}

/** The name at a place, its labels joined by dots; pointers must lead back. */
export function nameAt(message: Buffer, from: number): { text: string; end: number } {
  const labels: string[] = [];
  let end: number | null = null;
  for (let at = from; ; ) {
    const length = message[at];
    if (length === undefined) throw new RangeError(`message: expected a name at ${at}, got its end`);
    if (length >= 0xc0) {
      end ??= at + 2;
      const to = message.readUInt16BE(at) & 0x3fff;
      if (to >= at) throw new Error(`pointer: expected a place before ${at}, got ${to}`);
      at = to;
    } else if (length === 0) {
      return { text: labels.join('.'), end: end ?? at + 1 };
    } else {
      labels.push(message.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
  }
}

/** The extended error of an answer, its code and text; null when it has none. */
export function extendedErrorOf({ records }: ReadAnswer): { code: number; text: string } | null {
  const options = records.additional.find(({ type }) => type === 41)?.data;
  if (!options || options.length === 0) return null;
  if (options.readUInt16BE(0) !== 15) throw new Error(`option: expected 15, got ${options.readUInt16BE(0)}`);
  return { code: options.readUInt16BE(4), text: options.toString('utf8', 6, 4 + options.readUInt16BE(2)) };
}

/** Node's own resolver, c-ares, over UDP; each query is handed on to the stand-in. c-ares decodes independently of us. */
export async function cAres({ origin }: ZonesStandIn): Promise<{ resolver: dns.Resolver; close(): void }> {
  const relay = createSocket('udp4');
  relay.on('message', async (query, { port, address }) => {
    const url = `${origin}/dns-query?dns=${query.toString('base64url')}`;
    const response = await fetch(url, { headers: { accept: 'application/dns-message' } });
    relay.send(Buffer.from(await response.arrayBuffer()), port, address);
  });
  await new Promise<void>(resolve => relay.bind(0, '127.0.0.1', resolve));
  const resolver = new dns.Resolver({ tries: 1 });
  resolver.setServers([`127.0.0.1:${(relay.address() as AddressInfo).port}`]);
  return { resolver, close: () => void relay.close() };
}
