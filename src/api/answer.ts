/** Codes of errors, and the HTTP status of each. */
const STATUS = {
  invalid_body: 400,
  invalid_query: 400,
  invalid_setting: 400,
  unauthorized: 401,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  too_large: 413,
  internal: 500,
  upstream_failed: 502,
  timeout: 504,
} as const;

export type ErrorCode = keyof typeof STATUS;

/** An error answer: what a handler throws instead of answering. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: ErrorCode;
  readonly hint: string;
  readonly headers: Record<string, string>;

  constructor(code: ErrorCode, message: string, hint: string, headers: Record<string, string> = {}) {
    super(message);
    this.code = code;
    this.hint = hint;
    this.headers = headers;
  }
}

/** A field of a request that is not as it should be. */
export function invalid(name: string, expected: string, given: unknown, hint: string): ApiError {
  const actual = JSON.stringify(given ?? null).slice(0, 100);
  return new ApiError('invalid_body', `${name}: expected ${expected}, got ${actual}`, hint);
}

/** An answer in JSON, never cached. */
export function answer(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return Response.json(body, { status, headers: { 'cache-control': 'no-store', ...headers } });
}

/** The answer an error becomes. */
export function errorAnswer({ code, message, hint, headers }: ApiError): Response {
  return answer({ error: { code, message, hint } }, STATUS[code], headers);
}

/** The message of a wrong setting, null of any other error. An object's error arrives as a plain one with that name. */
export function settingMessage(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const prefix = 'SettingError: ';
  if (error.message.startsWith(prefix)) return error.message.slice(prefix.length);
  return error.name === 'SettingError' ? error.message : null;
}
