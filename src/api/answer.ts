/** The HTTP status of each error code. */
const STATUS = {
  invalid_body: 400,
  invalid_query: 400,
  invalid_setting: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  too_large: 413,
  internal: 500,
  upstream_failed: 502,
  timeout: 504,
  full: 507,
} as const;

export type ErrorCode = keyof typeof STATUS;

/** An error that a handler throws; the router answers with it. */
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

/** Answers in JSON that no cache may store. */
export function answer(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return Response.json(body, { status, headers: { 'cache-control': 'no-store', ...headers } });
}

export function errorAnswer({ code, message, hint, headers }: ApiError): Response {
  return answer({ error: { code, message, hint } }, STATUS[code], headers);
}

/** The message of a `SettingError`; null for any other error. */
export function settingMessage(error: unknown): string | null {
  return messageOfNamed(error, 'SettingError');
}

/**
 * The message of an error of this name; null for any other error. An error that an object throws crosses the RPC as a
 * plain `Error`: its name, or the beginning of its message, says what it was.
 */
export function messageOfNamed(error: unknown, name: string): string | null {
  if (!(error instanceof Error)) return null;
  const prefix = `${name}: `;
  if (error.message.startsWith(prefix)) return error.message.slice(prefix.length);
  return error.name === name ? error.message : null;
}
