import { isSecretSetting, LIMITS, LOCAL_MARK, withoutSecrets as mask, readTokens } from '../config.ts';
import { sha256 } from '../digest.ts';
import { ApiError } from './answer.ts';
import type { ApiEnv } from './env.ts';

/** The parts of a request that say whether it may be answered. */
interface Asking {
  headers: Headers;
  url: string;
}

/**
 * What a route needs: `open` is closed by READ_TOKEN only, `token` always needs ADMIN_TOKEN, and of a `signed` request
 * its source says whether it may be answered.
 */
export type Access = 'open' | 'token' | 'signed';

/** Host names under which only programs of this machine reach it. Another name may have been made to point here. */
const LOOPBACK = /^(?:localhost|[a-z0-9.-]+\.localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

const HEADER_HINT = 'Send the header "Authorization: Bearer <ADMIN_TOKEN>".';

/**
 * Throws `forbidden` when a worker of this machine is asked under a name of another one: a page whose name was made to
 * point here asks so, and its browser would let it read the answer.
 */
export function requireLoopback({ headers, url }: Asking, env: ApiEnv): void {
  if (!isLocal(env)) return;
  const hosts = [new URL(url).host, headers.get('host')].filter(host => host !== null);
  if (hosts.every(host => LOOPBACK.test(URL.parse(`http://${host}`)?.hostname ?? ''))) return;
  throw new ApiError(
    'forbidden',
    'Only programs of this machine may ask.',
    'Use http://127.0.0.1 or http://localhost.',
  );
}

/**
 * Throws `unauthorized` unless the request carries a token that the route takes. Without ADMIN_TOKEN, every request
 * that needs it is refused.
 */
export function requireToken({ headers }: Asking, env: ApiEnv, access: Access): void {
  if (access === 'signed') return;
  const { adminToken, readToken } = readTokens({ ...env });
  if (access === 'open' && readToken === null) return;
  const admin = { name: 'ADMIN_TOKEN', token: adminToken };
  const accepted = access === 'open' ? [{ name: 'READ_TOKEN', token: readToken }, admin] : [admin];
  const strong = accepted.filter(({ token }) => token !== null && isStrong(token, env));
  const given = /^Bearer +(\S.*)$/i.exec(headers.get('authorization') ?? '')?.[1] ?? '';
  // Compare with each, so that the time it takes does not say which one it was.
  if (strong.filter(({ token }) => isSame(given, token!)).length > 0) return;
  throw unauthorized(strong.length > 0 ? hintFor(access) : weakHint(accepted));
}

/** Replaces every secret of the environment in a text for the log. */
export function withoutSecrets(text: string, env: ApiEnv): string {
  const secrets = Object.entries(env).flatMap(([name, value]) =>
    isSecretSetting(name) && typeof value === 'string' ? [value] : [],
  );
  return mask(text, secrets, '***');
}

/** Whether a token may be used: a deployed worker refuses those that can be guessed. */
function isStrong(token: string, env: ApiEnv): boolean {
  return isLocal(env) || token.length >= LIMITS.tokenLengthMin;
}

function isLocal(env: ApiEnv): boolean {
  return Boolean((env as unknown as Record<string, unknown>)[LOCAL_MARK]);
}

function hintFor(access: Access): string {
  return access === 'token' ? HEADER_HINT : HEADER_HINT.replace('<ADMIN_TOKEN>', '<READ_TOKEN>');
}

/** Says what is wrong with the worker's own tokens. */
function weakHint(accepted: { name: string; token: string | null }[]): string {
  const set = accepted.filter(({ token }) => token !== null).map(({ name }) => name);
  if (set.length === 0) return 'Set ADMIN_TOKEN of the worker first: without it every change is refused.';
  return `Set ${set.join(' and ')} of the worker to at least ${LIMITS.tokenLengthMin} characters: a shorter token is refused because it can be guessed.`;
}

function unauthorized(hint: string): ApiError {
  return new ApiError('unauthorized', 'This request needs a token.', hint, { 'www-authenticate': 'Bearer' });
}

/** Compares digests over their whole length, so that the time it takes reveals nothing, not even the token's length. */
function isSame(given: string, expected: string): boolean {
  const [a, b] = [sha256(given), sha256(expected)];
  let difference = 0;
  for (const [index, byte] of a.entries()) difference |= byte ^ (b[index] ?? 0);
  return difference === 0;
}
