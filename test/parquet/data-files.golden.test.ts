import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { TABLES, tableNamed } from '../../schemas/index.ts';
import type { Row, Table, Value } from '../../schemas/table.ts';
import { encode, rowsOf } from './rows.ts';

/**
 * The same rows give the same bytes as long as `WRITER_VERSION` is the same, because a later version of the code may
 * repeat a flush that crashed. UPDATE_GOLDEN=1 writes the digests anew; after a difference `WRITER_VERSION` must rise.
 */
const update = process.env.UPDATE_GOLDEN === '1';
const FILE = path.resolve(import.meta.dirname, '../golden/data-files/digests.json');
const FIXTURES = path.resolve(import.meta.dirname, '../fixtures');

interface Recorded {
  rows?: { table: string; op: string; row: Row }[];
}

/** Rows of the recordings, with the lineage that an append adds. */
function recordedRows(): Value[][] {
  const recorded = JSON.parse(fs.readFileSync(path.join(FIXTURES, 'npm/rows.json'), 'utf8')) as Recorded[];
  const table = tableNamed('npm_package');
  return recorded
    .flatMap(({ rows = [] }) => rows)
    .map(({ op, row }, at) => {
      const lineage: Row = { updated_at: '2026-11-23T12:00:00.000Z', _lsn: at + 1, _op: op, _cursor: String(at) };
      return table.columns.map(({ name }) => ({ ...row, ...lineage })[name] ?? null);
    });
}

const digestOf = (table: Table, rows: Value[][]) => createHash('sha256').update(encode(table, rows)).digest('hex');

describe('bytes of data files', () => {
  it('are unchanged for the same rows', () => {
    const digests = {
      'npm recordings': digestOf(tableNamed('npm_package'), recordedRows()),
      ...Object.fromEntries(TABLES.map(table => [table.name, digestOf(table, rowsOf(table, 400, { seed: 11 }))])),
    };
    if (update) fs.writeFileSync(FILE, `${JSON.stringify(digests, null, 2)}\n`);
    expect(digests).toEqual(JSON.parse(fs.readFileSync(FILE, 'utf8')));
  });
});
