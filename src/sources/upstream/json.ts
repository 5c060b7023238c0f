import type { core, ZodType } from 'zod';
import { ChangeError } from '../../errors.ts';
import { hasMoreValues } from './json-values.ts';

/** The first bytes of an answer that are checked for its kind: JSON does not begin with more white space. */
const HEAD_BYTES = 1024;

/** The bytes of an answer, and the headers that describe them. */
export interface JsonAnswer {
  bytes: Uint8Array;
  contentType: string | null;
  /** The body was compressed, and a decoder may ignore that the end of a compressed body is missing. */
  encoded: boolean;
}

/** JSON of so many values that its tree would fill memory. */
export class TooManyValues extends ChangeError {
  constructor(subject: string, valuesMax: number) {
    super('too-large', `${subject}: expected at most ${valuesMax} values, got more`);
  }
}

/** Parses an answer that should be JSON, of at most `valuesMax` values. Throws `ChangeError`, and `TooManyValues`. */
export function parseJson(subject: string, answer: JsonAnswer, valuesMax: number): unknown {
  if (hasMoreValues(answer.bytes, valuesMax)) throw new TooManyValues(subject, valuesMax);
  let text = '';
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(answer.bytes, { stream: answer.encoded });
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw jsonFault(subject, answer, 'bytes');
    throw jsonFault(subject, answer, endsEarly(error.message, text.length) ? 'end' : 'syntax');
  }
}

/** The error of an answer that is not JSON; `fault` says what the parser met: no UTF-8, a syntax error, or an early end. */
export function jsonFault(subject: string, answer: JsonAnswer, fault: 'bytes' | 'syntax' | 'end'): ChangeError {
  const notJson = notJsonFault(subject, answer);
  if (notJson) return notJson;
  if (fault === 'end' && answer.encoded)
    return new ChangeError('truncated', `${subject}: expected JSON, got its beginning`);
  // The parser's own message quotes the text, which may hold personal data.
  const actual = { bytes: 'bytes that are not UTF-8', syntax: 'a syntax error', end: 'a syntax error at its end' }[
    fault
  ];
  return new ChangeError('malformed-json', `${subject}: expected JSON, got ${actual}`);
}

/** The error of an answer that does not begin like JSON; null where it does. */
export function notJsonFault(
  subject: string,
  { bytes, contentType }: Pick<JsonAnswer, 'bytes' | 'contentType'>,
): ChangeError | null {
  const first = new TextDecoder().decode(bytes.subarray(0, HEAD_BYTES)).trimStart().slice(0, 1);
  if (first === '<') return new ChangeError('not-json', `${subject}: expected JSON, got markup`);
  const isOther = first !== '' && contentType !== null && !/json/i.test(contentType) && !'{['.includes(first);
  return isOther ? new ChangeError('not-json', `${subject}: expected JSON, got other text`) : null;
}

/** Whether the parser's message says that the text ended early, by its words or by the position that it names. */
function endsEarly(message: string, length: number): boolean {
  return /end of JSON input|unterminated/i.test(message) || Number(/at position (\d+)/.exec(message)?.[1]) === length;
}

/** Reads a value with its shape. Throws `wrong-shape` that names the path of the wrong part, and never its value. */
export function checkShape<T>(subject: string, shape: ZodType<T>, value: unknown): T {
  const read = shape.safeParse(value);
  if (read.success) return read.data;
  const fault = read.error.issues[0];
  throw wrongShape(subject, { path: fault?.path ?? [], expected: expectedBy(fault), value });
}

/** The error of a value whose part at `path` is not as expected; `value` is the whole value. */
export function wrongShape(
  subject: string,
  { path, expected, value }: { path: PropertyKey[]; expected: string; value: unknown },
): ChangeError {
  let actual = value;
  for (const key of path) actual = isObject(actual) || Array.isArray(actual) ? Reflect.get(actual, key) : undefined;
  return new ChangeError(
    'wrong-shape',
    `${subject}: expected ${pathText(path)} to be ${expected}, got ${kindOf(actual)}`,
  );
}

/** A list or object of a large document that is not parsed yet: the range of its bytes. */
export class Unread {
  readonly #document: Uint8Array;
  readonly #start: number;
  readonly #end: number;

  constructor(document: Uint8Array, start: number, end: number) {
    this.#document = document;
    this.#start = start;
    this.#end = end;
  }

  read(): unknown {
    return JSON.parse(new TextDecoder().decode(this.#document.subarray(this.#start, this.#end)));
  }
}

export type JsonObject = Record<string, unknown>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function expectedBy(fault: core.$ZodIssue | undefined): string {
  if (fault?.code === 'invalid_type') return KINDS.get(fault.expected) ?? fault.expected;
  return fault?.message ?? 'another value';
}

const KINDS = new Map<string, string>([
  ['object', 'an object'],
  ['array', 'a list'],
  ['string', 'text'],
  ['number', 'a number'],
  ['int', 'a whole number'],
  ['boolean', 'true or false'],
]);

function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'number' && !Number.isInteger(value)) return 'a number with a fraction';
  return KINDS.get(typeof value) ?? typeof value;
}

/** A path as text, `results[3].seq`. A key that may be an upstream's data instead of a field's name becomes `[…]`. */
function pathText(path: PropertyKey[]): string {
  const text = path
    .map(key => (typeof key === 'number' ? `[${key}]` : /^[\w-]{1,40}$/.test(String(key)) ? `.${String(key)}` : '[…]'))
    .join('')
    .replace(/^\./, '');
  return text || 'the answer';
}
