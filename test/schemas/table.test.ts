import { describe, expect, it } from 'vitest';
import { optional, required } from '../../schemas/column.ts';
import { keyOf, TABLES, tableNamed } from '../../schemas/index.ts';
import type { NpmPackage } from '../../schemas/npm_package.ts';
import { defineTable } from '../../schemas/table.ts';

const declaration = {
  name: 'thing',
  prefix: 'things/metadata',
  description: 'Things.',
  version: 1,
  key: ['id' as const],
  columns: {
    id: required('utf8', 'Identifier.'),
    size: optional('int32', 'Size.'),
    total: optional('int64', 'Total.'),
    share: optional('float', 'Share.'),
    good: optional('boolean', 'Good or not.'),
  },
};
const row = { id: 'a', size: 1, total: 2, share: 0.5, good: true };

describe('defineTable', () => {
  it('numbers columns in declared order, lineage last', () => {
    const { columns } = defineTable(declaration);
    expect(columns.map(column => `${column.fieldId} ${column.name} ${column.type} ${column.required}`)).toEqual([
      '1 id utf8 true',
      '2 size int32 false',
      '3 total int64 false',
      '4 share float false',
      '5 good boolean false',
      '6 _lsn int64 true',
      '7 _op utf8 true',
      '8 _cursor utf8 false',
    ]);
  });

  it('gives added columns the ids after the lineage, so that no id changes', () => {
    const before = defineTable(declaration).columns;
    const grown = defineTable({ ...declaration, version: 2, added: { colour: optional('utf8', 'Colour.') } });
    expect(grown.columns.slice(0, before.length)).toEqual(before);
    expect(grown.columns.at(-1)).toMatchObject({ name: 'colour', fieldId: 9 });
    expect(grown.validator.safeParse({ ...row, colour: null }).success).toBe(true);
    expect(grown.validator.safeParse(row).success).toBe(false);
  });

  it('gives columns that the specification lacks the ids after the lineage, before those added later', () => {
    const grown = defineTable({
      ...declaration,
      version: 2,
      key: ['number', 'id'],
      identity: 'number',
      beyond: { number: required('utf8', 'Number.') },
      added: { colour: optional('utf8', 'Colour.') },
    });
    expect(grown.columns.slice(grown.lineageAt).map(({ name, fieldId }) => `${fieldId} ${name}`)).toEqual([
      '6 _lsn',
      '7 _op',
      '8 _cursor',
      '9 number',
      '10 colour',
    ]);
    expect(grown).toMatchObject({ key: ['number', 'id'], identity: 'number' });
    expect(grown.validator.safeParse({ ...row, number: '1', colour: null }).success).toBe(true);
    expect(grown.validator.safeParse({ ...row, number: null, colour: null }).success).toBe(false);
  });

  it('refuses a declaration that contradicts itself', () => {
    const { columns } = declaration;
    // TypeScript refuses most of these too.
    const define = (change: object) => () => defineTable({ ...declaration, ...change } as typeof declaration);
    expect(define({ key: [] })).toThrow('table thing: expected at least one key column');
    expect(define({ key: ['name'] })).toThrow('table thing: key column name is not declared');
    expect(define({ key: ['constructor'] })).toThrow('table thing: key column constructor is not declared');
    expect(define({ key: ['id', 'id'] })).toThrow('table thing: a key column is named twice');
    expect(define({ key: ['size'] })).toThrow('table thing: key column size must be required');
    expect(define({ key: ['n'], columns: { ...columns, n: required('int32', 'Number.') } })).toThrow(
      'table thing: key column n must be utf8, got int32',
    );
    expect(define({ columns: { ...columns, _lsn: required('int64', 'Mine.') } })).toThrow('got "_lsn"');
    expect(define({ columns: { ...columns, Size: optional('int64', 'Size.') } })).toThrow('got "Size"');
    expect(define({ added: { size: optional('int32', 'Size.') } })).toThrow('column size is declared twice');
    expect(define({ beyond: { size: optional('int32', 'Size.') } })).toThrow('column size is declared twice');
    expect(define({ identity: 'number' })).toThrow('table thing: identity column number is not declared');
    expect(define({ identity: 'size' })).toThrow('table thing: identity column size must be required');
    expect(define({ added: { colour: required('utf8', 'Colour.') } })).toThrow('colour must be optional');
  });
});

