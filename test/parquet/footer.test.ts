import { describe, expect, it } from 'vitest';
import { npmPackage } from '../../schemas/npm_package.ts';
import { openDataFile } from '../../src/parquet/encode.ts';
import { readFooter } from '../../src/parquet/footer.ts';

/** A data file with `rows` rows. */
function file(rows: number, firstLsn: number): Uint8Array {
  const encoder = openDataFile({ source: 'npm', table: npmPackage, firstLsn });
  for (let index = 0; index < rows; index++) {
    const values: Record<string, string | number> = { name: `package-${index}`, _lsn: firstLsn + index, _op: 'upsert' };
    encoder.append(npmPackage.columns.map(({ name }) => values[name] ?? null));
  }
  return Buffer.concat(encoder.finish({ lastLsn: firstLsn + rows - 1, cursor: '7' }));
}

describe('the footer of a data file', () => {
  it('says how many rows the file has, and which LSNs', () => {
    expect(readFooter(file(1_000, 41))).toEqual({ rows: 1_000, firstLsn: 41, lastLsn: 1_040 });
  });

  it('is read from the last bytes, or how many of them it takes', () => {
    const bytes = file(1_000, 1);
    const short = readFooter(bytes.subarray(-100)) as { endBytes: number };
    expect(short.endBytes).toBeGreaterThan(100);
    expect(short.endBytes).toBeLessThan(bytes.length);
    const expected = { rows: 1_000, firstLsn: 1, lastLsn: 1_000 };
    expect(readFooter(bytes.subarray(-short.endBytes))).toEqual(expected);
    expect(readFooter(bytes.slice(-short.endBytes - 1))).toEqual(expected);
  });

  it.each([0, 3, 4, 7])('is not read from %i bytes', length => {
    expect(() => readFooter(file(1, 1).subarray(0, length))).toThrow('data file: expected PAR1 at its end, got none');
  });

  it('is not read from another file', () => {
    expect(() => readFooter(Buffer.from('hello, world'))).toThrow('data file: expected PAR1 at its end, got none');
    const broken = Buffer.concat([Buffer.alloc(50, 255), Buffer.from([50, 0, 0, 0]), Buffer.from('PAR1')]);
    expect(() => readFooter(broken)).toThrow();
  });
});
