import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { zstdFrame } from '../../src/parquet/zstd.ts';

const KINDS = {
  incompressible: (random: number) => random,
  text: (random: number) => 97 + (random & 7),
  zeros: () => 0,
};
type Kind = keyof typeof KINDS;

/**
 * Length and digest of each frame. The bytes of a file depend on its rows and its writer version only, so the version
 * must rise when one of these changes.
 */
const FRAMES: [kind: Kind, size: number, length: number, digest: string][] = [
  ['incompressible', 0, 9, '6fb8543883dafcc2'],
  ['incompressible', 1, 13, 'f8185efd6e6323ae'],
  ['incompressible', 100, 112, 'a943132ed5c4bf71'],
  ['incompressible', 4_096, 4_108, '51e48448f0cb231c'],
  ['incompressible', 40_960, 40_972, '7e559a3335f4b446'],
  ['incompressible', 100_000, 100_012, '5380883be2855331'],
  ['incompressible', 1_000_000, 1_000_033, 'e4e26bb2bb8a7974'],
  ['incompressible', 9_000_000, 9_000_216, 'fafcc0cb43ba2ae1'],
  ['text', 1, 13, 'bc75c5b5c84f6e15'],
  ['text', 100, 64, 'e7d5c403db446349'],
  ['text', 4_096, 1_650, 'dbea897e1d808a67'],
  ['text', 40_960, 17_390, '08c23873446f026b'],
  ['text', 100_000, 43_662, 'bf4bc9e498cd20bc'],
  ['text', 1_000_000, 443_719, '7dd711b72683b556'],
  ['text', 9_000_000, 4_004_257, '20fce76e4d322df7'],
  ['zeros', 1, 13, '24a06421746da013'],
  ['zeros', 100, 20, '19cbea99ffdf80e6'],
  ['zeros', 40_960, 22, '0bbea9770ca7e671'],
  ['zeros', 1_000_000, 50, 'c5395f9386ecc686'],
  ['zeros', 9_000_000, 294, 'a0f328a92165ebd2'],
];

/** Random bytes, always the same for a kind and size (xorshift). */
export function bytesOf(kind: Kind, size: number): Uint8Array {
  const byteOf = KINDS[kind];
  // A loop, because `Uint8Array.from` takes several times as long for the millions of bytes of a large frame.
  const bytes = new Uint8Array(size);
  let state = size + 1;
  for (let index = 0; index < size; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = byteOf(state);
  }
  return bytes;
}

/** The tests of `zstdFrame` that pass in each runtime. */
export function zstdConformance(name: string): void {
  describe(`zstd in ${name}`, () => {
    it.each(FRAMES)('%s, %i bytes: a frame of %i, %s', (kind, size, length, digest) => {
      const frame = zstdFrame(bytesOf(kind, size));
      expect([frame.length, createHash('sha256').update(frame).digest('hex').slice(0, 16)]).toEqual([length, digest]);
    });

    it('is the same at sizes near those that fill an output buffer', () => {
      const digest = createHash('sha256');
      for (const full of [16_384, 40_960, 65_536, 81_920, 131_072]) {
        for (let size = full - 40; size <= full + 10; size++) digest.update(zstdFrame(bytesOf('incompressible', size)));
      }
      expect(digest.digest('hex')).toBe('3d621364bae2bdd2df2b42368ef37be48ff5d45f26402e4a86f49d27f64f2f50');
    });

    it('returns a buffer that later calls do not change', () => {
      const bytes = bytesOf('text', 100_000);
      const [first, copy] = [zstdFrame(bytes), zstdFrame(bytes).slice()];
      zstdFrame(bytesOf('incompressible', 100_000));
      expect(first).toEqual(copy);
      expect(bytes).toEqual(bytesOf('text', 100_000));
    });
  });
}
