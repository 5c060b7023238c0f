// Own code for the text of records: of the packages that write zone files, `dns-zonefile` drops DNSKEY and unknown types,
// `zone-file` cuts TXT at a semicolon, `@nictool/dns-resource-record` refuses records that are in use, and `dnsz` keeps
// names relative.
import { joinBytes } from '../../bytes.ts';
import { nameText, nameWire, octetsOf, octetText } from './name.ts';
import { canonicalData, partsOf, TYPES, typeName } from './record.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** The text of a record's data and back. `write` gives null, and `read` throws, for what does not fit the type. */
interface Form {
  write(data: Uint8Array): string | null;
  read(fields: string[]): Uint8Array;
}

const namesOnly: Form = {
  write: data => textOfParts(data, TYPES.NS, ({ names }) => names.map(nameText).join(' ')),
  read: ([name = '']) => nameWire(name),
};

const FORMS = new Map<number, Form>([
  [TYPES.NS, namesOnly],
  [TYPES.CNAME, namesOnly],
  [TYPES.PTR, namesOnly],
  [TYPES.DNAME, namesOnly],
  [
    TYPES.A,
    {
      write: data => (data.length === 4 ? data.join('.') : null),
      read: ([address = '']) => Uint8Array.from(address.split('.'), part => numberOf(part, 0xff)),
    },
  ],
  [
    TYPES.AAAA,
    {
      write: data => (data.length === 16 ? addressText(data) : null),
      read: ([address = '']) => addressOctets(address),
    },
  ],
  [
    TYPES.MX,
    {
      write: data =>
        textOfParts(data, TYPES.MX, ({ before, names }) => `${numberAt(before, 0, 2)} ${nameText(names[0]!)}`),
      read: ([preference = '', exchange = '']) => joinBytes([octets(preference, 2), nameWire(exchange)]),
    },
  ],
  [
    TYPES.SOA,
    {
      write: data =>
        textOfParts(data, TYPES.SOA, ({ names, after }) =>
          names
            .map(nameText)
            .concat([0, 4, 8, 12, 16].map(at => String(numberAt(after, at, 4))))
            .join(' '),
        ),
      read: ([primary = '', contact = '', ...numbers]) =>
        joinBytes([nameWire(primary), nameWire(contact)].concat(numbers.map(number => octets(number, 4)))),
    },
  ],
  [
    TYPES.TXT,
    {
      write: data => stringsOf(data)?.map(quoted).join(' ') ?? null,
      read: fields => joinBytes(fields.flatMap(field => [Uint8Array.of(unquoted(field).length), unquoted(field)])),
    },
  ],
  [TYPES.CAA, { write: caaText, read: readCaa }],
  [
    TYPES.DS,
    {
      write: data =>
        data.length > 4 ? `${numberAt(data, 0, 2)} ${data[2]} ${data[3]} ${hexOf(data.subarray(4))}` : null,
      read: ([tag = '', algorithm = '', kind = '', ...digest]) =>
        joinBytes([octets(tag, 2), octets(algorithm, 1), octets(kind, 1), Buffer.from(digest.join(''), 'hex')]),
    },
  ],
  [
    TYPES.DNSKEY,
    {
      write: data =>
        data.length > 4 ? `${numberAt(data, 0, 2)} ${data[2]} ${data[3]} ${base64Of(data.subarray(4))}` : null,
      read: ([flags = '', protocol = '', algorithm = '', ...key]) =>
        joinBytes([octets(flags, 2), octets(protocol, 1), octets(algorithm, 1), Buffer.from(key.join(''), 'base64')]),
    },
  ],
]);

/**
 * The data of a record as a zone file has it. Data that does not fit its type, and that of unknown types, is written as
 * octets (RFC 3597, 5).
 */
export function dataText(type: number, data: Uint8Array): string {
  return plainText(type, data) ?? `\\# ${data.length}${data.length > 0 ? ` ${hexOf(data)}` : ''}`;
}

/** The text of data that fits its type; null for other data, and for types without a text of their own. */
export function plainText(type: number, data: Uint8Array): string | null {
  return FORMS.get(type)?.write(data) ?? null;
}

/** The data that `dataText` wrote. Throws an Error that says what is wrong. */
export function readData(type: number, text: string): Uint8Array {
  const fields = text.match(/"(?:[^"\\]|\\.)*"|(?:[^\s"\\]|\\.)+/g) ?? [];
  if (fields[0] === '\\#') {
    const data = Buffer.from(fields.slice(2).join(''), 'hex');
    if (data.length !== Number(fields[1])) throw new Error(`data: expected ${fields[1]} octets, got ${data.length}`);
    return canonicalData(Uint8Array.from(data), { type, start: 0, end: data.length });
  }
  const form = FORMS.get(type);
  if (!form) throw new Error(`data of ${typeName(type)}: expected octets behind \\#, got other text`);
  return Uint8Array.from(form.read(fields));
}

