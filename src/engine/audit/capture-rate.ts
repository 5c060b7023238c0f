/** The standard normal's 97.5 % point: 95 % lie within it on both sides. */
const Z = 1.959963984540054;

/** A share and the bounds it lies between with 95 % confidence. */
export interface Share {
  share: number;
  low: number;
  high: number;
}

/**
 * `hits` of `trials` as a share with its Wilson score interval (Wilson 1927), which holds near 0 and 1 and for few
 * trials as well. Null where nothing was tried.
 */
export function wilson(hits: number, trials: number): Share | null {
  if (trials === 0) return null;
  const share = hits / trials;
  const squared = Z * Z;
  const middle = (hits + squared / 2) / (trials + squared);
  const reach = (Z / (trials + squared)) * Math.sqrt(trials * share * (1 - share) + squared / 4);
  // At the ends a bound is the share itself, and only rounding says otherwise.
  return { share, low: hits === 0 ? 0 : middle - reach, high: hits === trials ? 1 : middle + reach };
}

/** Whether a key is in a sample of this share: the same for a key wherever and whenever it is asked. */
export function isSampled(key: string, sample: number): boolean {
  return hashOf(key) < sample * 2 ** 32;
}

/** FNV-1a over UTF-16 units, then the mixing that ends MurmurHash3: every bit of the key moves every bit. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
