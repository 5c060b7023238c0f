import { LIMITS } from '../config.ts';
import { shortDigest } from '../digest.ts';
import { CHANGE_KEY_LENGTH_MAX, storableKey } from '../ports/sql-guard.ts';
import type { Agenda, SignalReading } from '../sources/source.ts';
import { ApiError, answer } from './answer.ts';
import { readBytes } from './body.ts';
import type { ApiCall } from './env.ts';
import { sourceOf } from './sources.ts';

const BODY_HINT = 'A signal that is lost costs time only: its keys are visited when they are due.';
const SIGN_HINT = 'Sign the request as the page of the source says, with the secret that its setting names.';

/**
 * Takes a signal: what its source reads in the request and is watched becomes due now. Throws `not_found` where the
 * source takes none, `unauthorized` or `invalid_body` where it refuses this one, and `too_large`.
 */
export async function takeSignal(call: ApiCall): Promise<Response> {
  const { id, stub } = sourceOf(call);
  const source = call.known.sources.find(one => one.id === id)!;
  const { agenda } = source;
  if (!agenda?.signals)
    throw new ApiError('not_found', `${id} takes no signals.`, `Signals are taken by: ${signalledIn(call)}.`);
  // Read the whole body, because its signature is over all of it.
  const body = await readBytes(call.request.body, { bytesMax: LIMITS.signalBytesMax, hint: BODY_HINT });
  // Let the source check who sent it, and read the keys.
  const settings = source.settings({ ...call.env });
  const read = await agenda.signals.verify({ headers: call.request.headers, body }, settings);
  if ('refused' in read) throw refusal(read);
  // Make the keys that are watched due. The delivery's own id may be of any length.
  const { keys, unread } = keysOf(agenda, read.keys);
  const result = await stub.signal({ id: shortDigest(read.id), keys, unread });
  return answer({ source: id, ...result });
}

function refusal({ refused, message }: Extract<SignalReading, { refused: string }>): ApiError {
  return refused === 'unsigned'
    ? new ApiError('unauthorized', `signal: ${message}`, SIGN_HINT)
    : new ApiError('invalid_body', `signal: ${message}`, BODY_HINT);
}

/** The keys in canonical form, each once, and how many texts are no keys, or are over the limit. */
function keysOf({ read }: Agenda<unknown>, texts: string[]): { keys: string[]; unread: number } {
  const keys = new Set<string>();
  let unread = Math.max(0, texts.length - LIMITS.signalKeysMax);
  for (const text of texts.slice(0, LIMITS.signalKeysMax)) {
    // A longer text is no key of any source, and reading it could take long.
    const found = text.length > CHANGE_KEY_LENGTH_MAX ? { rejected: 'key-too-long' } : read(text);
    if ('key' in found) keys.add(storableKey(found.key));
    else unread += 1;
  }
  return { keys: [...keys], unread };
}

function signalledIn({ known }: ApiCall): string {
  const ids = known.sources.filter(({ agenda }) => agenda?.signals).map(({ id }) => id);
  return ids.length === 0 ? 'no source' : ids.join(', ');
}