describe('the validator', () => {
  const { validator } = defineTable(declaration);
  const accepts = (change: object) => validator.safeParse({ ...row, ...change }).success;

  it('accepts nulls in optional columns and values at the limits', () => {
    expect(accepts({})).toBe(true);
    expect(accepts({ size: null, total: null, share: null, good: null })).toBe(true);
    expect(accepts({ id: '' })).toBe(true);
    for (const size of [2 ** 31 - 1, -(2 ** 31)]) expect(accepts({ size })).toBe(true);
    for (const total of [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) expect(accepts({ total })).toBe(true);
    for (const share of [0.1, -3.4e38, 1e-300]) expect(accepts({ share })).toBe(true);
  });

  it('refuses values that a column cannot hold', () => {
    expect(accepts({ id: null })).toBe(false);
    for (const id of [1, true, {}, ['a']]) expect(accepts({ id })).toBe(false);
    for (const size of [2 ** 31, -(2 ** 31) - 1, 0.5, '1', Number.NaN]) expect(accepts({ size })).toBe(false);
    for (const total of [2 ** 53, -(2 ** 53), 0.5, '1', 1n]) expect(accepts({ total })).toBe(false);
    for (const share of [1e39, Number.POSITIVE_INFINITY, Number.NaN, '0.5']) expect(accepts({ share })).toBe(false);
    for (const good of ['true', 1, 0]) expect(accepts({ good })).toBe(false);
  });

  it('requires every column and accepts no other', () => {
    for (const name of Object.keys(row)) {
      const { [name as keyof typeof row]: _, ...rest } = row;
      expect(validator.safeParse(rest).success, name).toBe(false);
      expect(accepts({ [name]: undefined }), name).toBe(false);
    }
    expect(accepts({ other: 1 })).toBe(false);
    expect(accepts({ _lsn: 1 })).toBe(false);
  });

  it('replaces half a surrogate pair, which UTF-8 cannot hold', () => {
    expect(validator.parse({ ...row, id: 'a\ud83d' }).id).toBe('a\ufffd');
    expect(validator.parse({ ...row, id: 'a\u{1f600}' }).id).toBe('a\u{1f600}');
  });

  it('defines the type of a row', () => {
    const name: NpmPackage['name'] = 'express';
    const stars: NpmPackage['stars'] = null;
    // @ts-expect-error a required column is not null
    const noName: NpmPackage['name'] = null;
    // @ts-expect-error a count is not text
    const text: NpmPackage['stars'] = '1';
    // @ts-expect-error lineage is not part of a row
    type Lsn = NpmPackage['_lsn'];
    expect([name, stars, noName, text, undefined as Lsn]).toHaveLength(5);
  });
});

it('tables whose rows never change are those of commits', () => {
  expect(TABLES.filter(({ immutable }) => immutable).map(({ name }) => name)).toEqual(['github_commit']);
});

describe('keyOf', () => {
  it('is the value of a single key column', () => {
    expect(keyOf(tableNamed('npm_package'), { name: '@types/node' })).toBe('@types/node');
  });

  it('is a JSON array of several values, in the order of the key', () => {
    const commit = { sha: 'abc', github_id: '27193779' };
    expect(keyOf(tableNamed('github_commit'), commit)).toBe('["27193779","abc"]');
  });

  it('differs for keys whose values are equal when joined', () => {
    const table = tableNamed('email_pattern');
    const keys = [
      keyOf(table, { domain: 'a","b', pattern: 'c' }),
      keyOf(table, { domain: 'a', pattern: 'b","c' }),
      keyOf(table, { domain: 'a,b', pattern: 'c' }),
    ];
    expect(new Set(keys).size).toBe(3);
  });

  it('refuses a row without its key, and does not show the row', () => {
    expect(() => keyOf(tableNamed('npm_package'), { name: null })).toThrow(
      'npm_package row: expected text in name, got null',
    );
    expect(() => keyOf(tableNamed('npm_package'), {})).toThrow('got undefined');
  });
});

describe('the tables', () => {
  it('have different names and prefixes, and describe every column', () => {
    expect(new Set(TABLES.map(table => table.name)).size).toBe(TABLES.length);
    expect(new Set(TABLES.map(table => table.prefix)).size).toBe(TABLES.length);
    for (const table of TABLES) {
      for (const column of table.columns) {
        expect(column.description, `${table.name}.${column.name}`).toMatch(/^.{3,}\.$/);
      }
    }
  });

  it('are found by name', () => {
    for (const table of TABLES) expect(tableNamed(table.name)).toBe(table);
    expect(() => tableNamed('npm')).toThrow('table: expected one of npm_package, pypi_package, ');
    expect(() => tableNamed('npm')).toThrow(', whois_record, got "npm"');
  });
});
