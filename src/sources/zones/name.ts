// The codec gives names as text joined by dots, so that a dot within a label is lost and other octets are garbled. Names
// are therefore read from the octets here.

/** Octets of a name and of a label (RFC 1035, 3.1). */
const NAME_OCTETS_MAX = 255;
const LABEL_OCTETS_MAX = 63;

/** A name has at most 127 labels, so more pointers than that are an attempt to waste time. */
const POINTERS_MAX = 127;

const DOT = 0x2e;
const BACKSLASH = 0x5c;
/** Characters that mean something in a zone file (RFC 1035, 5.1). */
const SPECIAL = new Set(Array.from('.;()@$"\\ ', character => character.charCodeAt(0)));

/** A name that begins at `offset` of a message: its labels with lengths, in lower case, and where it ends there. */
export interface ReadName {
  wire: Uint8Array;
  end: number;
}

/**
 * Reads a name with its compression pointers (RFC 1035, 4.1.4). ASCII letters become lower case. Throws an Error that says
 * what is wrong.
 */
export function readName(message: Uint8Array, offset: number): ReadName {
  const wire: number[] = [];
  let at = offset;
  let end: number | null = null;
  let pointers = 0;
  for (;;) {
    const length = octetAt(message, at);
    if (length >= 0xc0) {
      const target = ((length & 0x3f) << 8) | octetAt(message, at + 1);
      end ??= at + 2;
      // Only pointers backwards can end: one to itself or ahead may be part of a loop.
      if (target >= at) throw new Error(`name: expected a pointer to before octet ${at}, got ${target}`);
      if (++pointers > POINTERS_MAX) throw new Error(`name: expected at most ${POINTERS_MAX} pointers, got more`);
      at = target;
      continue;
    }
    if (length > LABEL_OCTETS_MAX) throw new Error(`name: expected a label or a pointer, got octet ${length}`);
    if (at + 1 + length > message.length) throw new Error('name: expected a whole label, got the end of the message');
    if (wire.length + 1 + length > NAME_OCTETS_MAX)
      throw new Error(`name: expected at most ${NAME_OCTETS_MAX} octets, got more`);
    wire.push(length);
    for (const octet of message.subarray(at + 1, at + 1 + length)) wire.push(lowerCase(octet));
    at += 1 + length;
    if (length === 0) return { wire: Uint8Array.from(wire), end: end ?? at };
  }
}

function octetAt(message: Uint8Array, at: number): number {
  const octet = message[at];
  if (octet === undefined) throw new Error('name: expected an octet, got the end of the message');
  return octet;
}

function lowerCase(octet: number): number {
  return octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet;
}

/** The labels of a name in wire form, without the empty one at its end. */
export function labelsOf(wire: Uint8Array): Uint8Array[] {
  const labels: Uint8Array[] = [];
  for (let at = 0; wire[at]; at += 1 + wire[at]!) labels.push(wire.subarray(at + 1, at + 1 + wire[at]!));
  return labels;
}

/** A name in wire form as a zone file has it: absolute, with its last dot. */
export function nameText(wire: Uint8Array): string {
  return labelsOf(wire).reduce((text, label) => `${text}${labelText(label)}.`, '') || '.';
}

function labelText(label: Uint8Array): string {
  return Array.from(label, octet => {
    if (octet < 0x21 || octet > 0x7e) return octet === 0x20 ? '\\ ' : octetText(octet);
    return SPECIAL.has(octet) ? `\\${String.fromCharCode(octet)}` : String.fromCharCode(octet);
  }).join('');
}

/** An octet as a zone file has it where it is no printable character: its three decimal digits behind a backslash. */
export function octetText(octet: number): string {
  return `\\${String(octet).padStart(3, '0')}`;
}

/** The wire form of a name as `nameText` writes it; the last dot may be missing. Throws an Error. */
export function nameWire(text: string): Uint8Array {
  const labels: number[][] = [[]];
  for (const { octet, isEscaped } of octetsOf(text)) {
    if (octet === DOT && !isEscaped) labels.push([]);
    else labels.at(-1)!.push(lowerCase(octet));
  }
  if (labels.at(-1)!.length === 0) labels.pop();
  if (text !== '.' && labels.some(label => label.length === 0 || label.length > LABEL_OCTETS_MAX))
    throw new Error(`name: expected labels of 1 to ${LABEL_OCTETS_MAX} octets, got others`);
  const wire = text === '.' ? [0] : labels.flatMap(label => [label.length].concat(label)).concat(0);
  if (wire.length > NAME_OCTETS_MAX) throw new Error(`name: expected at most ${NAME_OCTETS_MAX} octets, got more`);
  return Uint8Array.from(wire);
}

/** The octets of a text of a zone file, and whether a backslash was before each. Throws an Error. */
export function octetsOf(text: string): { octet: number; isEscaped: boolean }[] {
  const octets: { octet: number; isEscaped: boolean }[] = [];
  for (let at = 0; at < text.length; at++) {
    const octet = text.charCodeAt(at);
    if (octet !== BACKSLASH) {
      octets.push({ octet: asciiOf(octet), isEscaped: false });
      continue;
    }
    const digits = /^\d{3}/.exec(text.slice(at + 1, at + 4))?.[0];
    const escaped = digits === undefined ? text.charCodeAt(at + 1) : Number(digits);
    if (!(escaped <= 0xff)) throw new Error('text of a zone file: expected an octet after a backslash, got none');
    octets.push({ octet: escaped, isEscaped: true });
    at += digits?.length ?? 1;
  }
  return octets;
}

function asciiOf(code: number): number {
  if (code > 0x7e) throw new Error('text of a zone file: expected ASCII, got another character');
  return code;
}

/** The order of names (RFC 4034, 6.1): by labels from the right, as octets, a missing one first. */
export function compareNames(a: Uint8Array, b: Uint8Array): number {
  const [left, right] = [labelsOf(a).reverse(), labelsOf(b).reverse()];
  for (const [index, label] of left.entries()) {
    const other = right[index];
    if (!other) return 1;
    const order = Buffer.compare(label, other);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}
