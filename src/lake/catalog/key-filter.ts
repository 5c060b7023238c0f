import { sha256 } from '../../digest.ts';

/** A filter has one byte for each key. With six bits a key, one in fifty other keys passes it. */
export const FILTER_KEYS_MAX = 1_024;
/** A shorter filter would let more other keys pass. */
const FILTER_BYTES_MIN = 16;
const BITS_PER_KEY = 6;

/**
 * A Bloom filter of these keys as base64. Null for no key, and for more than `FILTER_KEYS_MAX`, because it costs too
 * much.
 */
export function filterOf(keys: ReadonlySet<string>): string | null {
  if (keys.size === 0 || keys.size > FILTER_KEYS_MAX) return null;
  const filter = new Uint8Array(Math.max(keys.size, FILTER_BYTES_MIN));
  for (const key of keys) for (const bit of bitsOf(key, filter.length * 8)) filter[bit >> 3]! |= 1 << (bit & 7);
  return btoa(String.fromCharCode(...filter));
}

/** Whether a key can be one of the keys of a filter (base64). */
export function mayHold(filter: string, key: string): boolean {
  const bytes = atob(filter);
  return bitsOf(key, bytes.length * 8).every(bit => (bytes.charCodeAt(bit >> 3) & (1 << (bit & 7))) !== 0);
}

function bitsOf(key: string, bits: number): number[] {
  const digest = sha256(key);
  return Array.from({ length: BITS_PER_KEY }, (_, word) => digest.readUInt32BE(4 * word) % bits);
}
