import { describe, expect, it } from 'vitest';
import { documentWith, PUBLISHED, rowOf } from './packument.ts';

describe('one string', () => {
  it.each<[unknown, string | null]>([
    ['Ann <ann@example.com>', 'Ann <ann@example.com>'],
    [{ name: 'Ann' }, 'Ann'],
    [{ email: 'ann@example.com' }, '<ann@example.com>'],
    [
      { name: 'Ann', mail: 'ann@example.com', web: 'https://ann.example' },
      'Ann <ann@example.com> (https://ann.example)',
    ],
    [{ name: 'Ann', email: ['a@example.com'], url: null }, 'Ann'],
    [[{ name: 'Ann' }, 'Bo', 7], 'Ann, Bo'],
    [{}, null],
    [[], null],
    ['  ', null],
    [false, null],
    [null, null],
  ])('is made of author %j', (author, expected) => {
    expect(rowOf(documentWith({ author })).author).toBe(expected);
  });

  it.each<[Record<string, unknown>, string | null]>([
    [{ license: 'MIT' }, 'MIT'],
    [{ license: { type: 'MIT', url: 'https://license.example' } }, 'MIT'],
    [{ license: { url: 'https://license.example' } }, 'https://license.example'],
    [{ license: [{ type: 'MIT' }, 'Apache-2.0'] }, 'MIT OR Apache-2.0'],
    [{ licenses: [{ type: 'BSD' }] }, 'BSD'],
    [{ license: null, licenses: 'ISC' }, 'ISC'],
    [{ license: 5 }, null],
    [{ license: [[]] }, null],
  ])('is made of %j', (fields, expected) => {
    expect(rowOf(documentWith(fields)).license).toBe(expected);
  });

  it.each<[unknown, string | null]>([
    ['git://git.example/thing', 'git://git.example/thing'],
    [{ url: 'git://git.example/thing' }, 'git://git.example/thing'],
    [[{ type: 'git' }, { url: 'git://git.example/second' }], 'git://git.example/second'],
    [{ url: { href: 'x' } }, null],
    [[], null],
    [1, null],
  ])('is made of repository %j', (repository, expected) => {
    expect(rowOf(documentWith({ repository })).repository).toBe(expected);
  });

  it.each<[unknown, string | null]>([
    [['a', ' b ', '', 7, null, 'c,d'], 'a,b,c,d'],
    ['a, b c', 'a,b c'],
    [{ one: true }, null],
    [[], null],
  ])('is made of keywords %j', (keywords, expected) => {
    expect(rowOf(documentWith({ keywords })).keywords).toBe(expected);
  });

  it.each<[unknown, string | null]>([
    ['https://thing.example', 'https://thing.example'],
    [['https://thing.example'], 'https://thing.example'],
    [{ url: 'https://thing.example' }, null],
    ['', null],
  ])('is made of homepage %j', (homepage, expected) => {
    expect(rowOf(documentWith({ homepage })).homepage).toBe(expected);
  });

  it('has no half of a surrogate pair, because UTF-8 has no bytes for it', () => {
    expect(rowOf(documentWith({ description: 'a \ud800 b 😀' })).description).toBe('a \ufffd b 😀');
  });

  it.each([[['a']], ['a'], [null], [7]])('is not made of dependencies %j', dependencies => {
    expect(rowOf(documentWith({}, { dependencies })).dependencies).toBeNull();
  });
});

