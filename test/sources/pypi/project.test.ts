import { describe, expect, it } from 'vitest';
import { readProject } from '../../../src/sources/pypi/project.ts';
import { parseLarge } from '../../../src/sources/upstream/json-large.ts';
import { documentWith, fileAt, rowOf, UPLOADED } from './document.ts';

describe('the row of a plain project', () => {
  it('has a value in every column that the document speaks of', () => {
    const info = {
      author: 'Ann Doe',
      author_email: 'ann@example.org',
      classifiers: ['Programming Language :: Python :: 3'],
      keywords: 'one, two',
      license: 'MIT',
      project_urls: { Homepage: 'https://example.org/thing', Source: 'https://example.org/thing/git' },
      requires_dist: ['other>=1; extra == "x"'],
    };
    const old = fileAt('2020-01-01T00:00:00.000000Z');
    const releases = { '0.9': [old], '1.0': [fileAt('2024-03-01T00:00:00.000000Z'), fileAt(UPLOADED)] };
    const { data, ...row } = rowOf(documentWith(info, { releases }), {
      downloads: { month: 7, total: 70 },
      status: 'archived',
    });
    expect(row).toEqual({
      name: 'thing',
      version: '1.0',
      description: 'Does a thing.',
      author: 'Ann Doe',
      license: 'MIT',
      homepage: 'https://example.org/thing',
      repository: 'https://example.org/thing/git',
      downloads_total: 70,
      downloads_last_month: 7,
      published_at: '2024-02-02T02:02:02.123Z',
      last_updated: '2024-03-01T00:00:00.000Z',
      keywords: 'one,two',
      classifiers: '["Programming Language :: Python :: 3"]',
      requires_dist: '["other>=1; extra == \\"x\\""]',
      created_at: '2020-01-01T00:00:00.000Z',
      updated_at: null,
    });
    const parsed = JSON.parse(data!);
    expect(Object.keys(parsed)).toEqual(['info', 'last_serial', 'vulnerabilities', 'project-status']);
    expect(parsed['project-status']).toEqual({ status: 'archived' });
    expect(parsed.info).toMatchObject({ name: 'Thing', author: 'Ann Doe' });
    expect(parsed.info).not.toHaveProperty('description');
  });
});

describe('author', () => {
  it.each([
    ['a name and an address', 'Ann Doe', 'ann@example.org', 'Ann Doe'],
    ['another name in author_email', 'Ann Doe', 'Joe <joe@example.org>', 'Ann Doe'],
    ['an address only', '', 'ann@example.org', 'ann@example.org'],
    ['both in author_email', '', 'Ann Doe <ann@example.org>', 'Ann Doe'],
    ['null in author', null, '"Doe, Ann" <ann@example.org>', 'Doe, Ann'],
    ['several', null, 'Ann <a@x.org>, joe@x.org, "Lee (team)" <l@x.org>', 'Ann, joe@x.org, Lee (team)'],
    ['an encoded name', null, '=?utf-8?q?J=C3=BCrgen?= <j@x.org>', 'Jürgen'],
    ['a hidden address', null, 'Ann <ann at example dot org>', 'Ann'],
    ['only a hidden address', null, '<ann at example dot org>', 'ann at example dot org'],
    ['a name in author_email', null, 'Ann Doe', 'Ann Doe'],
    ['a name in a comment', null, 'ann@example.org (Ann Doe)', 'Ann Doe'],
    ['a group', null, 'Team: Ann <a@x.org>, Joe <j@x.org>;', 'Ann, Joe'],
    ['nothing', '', '', null],
    ['what old tools wrote', 'UNKNOWN', 'UNKNOWN', null],
    ['other types', 5, ['a@x.org'], null],
    ['line breaks', ' Ann\n', 'a@x.org\n', 'Ann'],
  ])('%s', (_, author, author_email, expected) => {
    expect(rowOf(documentWith({ author, author_email })).author).toBe(expected);
  });

  it('of a hundred thousand brackets is read in a moment', () => {
    const hostile = [
      '<'.repeat(100_000),
      '@'.repeat(100_000),
      '"'.repeat(99_999),
      '('.repeat(100_000),
      'a:'.repeat(50_000),
      ', '.repeat(50_000),
    ];
    const startedAt = performance.now();
    for (const author_email of hostile) rowOf(documentWith({ author_email }));
    expect(performance.now() - startedAt).toBeLessThan(5000);
  });
});

