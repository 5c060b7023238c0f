import { describe, expect, it } from 'vitest';
import { tableNamed } from '../../schemas/index.ts';
import type { Value } from '../../schemas/table.ts';
import { openDataFile } from '../../src/parquet/encode.ts';
import { sparseRow } from './rows.ts';

const npm = tableNamed('npm_package');

describe('misuse', () => {
  const opened = (table = npm) => openDataFile({ source: 'npm', table, firstLsn: 5 });
  const row = (change: Record<string, Value>, table = npm) =>
    sparseRow(table, 5, {}).map((value, i) => {
      const name = table.columns[i]!.name;
      return name in change ? change[name]! : value;
    });

  it('of the order of rows is refused', () => {
    const file = opened();
    for (const _lsn of [4, 6, '5', null]) {
      expect(() => file.append(row({ _lsn }))).toThrow(
        `npm_package data file from LSN 5: expected _lsn 5, got ${_lsn}`,
      );
    }
    file.append(row({}));
    expect(() => file.append(row({}))).toThrow('expected _lsn 6, got 5');
    for (const firstLsn of [0, -1, 1.5, Number.NaN]) {
      expect(() => openDataFile({ source: 'npm', table: npm, firstLsn })).toThrow('expected a first LSN of 1 or more');
    }
  });

  it('of a finished file is refused', () => {
    const file = opened();
    file.append(row({}));
    file.finish({ lastLsn: 5, cursor: '1' });
    expect(() => file.append(row({ _lsn: 6 }))).toThrow('expected an open file, got an append after finish');
    expect(() => file.finish({ lastLsn: 5, cursor: '1' })).toThrow('expected an open file, got a second finish');
  });

  it('of facts that contradict the rows is refused', () => {
    const file = opened();
    expect(() => file.finish({ lastLsn: 4, cursor: '1' })).toThrow('expected at least one row, got none');
    file.append(row({}));
    expect(() => file.finish({ lastLsn: 6, cursor: '1' })).toThrow('expected last LSN 5, got 6');
    expect(file.finish({ lastLsn: 5, cursor: '1' }).length).toBeGreaterThan(0);
  });

  it('of values is refused without showing them, and does not change the file', () => {
    const table = tableNamed('email_pattern');
    const file = opened(table);
    const refuses = (change: Record<string, Value>, message: string) => {
      const before = [file.rows, file.openBytes];
      expect(() => file.append(row(change, table))).toThrow(
        new Error(`email_pattern data file from LSN 5: ${message}`),
      );
      expect([file.rows, file.openBytes]).toEqual(before);
    };
    expect(() => file.append(row({}, table).slice(1))).toThrow('expected 16 values, got 15');
    expect(() => file.append([...row({}, table), null])).toThrow('expected 16 values, got 17');
    refuses({ domain: null }, 'expected text in domain, got null');
    refuses({ domain: 1 }, 'expected text in domain, got number');
    refuses({ employee_count: 2 ** 31 }, 'expected a 32-bit integer in employee_count, got number');
    refuses({ employee_count: '7' }, 'expected a 32-bit integer in employee_count, got string');
    refuses({ confidence: 1e39 }, 'expected a number of 32-bit range in confidence, got number');
    refuses({ confidence: Number.NaN }, 'expected a number of 32-bit range in confidence, got number');
    refuses({ verified: 1 }, 'expected true or false in verified, got number');
    refuses({ verified: undefined as unknown as Value }, 'expected true or false in verified, got undefined');
    expect(() => opened().append(row({ stars: 2 ** 53 }))).toThrow('expected a safe integer in stars, got number');
    file.append(row({}, table));
    expect(file.finish({ lastLsn: 5, cursor: '1' }).length).toBeGreaterThan(0);
  });
});
