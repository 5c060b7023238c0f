import type { core, ZodType } from 'zod';
import { ChangeError } from '../../errors.ts';

/** As much of an answer as tells what it is; nobody begins with more white space. */
const HEAD_BYTES = 1024;

/** The bytes of an answer, and what its headers say about them. */
export interface JsonAnswer {
  bytes: Uint8Array;
  contentType: string | null;
  /** The body came compressed: a decoder may pass over its end being missing. */
  encoded: boolean;
}

/** The value of an answer that should be JSON; throws `ChangeError`. */
export function parseJson(subject: string, answer: JsonAnswer): unknown {
  let text = '';
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(answer.bytes, { stream: answer.encoded });
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw jsonFault(subject, answer, 'bytes');
    throw jsonFault(subject, answer, endsEarly(error.message, text.length) ? 'end' : 'syntax');
  }
}

/** The error for an answer that is no JSON; `fault` is what a parser found: no UTF-8, a wrong place, or an early end. */
export function jsonFault(subject: string, answer: JsonAnswer, fault: 'bytes' | 'syntax' | 'end'): ChangeError {
  const notJson = notJsonFault(subject, answer);
  if (notJson) return notJson;
  if (fault === 'end' && answer.encoded)
    return new ChangeError('truncated', `${subject}: expected JSON, got its beginning`);
  // The parser's own message quotes the text, which may be anybody's data.
  const actual = { bytes: 'bytes that are not UTF-8', syntax: 'a syntax error', end: 'a syntax error at its end' }[
    fault
  ];
  return new ChangeError('malformed-json', `${subject}: expected JSON, got ${actual}`);
}

/** The error for an answer that does not even begin like JSON, null for one that does. */
export function notJsonFault(
  subject: string,
  { bytes, contentType }: Pick<JsonAnswer, 'bytes' | 'contentType'>,
): ChangeError | null {
  const first = new TextDecoder().decode(bytes.subarray(0, HEAD_BYTES)).trimStart().slice(0, 1);
  if (first === '<') return new ChangeError('not-json', `${subject}: expected JSON, got markup`);
  const isOther = first !== '' && contentType !== null && !/json/i.test(contentType) && !'{['.includes(first);
  return isOther ? new ChangeError('not-json', `${subject}: expected JSON, got other text`) : null;
}

/** Whether the parser's complaint is that the text stopped, going by its words or the place it names. */
function endsEarly(complaint: string, length: number): boolean {
  return (
    /end of JSON input|unterminated/i.test(complaint) || Number(/at position (\d+)/.exec(complaint)?.[1]) === length
  );
}

/** The value as its shape reads it; what does not fit is a `wrong-shape` that names the place, and never the value. */
export function checkShape<T>(subject: string, shape: ZodType<T>, value: unknown): T {
  const read = shape.safeParse(value);
  if (read.success) return read.data;
  const fault = read.error.issues[0];
  throw wrongShape(subject, { path: fault?.path ?? [], expected: expectedBy(fault), value });
}

/** The error for a value that is not what `path` should hold; `value` is the whole the path leads into. */
export function wrongShape(
  subject: string,
  { path, expected, value }: { path: PropertyKey[]; expected: string; value: unknown },
): ChangeError {
  let actual = value;
  for (const step of path) actual = isObject(actual) || Array.isArray(actual) ? Reflect.get(actual, step) : undefined;
  return new ChangeError(
    'wrong-shape',
    `${subject}: expected ${placeOf(path)} to be ${expected}, got ${kindOf(actual)}`,
  );
}

/** A list or object of a large document that was passed over: where its bytes are, to be read when they are wanted. */
export class Unread {
  readonly #whole: Uint8Array;
  readonly #start: number;
  readonly #end: number;

  constructor(whole: Uint8Array, start: number, end: number) {
    this.#whole = whole;
    this.#start = start;
    this.#end = end;
  }

  read(): unknown {
    return JSON.parse(new TextDecoder().decode(this.#whole.subarray(this.#start, this.#end)));
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

/** `results[3].seq`; keys that are an upstream's data rather than a field's name stay out. */
function placeOf(path: PropertyKey[]): string {
  const text = path
    .map(step =>
      typeof step === 'number' ? `[${step}]` : /^[\w-]{1,40}$/.test(String(step)) ? `.${String(step)}` : '[…]',
    )
    .join('')
    .replace(/^\./, '');
  return text || 'the answer';
}
