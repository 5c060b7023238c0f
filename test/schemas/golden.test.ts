import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { TABLES } from '../../schemas/index.ts';
import type { Table } from '../../schemas/table.ts';

/**
 * Data files and journals outlive the code that wrote them: a column's name, type, nullability, order and id never
 * change, and columns are only added. UPDATE_GOLDEN=1 writes the golden files anew. Check the difference before you
 * commit it.
 */
const update = process.env.UPDATE_GOLDEN === '1';
const folder = path.resolve(import.meta.dirname, '../golden');

function contractOf({ name, prefix, version, key, columns }: Table) {
  return {
    name,
    prefix,
    version,
    key,
    columns: columns.map(column => {
      const { fieldId, type, required } = column;
      return `${fieldId} ${column.name} ${type} ${required ? 'required' : 'optional'}`;
    }),
  };
}

describe('golden files', () => {
  it.each(TABLES.map(table => [table.name, table] as const))('hold the contract of %s', (name, table) => {
    const file = path.join(folder, `${name}.json`);
    if (update) fs.writeFileSync(file, `${JSON.stringify(contractOf(table), null, 2)}\n`);
    expect(contractOf(table)).toEqual(JSON.parse(fs.readFileSync(file, 'utf8')));
  });

  it('exist for the present tables only', () => {
    const tables = TABLES.map(table => `${table.name}.json`).sort();
    const golden = fs.readdirSync(folder).filter(file => file.endsWith('.json'));
    expect(golden.sort()).toEqual(tables);
  });
});
