import { isSigned } from '../../digest.ts';
import type { SignalReading, SignalRequest } from '../source.ts';
import { isObject, type JsonObject } from '../upstream/json.ts';
import type { GithubSettings } from './settings.ts';

const SIGNATURE = /^sha256=([\da-f]{64})$/i;

/**
 * Reads a delivery of a GitHub webhook: which repository and which account it is about, by their names of now and of
 * before. An event of a kind that names none, such as `ping`, is taken and names no key.
 */
export function verifySignal({ headers, body }: SignalRequest, { webhookSecret }: GithubSettings): SignalReading {
  if (webhookSecret === null)
    return { refused: 'unsigned', message: 'expected GITHUB_WEBHOOK_SECRET to be set, got no secret' };
  const [, signature] = SIGNATURE.exec(headers.get('x-hub-signature-256') ?? '') ?? [];
  if (signature === undefined || !isSigned(body, { secret: webhookSecret, signature }))
    return {
      refused: 'unsigned',
      message: 'expected a signature of the body in x-hub-signature-256, got none that fits',
    };
  const id = headers.get('x-github-delivery') ?? '';
  if (!/^[\w-]{1,100}$/.test(id))
    return { refused: 'unreadable', message: 'expected a delivery in x-github-delivery, got none' };
  const payload = payloadOf(body, headers.get('content-type') ?? '');
  if (!payload) return { refused: 'unreadable', message: 'expected a JSON object, got something else' };
  return { id, keys: headers.get('x-github-event') === 'ping' ? [] : [...new Set(keysOf(payload))] };
}

/** The payload, which GitHub sends as JSON, or as a form with JSON in it. */
function payloadOf(body: Uint8Array, contentType: string): JsonObject | null {
  const text = new TextDecoder().decode(body);
  const isForm = /^application\/x-www-form-urlencoded\b/i.test(contentType);
  try {
    const json: unknown = JSON.parse(isForm ? (new URLSearchParams(text).get('payload') ?? '') : text);
    return isObject(json) ? json : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function keysOf(payload: JsonObject): string[] {
  const { repository, organization } = payload;
  const fullName = textAt(repository, 'full_name');
  const [owner, name] = fullName?.split('/') ?? [];
  // After a rename or a transfer the watched key is still the old one.
  const oldName = textAt(payload, 'changes', 'repository', 'name', 'from');
  const oldOwner =
    textAt(payload, 'changes', 'owner', 'from', 'user', 'login') ??
    textAt(payload, 'changes', 'owner', 'from', 'organization', 'login');
  const repositories = [
    fullName,
    oldName !== null && owner !== undefined ? `${owner}/${oldName}` : null,
    oldOwner !== null && name !== undefined ? `${oldOwner}/${name}` : null,
  ];
  const accounts = [
    owner ?? null,
    textAt(organization, 'login'),
    textAt(payload, 'changes', 'login', 'from'),
    oldOwner,
  ];
  return repositories
    .flatMap(one => (one === null ? [] : [`repo:${one}`]))
    .concat(accounts.flatMap(one => (one === null ? [] : [`user:${one}`, `owner:${one}`])));
}

/** The text at a path in JSON; null where there is none. */
function textAt(json: unknown, ...path: string[]): string | null {
  let value = json;
  for (const name of path) value = isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  return typeof value === 'string' ? value : null;
}