describe('license', () => {
  it.each([
    ['the expression first', 'MIT License', 'MIT', 'MIT'],
    ['a line', ' BSD 3-Clause\n', null, 'BSD 3-Clause'],
    ['no text of ten pages', `Copyright\n${'All rights reserved.\n'.repeat(600)}`, null, null],
    ['nothing', '', null, null],
    ['what old tools wrote', 'UNKNOWN', null, null],
    ['another type', { text: 'MIT' }, null, null],
  ])('is %s', (_, license, license_expression, expected) => {
    expect(rowOf(documentWith({ license, license_expression })).license).toBe(expected);
  });
});

describe('links', () => {
  const HOME = 'https://example.org/';
  const GIT = 'https://example.org/git';

  it.each<[string, unknown, unknown, string | null, string | null]>([
    ['none', null, '', null, null],
    ['null and a home page', null, HOME, HOME, null],
    ['an empty map and null', {}, null, null, null],
    ['labels in every spelling', { 'HOME-page': HOME, Source_Code: GIT }, null, HOME, GIT],
    ['with spaces and signs', { ' Home Page: ': HOME, 'Source Code (Git)': 'x', Repository: GIT }, null, HOME, GIT],
    ['source before the other labels', { GitHub: 'x', repository: 'y', Source: GIT }, null, null, GIT],
    ['the first of two equal labels', { Source: GIT, source: 'x' }, null, null, GIT],
    ['a label before home_page', { Homepage: HOME }, 'https://old.example.org', HOME, null],
    ['an empty label, then home_page', { Homepage: ' ' }, HOME, HOME, null],
    [
      'a home page that is a repository',
      null,
      'https://github.com/ann/thing',
      'https://github.com/ann/thing',
      'https://github.com/ann/thing',
    ],
    ['a home page at a forge that is none', null, 'https://github.com/ann', 'https://github.com/ann', null],
    ['a host that only ends like a forge', null, 'https://notgithub.com/a/b', 'https://notgithub.com/a/b', null],
    ['what old tools wrote', null, 'UNKNOWN', null, null],
    [
      'labels that every object has',
      JSON.parse('{"__proto__": "https://x.org", "constructor": "https://y.org"}'),
      null,
      null,
      null,
    ],
    ['a list in place of a map', [HOME], null, null, null],
    ['values of other types', { Homepage: 5, Source: [GIT] }, null, null, null],
  ])('%s', (_, project_urls, home_page, homepage, repository) => {
    expect(rowOf(documentWith({ project_urls, home_page }))).toMatchObject({ homepage, repository });
  });
});

describe('keywords', () => {
  it.each([
    ['a, b ,c', 'a,b,c'],
    ['a b  c', 'a,b,c'],
    ['two words, c', 'two words,c'],
    ['a; b', 'a,b'],
    ["['a', 'b c']", 'a,b c'],
    ['["a"]', 'a'],
    ['"a","b"', 'a,b'],
    [['a', 'b', 5], 'a,b'],
    [',,', null],
    ['', null],
    [null, null],
  ])('%j are %j', (keywords, expected) => {
    expect(rowOf(documentWith({ keywords })).keywords).toBe(expected);
  });
});

