/**
 * Reads answers of XML-RPC. Libraries make a tree of the whole answer first, which takes 220 MB for a full page of the
 * feed, more than an isolate has; this reads tokens of bytes, and hands on one item after another.
 */
import { ChangeError } from '../../errors.ts';

export type XmlRpcValue = string | number | boolean | null | XmlRpcValue[] | Map<string, XmlRpcValue>;

/** The answer to a call: its value, or a fault. */
export type XmlRpcAnswer = { value: XmlRpcValue } | { fault: { code: number | null; text: string } };

/** How deep lists and structs may be nested. A row of the feed is a list in a list. */
const DEPTH_MAX = 8;

/** The first bytes of an answer that are checked for its kind. */
const HEAD_BYTES = 512;

const [OPEN, CLOSE, SLASH, BANG, QUESTION, SPACE] = new TextEncoder().encode('<>/!? ');

/** The elements of XML-RPC, with `nil` as Apache writes it. */
const NAMES = [
  'methodResponse params param value fault array data struct member name',
  'int i4 i8 boolean string double dateTime.iso8601 base64 nil ex:nil',
].flatMap(line => line.split(' '));

/** The names by their length, because comparing bytes is faster than making a text of each tag. */
const NAMES_BY_LENGTH = Map.groupBy(
  NAMES.map(name => ({ name, bytes: new TextEncoder().encode(name) })),
  ({ bytes }) => bytes.length,
);

const ENTITIES = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
]);

/**
 * Reads an answer. Items of a list that is the whole value go to `onItem` one by one, where it is given, and are not kept.
 * Throws `truncated` for an answer that ends early, and `wrong-shape` for anything else that is no answer of XML-RPC.
 */
export function readXmlRpc(
  subject: string,
  bytes: Uint8Array,
  onItem?: (item: XmlRpcValue, index: number) => void,
): XmlRpcAnswer {
  checkKind(subject, bytes);
  return new Reader(subject, bytes).answer(onItem);
}

/** Replaces references to characters by the characters. A reference that XML does not define stays as it is. */
export function decodeReferences(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:([a-z]{2,4})|#(\d{1,7})|#x([0-9A-Fa-f]{1,6}));/g, (all, entity, decimal, hex) => {
    if (entity !== undefined) return ENTITIES.get(entity) ?? all;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code > 0x10ffff ? all : String.fromCodePoint(code).toWellFormed();
  });
}

/** Throws for an answer that does not begin like XML. */
function checkKind(subject: string, bytes: Uint8Array): void {
  const head = new TextDecoder().decode(bytes.subarray(0, HEAD_BYTES)).trimStart();
  if (head === '') throw new ChangeError('truncated', `${subject}: expected XML-RPC, got an empty answer`);
  const actual = /^<(!doctype\s+html|html|head|body)\b/i.test(head)
    ? 'a web page'
    : head[0] === '<'
      ? null
      : 'other text';
  if (actual !== null) throw new ChangeError('wrong-shape', `${subject}: expected XML-RPC, got ${actual}`);
}

type Tag = 'open' | 'close' | 'empty' | 'end';

class Reader {
  readonly #subject: string;
  readonly #bytes: Uint8Array;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #at = 0;
  /** The tag that was read last, and the bytes of the text before it. */
  #tag: Tag = 'end';
  #name = '';
  #textStart = 0;
  #textEnd = 0;

  constructor(subject: string, bytes: Uint8Array) {
    this.#subject = subject;
    this.#bytes = bytes;
  }

