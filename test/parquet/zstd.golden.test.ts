import { zstdDecompressSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { zstdFrame } from '../../src/parquet/zstd.ts';
import { bytesOf, zstdConformance } from './zstd-frames.ts';

zstdConformance('Node');

it('makes frames that another decoder reads', () => {
  const bytes = bytesOf('text', 1_000_000);
  expect(Buffer.compare(zstdDecompressSync(zstdFrame(bytes)), bytes)).toBe(0);
});
