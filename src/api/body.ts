import { ApiError } from './answer.ts';

/** Bodies that are read whole are small: a filter, or a thousand ids. */
const BODY_LENGTH_MAX = 100_000;

/** A body that is empty, or a JSON object with no other fields than these. Throws `invalid_body`. */
export function readBody(text: string, { fields, hint }: { fields: string[]; hint: string }): Record<string, unknown> {
  if (text.trim() === '') return {};
  const body = text.length > BODY_LENGTH_MAX ? undefined : parsed(text);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ApiError('invalid_body', 'body: expected nothing or a JSON object, got something else', hint);
  }
  const field = Object.keys(body).find(name => !fields.includes(name));
  if (field !== undefined) {
    const expected = fields.length === 0 ? 'no field' : `no other fields than ${fields.join(', ')}`;
    throw new ApiError('invalid_body', `body: expected ${expected}, got ${JSON.stringify(field)}`, hint);
  }
  return body as Record<string, unknown>;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