  answer(onItem: ((item: XmlRpcValue, index: number) => void) | undefined): XmlRpcAnswer {
    this.#skipByteOrderMark();
    this.#expect('open', 'methodResponse');
    this.#next();
    if (this.#is('open', 'fault')) return { fault: faultOf(this.#wrapped('fault', [])) };
    if (!this.#is('open', 'params')) throw this.#unexpected('params or fault');
    this.#expect('open', 'param');
    return { value: this.#wrapped('param', ['params'], onItem) };
  }

  /** The one value in `element`, and the ends of it, of the elements around it, and of the answer. */
  #wrapped(element: string, around: string[], onItem?: (item: XmlRpcValue, index: number) => void): XmlRpcValue {
    this.#next();
    const value = this.#item(1, onItem);
    for (const name of [element, around, 'methodResponse'].flat()) this.#expect('close', name);
    this.#next(true);
    if (this.#tag !== 'end' || !this.#isBlank()) throw this.#fault('nothing after the answer', 'more');
    return value;
  }

  /** The value that begins with the tag that was read last. */
  #item(depth: number, onItem?: (item: XmlRpcValue, index: number) => void): XmlRpcValue {
    if (this.#is('empty', 'value')) return '';
    if (!this.#is('open', 'value')) throw this.#unexpected('value');
    return this.#value(depth, onItem);
  }

  /** The value whose `<value>` was read last, up to its `</value>`. */
  #value(depth: number, onItem?: (item: XmlRpcValue, index: number) => void): XmlRpcValue {
    if (depth > DEPTH_MAX) throw this.#fault(`values nested at most ${DEPTH_MAX} deep`, 'deeper ones');
    this.#next(true);
    // A value without a type is text.
    if (this.#is('close', 'value')) return this.#text(this.#textStart, this.#textEnd);
    this.#checkBlank();
    const type = this.#name;
    if (this.#tag === 'empty') return this.#ended(emptyOf(type));
    if (this.#tag !== 'open') throw this.#unexpected('a type');
    if (type === 'array') return this.#ended(this.#array(depth, onItem));
    if (type === 'struct') return this.#ended(this.#struct(depth));
    this.#next(true);
    if (!this.#is('close', type)) throw this.#unexpected(`the end of ${type}`);
    return this.#ended(this.#scalar(type));
  }

  /** The value, once the end of its element was read; undefined where its type is none of XML-RPC's. */
  #ended(value: XmlRpcValue | undefined): XmlRpcValue {
    if (value === undefined) throw this.#unexpected('a type');
    this.#expect('close', 'value');
    return value;
  }

  #scalar(type: string): XmlRpcValue | undefined {
    const text = () => this.#text(this.#textStart, this.#textEnd);
    switch (type) {
      case 'int':
      case 'i4':
      case 'i8':
      case 'double':
        return this.#number(text().trim(), type === 'double');
      case 'boolean':
        return text().trim() === '1';
      case 'string':
      case 'dateTime.iso8601':
      case 'base64':
        return text();
      case 'nil':
      case 'ex:nil':
        return null;
      default:
        return undefined;
    }
  }

  #number(text: string, isDouble: boolean): number {
    const isNumber = isDouble ? text !== '' && Number.isFinite(Number(text)) : /^[+-]?\d{1,400}$/.test(text);
    if (!isNumber) throw this.#fault('a number', 'other text');
    return Number(text);
  }

  #array(depth: number, onItem?: (item: XmlRpcValue, index: number) => void): XmlRpcValue[] {
    const items: XmlRpcValue[] = [];
    let index = 0;
    this.#next();
    if (!this.#is('empty', 'data')) {
      if (!this.#is('open', 'data')) throw this.#unexpected('data');
      for (this.#next(); !this.#is('close', 'data'); this.#next()) {
        const item = this.#item(depth + 1);
        if (onItem) onItem(item, index++);
        else items.push(item);
      }
    }
    this.#expect('close', 'array');
    return items;
  }

  #struct(depth: number): Map<string, XmlRpcValue> {
    const members = new Map<string, XmlRpcValue>();
    for (this.#next(); !this.#is('close', 'struct'); this.#next()) {
      if (!this.#is('open', 'member')) throw this.#unexpected('member');
      this.#expect('open', 'name');
      this.#next(true);
      if (!this.#is('close', 'name')) throw this.#unexpected('the end of name');
      const name = this.#text(this.#textStart, this.#textEnd);
      this.#expect('open', 'value');
      members.set(name, this.#value(depth + 1));
      this.#expect('close', 'member');
    }
    return members;
  }

  #is(tag: Tag, name: string): boolean {
    return this.#tag === tag && this.#name === name;
  }

  #expect(tag: Tag, name: string): void {
    this.#next();
    if (!this.#is(tag, name)) throw this.#unexpected(tag === 'close' ? `the end of ${name}` : name);
  }

  /** Reads the next tag. Only where `hasText` the text before it may be other than white space. */
  #next(hasText = false): void {
    const bytes = this.#bytes;
    this.#textStart = this.#at;
    let at = this.#at;
    for (;;) {
      while (at < bytes.length && bytes[at] !== OPEN) at += 1;
      this.#textEnd = at;
      if (at >= bytes.length) {
        this.#tag = 'end';
        this.#name = '';
        this.#at = at;
        break;
      }
      const end = this.#tagEnd(at);
      if (bytes[at + 1] !== QUESTION) {
        this.#readTag(at + 1, end);
        this.#at = end + 1;
        break;
      }
      // The declaration at the beginning, and other instructions, say nothing.
      this.#checkBlank();
      at = end + 1;
      this.#textStart = at;
    }
    if (!hasText) this.#checkBlank();
  }

  /** The index of the `>` that ends the tag at `start`. */
  #tagEnd(start: number): number {
    const bytes = this.#bytes;
    // A document type can define entities that grow without end. Comments and CDATA are in no answer of an index.
    if (bytes[start + 1] === BANG) throw this.#fault('no DOCTYPE, comment or CDATA', 'one of them');
    let end = start + 1;
    while (end < bytes.length && bytes[end] !== CLOSE) end += 1;
    if (end >= bytes.length) throw this.#cut();
    return end;
  }

  #readTag(from: number, to: number): void {
    const bytes = this.#bytes;
    let [start, end] = [from, to];
    this.#tag = 'open';
    if (bytes[start] === SLASH) {
      this.#tag = 'close';
      start += 1;
    } else if (bytes[end - 1] === SLASH) {
      this.#tag = 'empty';
      end -= 1;
    }
    let nameEnd = start;
    while (nameEnd < end && bytes[nameEnd]! > SPACE!) nameEnd += 1;
    this.#name = nameIn(bytes, start, nameEnd);
  }

  /** The text of some bytes. Throws for bytes that are not UTF-8. */
  #text(start: number, end: number): string {
    if (start === end) return '';
    try {
      return decodeReferences(this.#decoder.decode(this.#bytes.subarray(start, end)));
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw this.#fault('text', 'bytes that are not UTF-8');
    }
  }

  #skipByteOrderMark(): void {
    const [first, second, third] = this.#bytes;
    if (first === 0xef && second === 0xbb && third === 0xbf) this.#at = 3;
  }

  /** Whether the text before the last tag is white space. */
  #isBlank(): boolean {
    for (let at = this.#textStart; at < this.#textEnd; at++) if (this.#bytes[at]! > SPACE!) return false;
    return true;
  }

  #checkBlank(): void {
    if (this.#isBlank()) return;
    // An answer that is cut within a text ends with text.
    throw this.#tag === 'end' ? this.#cut() : this.#fault('a tag', 'text between tags');
  }

  #unexpected(expected: string): ChangeError {
    if (this.#tag === 'end') return this.#cut();
    const [before, after] = { open: ['<', '>'], close: ['</', '>'], empty: ['<', '/>'] }[this.#tag];
    return this.#fault(expected, this.#name === '' ? 'another tag' : `${before}${this.#name}${after}`);
  }

  #cut(): ChangeError {
    return new ChangeError('truncated', `${this.#subject}: expected XML-RPC, got its beginning`);
  }

  #fault(expected: string, actual: string): ChangeError {
    return new ChangeError('wrong-shape', `${this.#subject}: expected ${expected} at byte ${this.#at}, got ${actual}`);
  }
}

/** The name in a tag; empty for one that XML-RPC does not have. */
function nameIn(bytes: Uint8Array, start: number, end: number): string {
  for (const known of NAMES_BY_LENGTH.get(end - start) ?? []) {
    let at = 0;
    while (at < known.bytes.length && known.bytes[at] === bytes[start + at]) at += 1;
    if (at === known.bytes.length) return known.name;
  }
  return '';
}

function emptyOf(type: string): XmlRpcValue | undefined {
  if (type === 'nil' || type === 'ex:nil') return null;
  if (type === 'string' || type === 'base64') return '';
  return type === 'struct' ? new Map() : undefined;
}

function faultOf(value: XmlRpcValue): { code: number | null; text: string } {
  const members = value instanceof Map ? value : new Map<string, XmlRpcValue>();
  const [code, text] = [members.get('faultCode'), members.get('faultString')];
  return { code: typeof code === 'number' ? code : null, text: typeof text === 'string' ? text : '' };
}
