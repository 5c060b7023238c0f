import { expect, it } from 'vitest';
import { readServiceBody } from '../../src/sql/service.ts';
import { explain, SqlError } from '../../src/sql/sql-error.ts';

it('the worker reads whole numbers of R2 SQL that are not exact as text', () => {
  const rows = '[{"safe":9007199254740991,"more":-9007199254740993,"real":1e300,"part":0.5,"text":"9007199254740993"}]';
  expect(readServiceBody(`{"success":true,"errors":[],"result":{"schema":[],"rows":${rows}}}`)).toEqual({
    columns: [],
    rows: [{ safe: 9007199254740991, more: '-9007199254740993', real: 1e300, part: 0.5, text: '9007199254740993' }],
    metrics: { requests: null, files_scanned: null, bytes_scanned: null },
  });
});

it('an error marks a position after wide characters', () => {
  const text = "SELECT '日本', nope FROM domain";
  expect(explain(new SqlError('unknown', { at: text.indexOf('nope'), hint: '' }), text).split('\n')[2]).toBe(
    `${' '.repeat(8 + 15)}^ column 14`,
  );
});
