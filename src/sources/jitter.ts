/**
 * From -1 to below 1: FNV-1a over a key and a time, with mixed bits so that close times differ much. Keys that were added
 * together are spread by it, and the same visit has the same jitter each time it is computed.
 */
export function jitterOf(key: string, nowMs: number): number {
  let hash = 0x811c9dc5;
  for (const character of `${key} ${nowMs}`) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 31 - 1;
}
