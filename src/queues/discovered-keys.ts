import type { WatchPart, WatchResult } from '../contract/watched-keys.ts';
import { messageOf } from '../errors.ts';
import type { LogPort } from '../ports/platform.ts';
import type { Agenda } from '../sources/source.ts';

/** Keys for an agenda, as a queue carries them. `id`: the sending source's own number of a key. */
export interface KeysMessage {
  source: string;
  target: string;
  keys: { id: number; key: string }[];
}

interface ConsumerOptions {
  objectOf: (source: string) => {
    watchKeys(part: WatchPart): Promise<WatchResult>;
    keysArrived(ids: number[]): Promise<void>;
  };
  /** How a source's agenda reads keys; undefined where it has none. */
  rules: (source: string) => Pick<Agenda<unknown>, 'read'> | undefined;
  log: LogPort;
}

/**
 * Adds keys to the agenda they are for, then reports their arrival to the source that sent them. Adding them twice makes
 * no difference. A text that the agenda does not take for a key counts as arrived, because sending it again would not help.
 */
export async function consumeKeys(
  messages: readonly { body: unknown; ack(): void; retry(): void }[],
  { objectOf, rules, log }: ConsumerOptions,
): Promise<void> {
  for (const message of messages) {
    const body = message.body as KeysMessage;
    const agenda = isKeys(body) ? rules(body.target) : undefined;
    if (!agenda) {
      log('keys_refused', { reason: 'expected keys for an agenda, got another message' });
      message.ack();
      continue;
    }
    const { source, target, keys } = body;
    const read = keys.flatMap(({ id, key }) => {
      const one = agenda.read(key);
      return 'key' in one ? [{ line: id, ...one }] : [];
    });
    try {
      const { added, refused } = await objectOf(target).watchKeys({ atMs: null, keys: read });
      if (refused) throw new Error(refused.message);
      await objectOf(source).keysArrived(keys.map(({ id }) => id));
      log('keys_arrived', { source, target, keys: keys.length, added });
      message.ack();
    } catch (error) {
      log('keys_failed', { source, target, keys: keys.length, reason: messageOf(error) });
      message.retry();
    }
  }
}

function isKeys(body: Partial<KeysMessage> | null): body is KeysMessage {
  const { source, target, keys } = body ?? {};
  if (typeof source !== 'string' || typeof target !== 'string' || !Array.isArray(keys)) return false;
  return keys.every(one => Number.isSafeInteger(one?.id) && typeof one.key === 'string');
}
