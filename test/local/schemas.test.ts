import { describe, expect, it } from 'vitest';
import { TABLES } from '../../schemas/index.ts';
import { schemasText } from '../../src/local/schemas.ts';

describe('npm run schemas', () => {
  it('prints the schema file of one stream', () => {
    const schema = JSON.parse(schemasText(['npm_package']));
    expect(Object.keys(schema)).toEqual(['fields']);
    expect(schema.fields[0]).toEqual({ name: 'name', type: 'string', required: true });
    expect(schema.fields.map(({ name }: { name: string }) => name)).toEqual(
      expect.arrayContaining(['_lsn', '_op', '_cursor']),
    );
  });

  it('prints the schemas of all tables by name', () => {
    expect(Object.keys(JSON.parse(schemasText([])))).toEqual(TABLES.map(({ name }) => name));
  });

  it('names the tables when a name is wrong', () => {
    expect(() => schemasText(['nothing'])).toThrow('table: expected one of npm_package,');
    expect(() => schemasText(['npm_package', 'domain'])).toThrow('schemas: expected the name of one table, got 2');
  });
});
