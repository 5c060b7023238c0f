import { sha256 } from '../../digest.ts';

/** A byte for each key: with six bits a key, one in fifty other keys seems to be there. */
export const FILTER_KEYS_MAX = 1_024;
/** Of few keys more would fall together. */
const FILTER_BYTES_MIN = 16;
const BITS_PER_KEY = 6;

/** The key of a thing as one text: the value of a single key column, else the JSON array of the values. */
export function keyText(values: readonly string[]): string {
  return values.length === 1 ? values[0]! : JSON.stringify(values);
}

/** A Bloom filter of these keys as base64; null of more than `FILTER_KEYS_MAX`: it would weigh more than it spares. */
export function filterOf(keys: ReadonlySet<string>): string | null {
  if (keys.size === 0 || keys.size > FILTER_KEYS_MAX) return null;
  const filter = new Uint8Array(Math.max(keys.size, FILTER_BYTES_MIN));
  for (const key of keys) for (const bit of bitsOf(key, filter.length * 8)) filter[bit >> 3]! |= 1 << (bit & 7);
  return btoa(String.fromCharCode(...filter));
}

/** Whether a key can be one of those a filter was made of. */
export function mayHold(filter: string, key: string): boolean {
  const bytes = atob(filter);
  return bitsOf(key, bytes.length * 8).every(bit => (bytes.charCodeAt(bit >> 3) & (1 << (bit & 7))) !== 0);
}

function bitsOf(key: string, bits: number): number[] {
  const digest = sha256(key);
  return Array.from({ length: BITS_PER_KEY }, (_, word) => digest.readUInt32BE(4 * word) % bits);
}
