/** Whether a key is in the sample of this share. It depends on key and share alone, so both sides of a sweep agree. */
export function isSampled(key: string, sample: number): boolean {
  return hashOf(key) < sample * 2 ** 32;
}

/**
 * FNV-1a over UTF-16 units, then the final mixing of MurmurHash3, so that every bit of the key affects every bit of the
 * hash.
 */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
