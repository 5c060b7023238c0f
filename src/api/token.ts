import { isSecretSetting, readSettings } from '../config.ts';
import { ApiError } from './answer.ts';
import type { ApiEnv } from './env.ts';

/** Lets through who has the token; throws `unauthorized` for all else. Without a token set nobody has it. */
export async function requireToken(request: { headers: Headers }, env: ApiEnv): Promise<void> {
  const { adminToken } = readSettings({ ...env });
  if (adminToken === null)
    throw unauthorized('Set ADMIN_TOKEN of the worker first: without it every change is refused.');
  const given = /^Bearer +(\S.*)$/i.exec(request.headers.get('authorization') ?? '')?.[1];
  if (given === undefined || !(await isSame(given, adminToken))) {
    throw unauthorized('Send the header "Authorization: Bearer <ADMIN_TOKEN>".');
  }
}

/** A text for the log: what the environment holds as a secret is taken out. */
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

/** Compares digests over their whole length: how long it takes tells nothing of the token, its length included. */
async function isSame(given: string, expected: string): Promise<boolean> {
  const [a, b] = await Promise.all([digest(given), digest(expected)]);
  let difference = 0;
  for (const [index, byte] of a.entries()) difference |= byte ^ (b[index] ?? 0);
  return difference === 0;
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
}