describe('times', () => {
  it('are null of a project without files', () => {
    const row = rowOf(documentWith({}, { releases: { '1.0': [] }, urls: [] }));
    expect(row).toMatchObject({ version: '1.0', published_at: null, last_updated: null, created_at: null });
  });

  it('without a zone are in UTC, whatever the zone of the machine', () => {
    const files = [
      fileAt(UPLOADED, { upload_time_iso_8601: undefined }),
      fileAt('2024-02-03T00:00:00Z', { upload_time_iso_8601: '2024-02-03T01:00:00+01:00' }),
    ];
    expect(rowOf(documentWith({}, { releases: { '1.0': files } }))).toMatchObject({
      published_at: '2024-02-02T02:02:02.000Z',
      last_updated: '2024-02-03T00:00:00.000Z',
    });
  });

  it('that are none count as nothing', () => {
    const files = [
      '',
      '2024',
      'now',
      '2024-13-01T00:00:00Z',
      '9999-12-31T23:59:59-23:59',
      '0000-01-01T00:00:00+23:59',
      null,
      5,
    ].map(time => ({
      upload_time: time,
      upload_time_iso_8601: time,
    }));
    const row = rowOf(documentWith({}, { releases: { '1.0': [...files, 'x', null] }, urls: {} }));
    expect(row).toMatchObject({ published_at: null, last_updated: null, created_at: null });
  });

  it('of the newest release come from `urls` where the index has no `releases`', () => {
    const row = rowOf(documentWith({}, { releases: null }));
    expect(row).toMatchObject({ published_at: '2024-02-02T02:02:02.123Z', last_updated: null, created_at: null });
  });

  it('are those of all releases: yanked, before a release, and of a form that no rule takes', () => {
    const releases = {
      '2004d': [fileAt('2005-01-01T00:00:00Z')],
      '2.0rc1': [fileAt('2025-01-01T00:00:00Z')],
      '1.0': [fileAt(UPLOADED, { yanked: true })],
      '0.1dev-r1716': [],
      __proto__x: [fileAt('2004-01-01T00:00:00Z')],
    };
    expect(rowOf(documentWith({ yanked: true }, { releases }))).toMatchObject({
      version: '1.0',
      published_at: '2024-02-02T02:02:02.123Z',
      created_at: '2004-01-01T00:00:00.000Z',
      last_updated: '2025-01-01T00:00:00.000Z',
    });
  });

  it('of a large document are read release by release', () => {
    const releases = Object.fromEntries(
      Array.from({ length: 1000 }, (_, i) => [
        `1.${i}`,
        Array.from({ length: 10 }, () => fileAt(`2024-01-01T00:00:${10 + (i % 50)}Z`)),
      ]),
    );
    const document = documentWith({ version: '1.7' }, { releases });
    const bytes = new TextEncoder().encode(JSON.stringify(document));
    const large = parseLarge(
      'pypi project',
      { bytes, contentType: null, encoded: false },
      { unread: 'releases', valuesMax: 250_000 },
    );
    expect(rowOf(large)).toEqual(rowOf(document));
    expect(rowOf(large)).toMatchObject({
      published_at: '2024-01-01T00:00:17.000Z',
      created_at: '2024-01-01T00:00:10.000Z',
      last_updated: '2024-01-01T00:00:59.000Z',
    });
  });
});

describe('lists', () => {
  it('are JSON of their texts, and null where they are none', () => {
    const row = rowOf(documentWith({ classifiers: ['a', 5, null, 'b'], requires_dist: {} }));
    expect(row).toMatchObject({ classifiers: '["a","b"]', requires_dist: null });
    expect(rowOf(documentWith({ requires_dist: [] })).requires_dist).toBe('[]');
  });
});

describe('data', () => {
  it('that is nested too deep for JSON says so', () => {
    let deep: unknown = 1;
    for (let i = 0; i < 100_000; i++) deep = [deep];
    const document = documentWith() as Record<string, unknown>;
    expect(JSON.parse(rowOf({ ...document, vulnerabilities: deep }).data!)).toEqual({ reason: 'nested too deep' });
  });

  it('keeps members with names that every object has', () => {
    const document = documentWith() as { info: object };
    const info = { ...document.info, ...JSON.parse('{"__proto__": {"a": 1}}') };
    const text = JSON.stringify(document).replace('"info":{', '"info":{"__proto__":{"a":1},');
    expect(info).toBeDefined();
    expect(rowOf(JSON.parse(text)).data).toContain('"__proto__":{"a":1}');
  });
});

describe('a document that is none', () => {
  it.each<[string, unknown, string, RegExp]>([
    ['a list', [], 'wrong-shape', /expected the answer to be an object, got a list/],
    ['no info', { last_serial: 1 }, 'wrong-shape', /expected info to be an object, got nothing/],
    ['info that is a list', { info: [] }, 'wrong-shape', /expected info to be an object, got a list/],
    ['no name', { info: {} }, 'wrong-shape', /expected info\.name to be text, got nothing/],
    [
      'releases that are a list',
      documentWith({}, { releases: [] }),
      'wrong-shape',
      /expected releases to be an object, got a list/,
    ],
    [
      'another project',
      documentWith({ name: 'Thing2' }),
      'name-mismatch',
      /expected info\.name to be the requested project, got another/,
    ],
  ])('is named: %s', (_, document, reason, message) => {
    expect(() => readProject(document, 'thing')).toThrow(
      expect.objectContaining({ reason, message: expect.stringMatching(message) }),
    );
  });

  it('has no serial where that is none', () => {
    for (const last_serial of [undefined, null, '100', 2 ** 53, 1.5])
      expect(readProject(documentWith({}, { last_serial }), 'thing').serial).toBeNull();
    expect(readProject(documentWith({ name: 'THING' }), 'thing').serial).toBe(100);
  });
});
