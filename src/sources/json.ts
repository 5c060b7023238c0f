import type { core, ZodType } from 'zod';
import { UpstreamError } from '../errors.ts';

/** The bytes of an answer, and what its headers say about them. */
interface JsonAnswer {
  bytes: Uint8Array;
  contentType: string | null;
  /** The body came compressed: a decoder may pass over its end being missing. */
  encoded: boolean;
}

/** The value of an answer that should be JSON; throws `UpstreamError`. */
export function parseJson(subject: string, { bytes, contentType, encoded }: JsonAnswer): unknown {
  let text = '';
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes, { stream: encoded });
    return JSON.parse(text);
  } catch (error) {
    const first = text.trimStart().slice(0, 1);
    if (
      first === '<' ||
      (first !== '' && contentType !== null && !/json/i.test(contentType) && !'{['.includes(first))
    ) {
      throw new UpstreamError('not-json', `${subject}: expected JSON, got ${first === '<' ? 'markup' : 'other text'}`);
    }
    const ended = error instanceof SyntaxError && endsEarly(error.message, text.length);
    if (ended && encoded) throw new UpstreamError('truncated', `${subject}: expected JSON, got its beginning`);
    // The parser's own message quotes the text, which may be anybody's data.
    const actual =
      error instanceof SyntaxError ? `a syntax error${ended ? ' at its end' : ''}` : 'bytes that are not UTF-8';
    throw new UpstreamError('malformed-json', `${subject}: expected JSON, got ${actual}`);
  }
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
): UpstreamError {
  let actual = value;
  for (const step of path) actual = isObject(actual) || Array.isArray(actual) ? Reflect.get(actual, step) : undefined;
  return new UpstreamError(
    'wrong-shape',
    `${subject}: expected ${placeOf(path)} to be ${expected}, got ${kindOf(actual)}`,
  );
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
