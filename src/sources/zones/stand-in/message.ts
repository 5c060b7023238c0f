import { type Name, nameText } from './names.ts';
import { type DnsRecord, octets, type Piece, TYPES } from './record.ts';

/** Answer codes (RFC 1035, section 4.1.1). */
export const RCODES = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

/** Flags of the header's second field. */
const FLAGS = { answer: 0x8000, truncated: 0x0200, wantsRecursion: 0x0100, recursive: 0x0080, ad: 0x0020, cd: 0x0010 };

/** The flag DO in the TTL field of an OPT record (RFC 3225). */
const FLAG_DO = 0x8000;

/** Octets of any message (RFC 8484, section 6). */
const MESSAGE_OCTETS_MAX = 65_535;

/** A pointer has 14 bits for the place that it points to. */
const POINTER_MAX = 0x3fff;

/** Octets that the resolver takes over UDP, as Cloudflare's says in each answer. */
const UDP_OCTETS = 1232;

/** The EDNS option of extended errors (RFC 8914). */
const OPTION_EXTENDED_ERROR = 15;

/** A question as it was received. */
export interface Query {
  id: number;
  name: Name;
  type: number;
  recursionDesired: boolean;
  ad: boolean;
  cd: boolean;
  /** Whether the query has an OPT record, and with the flag DO. */
  edns: boolean;
  dnssec: boolean;
}

/** What a resolver says to a question. */
export interface Reply {
  rcode: number;
  ad: boolean;
  answers: DnsRecord[];
  authorities: DnsRecord[];
  extendedError: { code: number; text: string } | null;
}

/** Reads a query; null when it is none: not one question of class IN, or its octets are cut. */
export function readQuery(bytes: Uint8Array): Query | null {
  const message = Buffer.from(bytes);
  if (message.length < 12) return null;
  const flags = message.readUInt16BE(2);
  const counts = [4, 6, 8, 10].map(at => message.readUInt16BE(at));
  const opcode = (flags >> 11) & 15;
  if (flags & FLAGS.answer || opcode !== 0 || counts.slice(0, 3).join() !== '1,0,0') return null;
  const question = readPlainName(message, 12);
  if (question === null || question.end + 4 > message.length) return null;
  const [type, dnsClass] = [message.readUInt16BE(question.end), message.readUInt16BE(question.end + 2)];
  if (dnsClass !== 1) return null;
  const opt = readOpt(message, question.end + 4, counts[3]!);
  if (opt === null) return null;
  return {
    id: message.readUInt16BE(0),
    name: question.name,
    type,
    recursionDesired: (flags & FLAGS.wantsRecursion) !== 0,
    ad: (flags & FLAGS.ad) !== 0,
    cd: (flags & FLAGS.cd) !== 0,
    edns: opt.edns,
    dnssec: opt.dnssec,
  };
}

function readPlainName(message: Buffer, from: number): { name: Name; end: number } | null {
  const name: string[] = [];
  for (let at = from; at < message.length; ) {
    const length = message[at]!;
    if (length === 0) return { name, end: at + 1 };
    // A question comes first, so there is nothing before it to point to.
    if (length > 63 || at + 1 + length > message.length) return null;
    name.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return null;
}

/** Reads the additional records, of which a query has at most an OPT record at the root. */
function readOpt(message: Buffer, from: number, count: number): { edns: boolean; dnssec: boolean } | null {
  if (count === 0) return message.length === from ? { edns: false, dnssec: false } : null;
  if (count > 1 || message.length < from + 11 || message[from] !== 0) return null;
  if (message.readUInt16BE(from + 1) !== TYPES.OPT) return null;
  const length = message.readUInt16BE(from + 9);
  if (message.length !== from + 11 + length) return null;
  return { edns: true, dnssec: (message.readUInt16BE(from + 7) & FLAG_DO) !== 0 };
}

/** Writes the answer to a query. An answer over 65,535 octets is sent without records and with the flag TC. */
export function writeAnswer(query: Query, reply: Reply): Uint8Array {
  const whole = encode(query, reply, 0);
  if (whole.length <= MESSAGE_OCTETS_MAX) return whole;
  return encode(query, { ...reply, answers: [], authorities: [] }, FLAGS.truncated);
}

function encode(
  query: Query,
  { rcode, ad, answers, authorities, extendedError }: Reply,
  truncated: number,
): Uint8Array {
  const message = new MessageWriter();
  const set = [
    FLAGS.answer,
    FLAGS.recursive,
    truncated,
    query.recursionDesired ? FLAGS.wantsRecursion : 0,
    ad ? FLAGS.ad : 0,
    query.cd ? FLAGS.cd : 0,
    rcode & 15,
  ];
  const numbers = [query.id, set.reduce((all, flag) => all | flag, 0), 1, answers.length, authorities.length];
  message.add([...numbers, query.edns ? 1 : 0].map(one => octets(one, 2)).join(''));
  message.addName(query.name, true);
  message.add(octets(query.type, 2) + octets(1, 2));
  for (const record of answers) message.addRecord(record);
  for (const record of authorities) message.addRecord(record);
  if (query.edns) {
    const options = extendedError === null ? '' : extendedErrorOption(extendedError);
    const extended = octets(rcode >> 4, 1) + octets(0, 1) + octets(query.dnssec ? FLAG_DO : 0, 2);
    message.add(`\0${octets(TYPES.OPT, 2)}${octets(UDP_OCTETS, 2)}${extended}${octets(options.length, 2)}${options}`);
  }
  return message.bytes();
}

function extendedErrorOption({ code, text }: { code: number; text: string }): string {
  const value = octets(code, 2) + Buffer.from(text).toString('latin1');
  return octets(OPTION_EXTENDED_ERROR, 2) + octets(value.length, 2) + value;
}

/** A message as it grows, with the places of the names in it. */
class MessageWriter {
  #octets: string[] = [];
  #length = 0;
  #places = new Map<string, number>();

  add(text: string): void {
    this.#octets.push(text);
    this.#length += text.length;
  }

  /** Adds a name; a rest that was written before becomes a pointer. Names of other letters are other names here. */
  addName(name: Name, compress: boolean): void {
    for (let label = 0; label < name.length; label++) {
      const rest = nameText(name.slice(label));
      const place = this.#places.get(rest);
      if (compress && place !== undefined) {
        this.add(octets(0xc000 | place, 2));
        return;
      }
      if (place === undefined && this.#length <= POINTER_MAX) this.#places.set(rest, this.#length);
      this.add(octets(name[label]!.length, 1) + name[label]!);
    }
    this.add('\0');
  }

  addRecord({ owner, type, ttl, data }: DnsRecord): void {
    this.addName(owner, true);
    this.add(octets(type, 2) + octets(1, 2) + octets(ttl, 4));
    // The length of the data is known only after its names are written, because they may become pointers.
    const at = this.#octets.length;
    this.add('\0\0');
    const from = this.#length;
    for (const piece of data) this.#addPiece(piece);
    this.#octets[at] = octets(this.#length - from, 2);
  }

  #addPiece(piece: Piece): void {
    if (typeof piece === 'string') this.add(piece);
    else this.addName(piece.name, piece.compress);
  }

  bytes(): Uint8Array {
    return Buffer.from(this.#octets.join(''), 'latin1');
  }
}
