import { decode, encode, type Packet, RECURSION_DESIRED } from 'dns-packet';
import { ChangeError, messageOf } from '../../errors.ts';
import type { Body } from '../source.ts';
import { nameText, nameWire, readName } from './name.ts';
import { CLASS_IN, canonicalData, type DnsRecord, HTTPS, typeName } from './record.ts';

/** The form of questions and answers over HTTPS (RFC 8484). */
export const DNS_MESSAGE = 'application/dns-message';

/** A message has a length of 16 bits. */
export const MESSAGE_BYTES_MAX = 65_535;

/** What an answer over UDP would have to fit into; over HTTPS nothing is cut to it, but the field must be there. */
const UDP_BYTES = 1232;

/** Bit DO of EDNS: the answer says whether it was validated, and has signatures (RFC 6840, 5.7). */
const DNSSEC_OK = 1 << 15;

/** Bits of the header. */
const RESPONSE = 1 << 15;
const TRUNCATED = 1 << 9;
const AUTHENTIC = 1 << 5;

/** The option of EDNS that has an extended error (RFC 8914). */
const EXTENDED_ERROR = 15;

const HEADER_OCTETS = 12;
const TYPE_OPT = 41;

export interface Question {
  /** Absolute or not, as a zone file has it. */
  name: string;
  type: number;
}

export interface DnsAnswer {
  /** 0 to 4095; the upper bits are those of EDNS. */
  rcode: number;
  /** The resolver has validated the answer by DNSSEC. */
  isAuthentic: boolean;
  /** Codes of extended errors, in rising order. */
  extendedErrors: number[];
  /** The records of class IN in the answer. */
  records: DnsRecord[];
  /** How many records of other classes the answer has. */
  otherClasses: number;
}

/** A question as octets: id 0, so that equal questions are equal requests; recursion desired, and DO. */
export function encodeQuestion({ name, type }: Question): Uint8Array {
  // The codec takes HTTPS only by this name, and encodes its other names as type 0 without an error.
  const codecType = type === HTTPS ? `UNKNOWN_${HTTPS}` : typeName(type);
  return encode({
    type: 'query',
    id: 0,
    flags: RECURSION_DESIRED,
    questions: [{ name: name.replace(/\.$/, ''), type: codecType as 'A', class: 'IN' }],
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: UDP_BYTES,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: DNSSEC_OK,
        flag_do: true,
        options: [],
      },
    ],
  });
}

/**
 * Reads an answer to a question. Throws `ChangeError` `wrong-shape` for a body that is no DNS message, is cut, has another
 * id, or answers another question.
 */
export function readAnswer(question: Question, { bytes, contentType }: Pick<Body, 'bytes' | 'contentType'>): DnsAnswer {
  const kind = contentType?.split(';')[0]?.trim().toLowerCase() ?? null;
  if (kind !== DNS_MESSAGE) throw refused(`content type to be ${DNS_MESSAGE}`, kind ?? 'none');
  if (bytes.length < HEADER_OCTETS || bytes.length > MESSAGE_BYTES_MAX)
    throw refused(`${HEADER_OCTETS} to ${MESSAGE_BYTES_MAX} octets`, String(bytes.length));
  try {
    return readMessage(question, bytes);
  } catch (error) {
    if (error instanceof ChangeError) throw error;
    throw refused('a DNS message', `another form: ${messageOf(error)}`);
  }
}

function readMessage(question: Question, bytes: Uint8Array): DnsAnswer {
  const { id, flags, questions, sections } = walk(bytes);
  if (id !== 0) throw refused('the id of the question, 0', String(id));
  if ((flags & RESPONSE) === 0) throw refused('an answer', 'a question');
  checkQuestion(question, questions);
  if ((flags & TRUNCATED) !== 0) throw refused('a whole answer', 'one that says it is cut (TC)');
  // EDNS is read by the codec, after the walk: a message that the walk refuses could keep the codec busy.
  const { additionals = [] } = decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  const opt = optOf(additionals);
  const records = sections[0]!.filter(({ type }) => type !== TYPE_OPT);
  return {
    rcode: (flags & 0xf) | (opt.extendedRcode << 4),
    isAuthentic: (flags & AUTHENTIC) !== 0,
    extendedErrors: opt.extendedErrors,
    records: records.filter(record => record.class === CLASS_IN).map(({ class: _, ...record }) => record),
    otherClasses: records.filter(record => record.class !== CLASS_IN).length,
  };
}

function checkQuestion({ name, type }: Question, questions: Walked['questions']): void {
  const [asked, ...more] = questions;
  const isSame =
    asked?.name === nameText(nameWire(name)) && asked.type === type && asked.class === CLASS_IN && more.length === 0;
  if (!isSame) throw refused('an answer to the question', 'one to another');
}

type WalkedRecord = DnsRecord & { class: number };

interface Walked {
  id: number;
  flags: number;
  questions: { name: string; type: number; class: number }[];
  /** Answers, authorities and additional records. */
  sections: [WalkedRecord[], WalkedRecord[], WalkedRecord[]];
}

/** Reads all of a message by its octets. Throws an Error for one that is cut, or has more than it says. */
function walk(bytes: Uint8Array): Walked {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const [id = 0, flags = 0, questionCount = 0, ...counts] = [0, 2, 4, 6, 8, 10].map(at => view.getUint16(at));
  let at = HEADER_OCTETS;
  const questions = Array.from({ length: questionCount }, () => {
    const { wire, end } = readName(bytes, at);
    at = end + 4;
    return { name: nameText(wire), type: view.getUint16(end), class: view.getUint16(end + 2) };
  });
  const readRecord = (): WalkedRecord => {
    const { wire, end } = readName(bytes, at);
    const [type, ttl] = [view.getUint16(end), view.getUint32(end + 4)];
    const start = end + 10;
    at = start + view.getUint16(end + 8);
    if (at > bytes.length) throw new Error(`record: expected data up to octet ${at}, got ${bytes.length} octets`);
    // A time to live with its first bit set counts as 0 (RFC 2181, 8).
    const seconds = ttl > 0x7fffffff ? 0 : ttl;
    const data = canonicalData(bytes, { type, start, end: at });
    return { owner: nameText(wire), type, class: view.getUint16(end + 2), ttl: seconds, data };
  };
  const sections = counts.map(count => Array.from({ length: count }, readRecord)) as Walked['sections'];
  if (at !== bytes.length) throw new Error(`message: expected ${at} octets, got ${bytes.length}`);
  return { id, flags, questions, sections };
}

/** What EDNS says: the upper bits of the rcode, and extended errors. */
function optOf(additionals: NonNullable<Packet['additionals']>): { extendedRcode: number; extendedErrors: number[] } {
  const opt = additionals.find(({ type }) => type === 'OPT') as
    | { extendedRcode: number; options: { code: number; data?: Uint8Array }[] }
    | undefined;
  const codes = (opt?.options ?? []).flatMap(({ code, data }) =>
    code === EXTENDED_ERROR && data && data.length >= 2 ? [(data[0]! << 8) | data[1]!] : [],
  );
  return { extendedRcode: opt?.extendedRcode ?? 0, extendedErrors: [...new Set(codes)].sort((a, b) => a - b) };
}

function refused(expected: string, got: string): ChangeError {
  return new ChangeError('wrong-shape', `dns answer: expected ${expected}, got ${got}`);
}