describe('the version', () => {
  const versions = { '1.0.0': {}, '1.0.1': {}, '2.0.0-beta': {} };
  const time = {
    created: '2030-01-01T00:00:00Z',
    modified: '2030-01-01T00:00:00Z',
    unpublished: '2030-01-01T00:00:00Z',
    '2.0.0-beta': '2020-03-01T00:00:00Z',
    '1.0.0': '2020-01-01T00:00:00Z',
    '1.0.1': '2020-04-01T00:00:00Z',
    '3.0.0': '2029-01-01T00:00:00Z',
  };

  it('is the one that latest names', () => {
    expect(rowOf(documentWith({ versions, time, 'dist-tags': { latest: '1.0.0' } }))).toMatchObject({
      version: '1.0.0',
      published_at: '2020-01-01T00:00:00.000Z',
    });
  });

  it.each<[string, unknown]>([
    ['is missing', {}],
    ['is not text', { latest: 1 }],
    ['names a version that was unpublished', { latest: '3.0.0' }],
    ['names a property that every object inherits', { latest: 'constructor' }],
  ])('is the existing one published last, when latest %s', (_name, tags) => {
    expect(rowOf(documentWith({ versions, time, 'dist-tags': tags }))).toMatchObject({
      version: '1.0.1',
      published_at: '2020-04-01T00:00:00.000Z',
    });
  });

  it('is the last one listed when the document has no times', () => {
    const row = rowOf(documentWith({ versions, time: null, 'dist-tags': null }));
    expect(row).toMatchObject({
      version: '2.0.0-beta',
      published_at: null,
      created_at: null,
      last_updated: null,
      tags: null,
    });
  });

  it('is the one that latest names when no versions are listed', () => {
    const row = rowOf(documentWith({ versions: undefined }));
    expect(row).toMatchObject({ version: '1.0.0', published_at: PUBLISHED, dependencies: null });
  });

  it('is unknown in a document with neither', () => {
    const row = rowOf({ name: 'thing' });
    expect(row).toMatchObject({ version: null, published_at: null, data: '{"name":"thing"}' });
  });
});

describe('a date', () => {
  it.each<[unknown, string | null]>([
    ['2012-02-01T12:00:00Z', '2012-02-01T12:00:00.000Z'],
    ['2012-02-01T12:00:00.123456Z', '2012-02-01T12:00:00.123Z'],
    ['2012-02-01T14:00:00+02:00', '2012-02-01T12:00:00.000Z'],
    ['2012-02-01T12:00:00', '2012-02-01T12:00:00.000Z'],
    ['2012-02-01 12:00:00', '2012-02-01T12:00:00.000Z'],
    ['2012-02-01', '2012-02-01T00:00:00.000Z'],
    ['Wed, 01 Feb 2012 12:00:00 GMT', '2012-02-01T12:00:00.000Z'],
    ['Wed Feb 01 2012 14:00:00 GMT+0200 (CEST)', '2012-02-01T12:00:00.000Z'],
    ['2012-13-01T00:00:00Z', null],
    ['yesterday', null],
    ['May 1', null],
    ['1', null],
    ['', null],
    [1328097600000, null],
    [{ time: '2012-02-01' }, null],
    [null, null],
  ])('%j is %j', (created, expected) => {
    expect(rowOf(documentWith({ time: { created } })).created_at).toBe(expected);
  });
});

describe('data', () => {
  it('over 256 KiB is a note with its size and its name instead', () => {
    const bytes = Buffer.byteLength(rowOf(documentWith({ extra: 'é'.repeat(131_000) })).data ?? '');
    const over = documentWith({ extra: 'é'.repeat(131_000 + Math.ceil((262_144 - bytes + 1) / 2)) });
    const within = documentWith({ extra: 'é'.repeat(131_000 + Math.floor((262_144 - bytes) / 2)) });
    expect(Buffer.byteLength(rowOf(within).data ?? '')).toBeLessThanOrEqual(262_144);
    const note = JSON.parse(rowOf(over).data ?? '') as { bytes: number };
    expect(note).toEqual({ raw: { name: 'thing' }, bytes: expect.any(Number), reason: 'over 262144 bytes' });
    expect(note.bytes).toBeGreaterThan(262_144);
  });

  it('nested too deep to be written is a note instead', () => {
    const deep = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
    const given = { ...(documentWith() as object), extra: deep };
    expect(JSON.parse(rowOf(given).data ?? '')).toEqual({
      raw: { name: 'thing' },
      bytes: null,
      reason: 'nested too deep',
    });
  });
});
