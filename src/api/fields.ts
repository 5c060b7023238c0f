import { ApiError, type ErrorCode } from './answer.ts';

// Fields of a request: properties of a JSON body, and parameters of a query.

/** How a wrong field is reported. */
interface FieldErrorOptions {
  name: string;
  hint: string;
  code?: ErrorCode;
}

/** The error for a field with a wrong value, of which it shows the first 100 characters. */
export function invalid(
  given: unknown,
  expected: string,
  { name, hint, code = 'invalid_body' }: FieldErrorOptions,
): ApiError {
  const actual = JSON.stringify(given ?? null).slice(0, 100);
  return new ApiError(code, `${name}: expected ${expected}, got ${actual}`, hint);
}

/** Reads decimal digits as a number. Throws for any other text, for a repeated parameter, and outside the bounds. */
export function wholeNumber(
  given: unknown,
  { min, max, ...field }: FieldErrorOptions & { min: number; max: number },
): number {
  const value = typeof given === 'string' && /^\d{1,16}$/.test(given) ? Number(given) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw invalid(given, `a whole number from ${min} to ${max}`, field);
}

/** Throws `invalid_body` when an object has a property that is not in `fields`. `subject` names the object. */
export function refuseOtherFields(
  object: object,
  { subject, fields, hint }: { subject: string; fields: readonly string[]; hint: string },
): void {
  const other = Object.keys(object).find(name => !fields.includes(name));
  if (other === undefined) return;
  const expected = fields.length === 0 ? 'no field' : `no other fields than ${fields.join(', ')}`;
  throw new ApiError('invalid_body', `${subject}: expected ${expected}, got ${JSON.stringify(other)}`, hint);
}
