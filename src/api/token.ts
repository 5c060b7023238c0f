import { isSecretSetting, readSettings } from '../config.ts';
import { sha256 } from '../digest.ts';
import { ApiError } from './answer.ts';
import type { ApiEnv } from './env.ts';

/** Throws `unauthorized` unless the request carries ADMIN_TOKEN. Without that setting it refuses every request. */
export async function requireToken(request: { headers: Headers }, env: ApiEnv): Promise<void> {
  const { adminToken } = readSettings({ ...env });
  if (adminToken === null)
    throw unauthorized('Set ADMIN_TOKEN of the worker first: without it every change is refused.');
  const given = /^Bearer +(\S.*)$/i.exec(request.headers.get('authorization') ?? '')?.[1];
  if (given === undefined || !isSame(given, adminToken)) {
    throw unauthorized('Send the header "Authorization: Bearer <ADMIN_TOKEN>".');
  }
}

/** Replaces every secret of the environment in a text for the log. */
export function withoutSecrets(text: string, env: ApiEnv): string {
  const secrets = Object.entries(env).filter(([name]) => isSecretSetting(name));
  return secrets.reduce(
    (rest, [, value]) => (typeof value === 'string' && value !== '' ? rest.replaceAll(value, '***') : rest),
    text,
  );
}

function unauthorized(hint: string): ApiError {
  return new ApiError('unauthorized', 'This request needs the admin token.', hint, { 'www-authenticate': 'Bearer' });
}

/** Compares digests over their whole length, so that the time it takes reveals nothing, not even the token's length. */
function isSame(given: string, expected: string): boolean {
  const [a, b] = [sha256(given), sha256(expected)];
  let difference = 0;
  for (const [index, byte] of a.entries()) difference |= byte ^ (b[index] ?? 0);
  return difference === 0;
}
