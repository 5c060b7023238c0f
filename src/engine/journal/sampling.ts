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