/** The character strings that data consists of, as TXT has them; null where they do not fill it. */
export function stringsOf(data: Uint8Array): Uint8Array[] | null {
  const strings: Uint8Array[] = [];
  let at = 0;
  while (at < data.length) {
    strings.push(data.subarray(at + 1, at + 1 + data[at]!));
    at += 1 + data[at]!;
  }
  return at === data.length && strings.length > 0 ? strings : null;
}

function quoted(string: Uint8Array): string {
  const escaped = Array.from(string, octet => {
    if (octet < 0x20 || octet > 0x7e) return octetText(octet);
    return octet === QUOTE || octet === BACKSLASH ? `\\${String.fromCharCode(octet)}` : String.fromCharCode(octet);
  });
  return `"${escaped.join('')}"`;
}

function unquoted(field: string): Uint8Array {
  const inner = field.startsWith('"') ? field.slice(1, -1) : field;
  const string = Uint8Array.from(octetsOf(inner), ({ octet }) => octet);
  if (string.length > 0xff) throw new Error(`character string: expected at most 255 octets, got ${string.length}`);
  return string;
}

/** RFC 8659, 4.1: flags, a tag of letters and digits, and a value. */
function caaText(data: Uint8Array): string | null {
  const tagEnd = 2 + (data[1] ?? 0);
  const tag = String.fromCharCode(...data.subarray(2, tagEnd));
  if (data.length < tagEnd || !/^[a-z\d]+$/i.test(tag)) return null;
  return `${data[0]} ${tag} ${quoted(data.subarray(tagEnd))}`;
}

function readCaa([flags = '', tag = '', value = '']: string[]): Uint8Array {
  const name = Buffer.from(tag, 'latin1');
  const inner = value.startsWith('"') ? value.slice(1, -1) : value;
  const text = Uint8Array.from(octetsOf(inner), ({ octet }) => octet);
  return joinBytes([octets(flags, 1), Uint8Array.of(name.length), name, text]);
}

/** The text that `write` makes of data with names; null where the data does not fit. */
function textOfParts(
  data: Uint8Array,
  type: number,
  write: (parts: NonNullable<ReturnType<typeof partsOf>>) => string | null,
): string | null {
  let parts: ReturnType<typeof partsOf>;
  try {
    parts = partsOf(data, { type, start: 0, end: data.length });
  } catch {
    return null;
  }
  return parts && write(parts);
}

/** The first 12 octets of an IPv6 address that has an IPv4 address in its last four (RFC 4291, 2.5.5.2). */
const MAPPED = Uint8Array.from({ length: 12 }, (_, index) => (index < 10 ? 0 : 0xff));

/** The canonical text of an IPv6 address (RFC 5952), but for IPv4 in its end as the URL standard writes it. */
function addressText(data: Uint8Array): string {
  if (Buffer.compare(data.subarray(0, 12), MAPPED) === 0) return `::ffff:${data.subarray(12).join('.')}`;
  const groups = Array.from({ length: 8 }, (_, index) => numberAt(data, 2 * index, 2).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}

function addressOctets(text: string): Uint8Array {
  const [head = '', tail = null] = new URL(`http://[${text}]`).hostname.slice(1, -1).split('::');
  const groupsOf = (part: string) => part.split(':').filter(Boolean);
  const [first, last] = [groupsOf(head), tail === null ? [] : groupsOf(tail)];
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => '0');
  return joinBytes([...first, ...zeros, ...last].map(group => octets(String(Number.parseInt(group, 16)), 2)));
}

function numberAt(data: Uint8Array, at: number, bytes: number): number {
  return Buffer.from(data.buffer, data.byteOffset, data.length).readUIntBE(at, bytes);
}

function octets(text: string, bytes: number): Uint8Array {
  const written = Buffer.alloc(bytes);
  written.writeUIntBE(numberOf(text, 256 ** bytes - 1), 0, bytes);
  return written;
}

function numberOf(text: string, most: number): number {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(number <= most)) throw new Error(`data: expected a number up to ${most}, got "${text}"`);
  return number;
}

function hexOf(data: Uint8Array): string {
  return Buffer.from(data).toString('hex');
}

function base64Of(data: Uint8Array): string {
  return Buffer.from(data).toString('base64');
}
