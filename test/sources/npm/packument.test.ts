import { describe, expect, it } from 'vitest';
import { npmPackage } from '../../../schemas/npm_package.ts';
import { ChangeError } from '../../../src/errors.ts';
import {
  deletedRow,
  isTombstone,
  packumentRow,
  readPackument,
  revisionOf,
} from '../../../src/sources/npm/packument.ts';
import { documentWith, PUBLISHED, rowOf } from './packument.ts';

describe('a row', () => {
  it('has every column of the table, in its order', () => {
    const columns = npmPackage.columns.map(column => column.name).filter(name => !name.startsWith('_'));
    expect(Object.keys(rowOf(documentWith()))).toEqual(columns);
    expect(Object.keys(deletedRow('thing'))).toEqual(columns);
  });

  it('reads the fields of a whole document', () => {
    const manifest = {
      dependencies: { a: '^1' },
      devDependencies: { b: '2' },
      peerDependencies: {},
      readme: 'long',
    };
    const fields = {
      description: 'A thing.',
      author: { name: 'Ann', email: 'ann@example.com', url: 'https://ann.example' },
      license: 'MIT',
      homepage: 'https://thing.example',
      repository: { type: 'git', url: 'git+https://git.example/thing.git', directory: 'packages/thing' },
      keywords: ['one', 'two'],
      readme: 'longer',
    };
    const { data, ...row } = rowOf(documentWith(fields, manifest), { month: 10, year: 100 });
    expect(row).toEqual({
      name: 'thing',
      version: '1.0.0',
      description: 'A thing.',
      author: 'Ann <ann@example.com> (https://ann.example)',
      license: 'MIT',
      homepage: 'https://thing.example',
      repository: 'git+https://git.example/thing.git',
      downloads_total: 100,
      downloads_last_month: 10,
      stars: null,
      forks: null,
      published_at: PUBLISHED,
      last_updated: '2021-01-01T00:00:00.000Z',
      keywords: 'one,two',
      tags: '{"latest":"1.0.0"}',
      dependencies: '{"a":"^1"}',
      dev_dependencies: '{"b":"2"}',
      peer_dependencies: '{}',
      created_at: '2019-01-01T00:00:00.000Z',
      updated_at: null,
    });
    const { readme: _hoisted, ...rest } = documentWith(fields) as Record<string, unknown>;
    const { readme: _own, ...published } = { name: 'thing', version: '1.0.0', ...manifest };
    expect(JSON.parse(data ?? '')).toEqual({ ...rest, versions: { '1.0.0': published } });
  });

  it('uses the fields of the version where the package has none', () => {
    const row = rowOf(documentWith({}, { description: 'Own.', license: 'ISC', author: 'Bo', keywords: 'a, b' }));
    expect(row).toMatchObject({ description: 'Own.', license: 'ISC', author: 'Bo', keywords: 'a,b' });
  });

  it('of a deletion has the name and nothing else', () => {
    const { name, ...rest } = deletedRow('__proto__');
    expect(name).toBe('__proto__');
    expect(Object.values(rest).every(value => value === null)).toBe(true);
  });
});

describe('keys that every object inherits', () => {
  it('are taken only from the document', () => {
    const text = `{"name":"__proto__","dist-tags":{"latest":"__proto__","constructor":"1.0.0"},
      "versions":{"__proto__":{"dependencies":{"__proto__":"1","toString":"2"},"license":"MIT"}},
      "time":{"__proto__":"2020-01-01T00:00:00Z"}}`;
    const row = packumentRow(readPackument(JSON.parse(text), '__proto__'), { downloads: null });
    expect(row).toMatchObject({
      name: '__proto__',
      version: '__proto__',
      license: 'MIT',
      published_at: '2020-01-01T00:00:00.000Z',
      dependencies: '{"__proto__":"1","toString":"2"}',
      tags: '{"latest":"__proto__","constructor":"1.0.0"}',
    });
    expect(row.data).toBe(JSON.stringify(JSON.parse(text)));
  });
});

describe('a document', () => {
  it.each<[unknown, string]>([
    [null, 'npm package: expected the answer to be an object, got null'],
    [[], 'npm package: expected the answer to be an object, got a list'],
    [{ name: 'thing', versions: 7 }, 'npm package: expected versions to be an object, got a number'],
    [{ name: 'thing', versions: ['1'] }, 'npm package: expected versions to be an object, got a list'],
    [{ name: 'thing', time: 'yesterday' }, 'npm package: expected time to be an object, got text'],
    [{ name: 'thing', 'dist-tags': [] }, 'npm package: expected dist-tags to be an object, got a list'],
  ])('%j is of the wrong shape', (given, message) => {
    expect(() => readPackument(given, 'thing')).toThrow(message);
    expect(() => readPackument(given, 'thing')).toThrow(expect.objectContaining({ reason: 'wrong-shape' }));
  });

  it.each([{ name: 'other' }, { _id: 'thing', name: 'other' }, { _id: 'other', name: 'thing' }, {}, { name: 7 }])(
    '%j is not the document of `thing`',
    given => {
      expect(() => readPackument(given, 'thing')).toThrow(ChangeError);
      expect(() => readPackument(given, 'thing')).toThrow(expect.objectContaining({ reason: 'name-mismatch' }));
    },
  );

  it.each<[string, unknown, boolean]>([
    ['a minimal note', { name: 'thing', time: { unpublished: { time: '2020-01-01', versions: [] } } }, true],
    ['an older note', { name: 'thing', versions: {}, time: { unpublished: { name: 'ann', tags: {} } } }, true],
    ['versions again', documentWith({ time: { unpublished: { time: '2020-01-01' } } }), false],
    ['no note', { name: 'thing', time: {} }, false],
    ['no time', { name: 'thing' }, false],
  ])('with %s is a tombstone: %j → %j', (_name, given, expected) => {
    expect(isTombstone(readPackument(given, 'thing'))).toBe(expected);
  });

  it.each<[unknown, number | null]>([
    ['37-492f', 37],
    ['0-', 0],
    ['99999999999999999999-a', null],
    ['abc', null],
    ['12', null],
    [12, null],
    [undefined, null],
  ])('of revision %j counts %j', (rev, expected) => {
    expect(revisionOf(rev)).toBe(expected);
  });
});
