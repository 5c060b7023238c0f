import { describe, expect, it } from 'vitest';
import type { Change } from '../../../src/ports/change.ts';
import { pypi } from '../../../src/sources/pypi/pypi.ts';
import { load } from '../step.ts';
import { documentWith } from './document.ts';
import { changeOf, type Reply, SIMPLE_JSON, startUpstream } from './upstream.ts';

const NOT_FOUND: Reply = {
  status: 404,
  body: '{"message": "Not Found"}',
  headers: { 'content-type': 'application/json' },
};

/** A page of the simple index, as the index sends it. */
function simplePage(fields: Record<string, unknown> = {}): Reply {
  const page = {
    files: [],
    meta: { '_last-serial': 100, 'api-version': '1.4' },
    name: 'thing',
    'project-status': { status: 'active' },
    versions: [],
    ...fields,
  };
  return { body: JSON.stringify(page), headers: { 'content-type': SIMPLE_JSON } };
}

/** Loads a change of `thing` from an index with these answers. */
async function loaded(
  replies: { document?: Reply; simple?: Reply },
  {
    afresh = false,
    prepared = null,
    ...fields
  }: Partial<Change> & { afresh?: boolean; prepared?: [string, number, number][] | null } = {},
) {
  const { settings, sent } = await startUpstream(({ path }) =>
    path === '/pypi/thing/json'
      ? (replies.document ?? NOT_FOUND)
      : path === '/simple/thing/'
        ? replies.simple
        : undefined,
  );
  const result = await load(pypi, settings, changeOf('thing', fields), { afresh, prepared }).catch(
    (error: unknown) => error,
  );
  return { result, sent };
}

const DELETION = { documents: [], rows: [{ op: 'delete', row: { name: 'thing', version: null, data: null } }] };
const json = (document: unknown): Reply => ({
  body: JSON.stringify(document),
  headers: { 'content-type': 'application/json' },
});

describe('a load', () => {
  it('gives the row and the document as it came', async () => {
    const reply = json(documentWith());
    const { result, sent } = await loaded(
      { document: reply },
      {
        prepared: [
          ['other', 1, 2],
          ['thing', 3, 4],
        ],
      },
    );
    expect(result).toMatchObject({
      documents: [{ name: 'thing', revision: 100 }],
      rows: [
        {
          table: 'pypi_package',
          op: 'upsert',
          row: { name: 'thing', version: '1.0', downloads_last_month: 3, downloads_total: 4 },
        },
      ],
      revision: 100,
    });
    const { bytes } = (result as { documents: { bytes: Uint8Array }[] }).documents[0]!;
    expect(new TextDecoder().decode(bytes)).toBe(reply.body);
    expect(sent).toHaveLength(1);
  });

  it('has the revision of a document that lags', async () => {
    expect((await loaded({ document: json(documentWith({}, { last_serial: 99 })) })).result).toMatchObject({
      revision: 99,
    });
  });

  it('has the status that the round found, and none where it found none', async () => {
    const statusIn = async (facts: Change['facts']) => {
      const { result } = await loaded({ document: json(documentWith()) }, { facts });
      return JSON.parse((result as { rows: { row: { data: string } }[] }).rows[0]!.row.data)['project-status'];
    };
    expect(await statusIn({ status: 'archived' })).toEqual({ status: 'archived' });
    expect(await statusIn(null)).toBeUndefined();
    expect(await statusIn({ status: 5 })).toBeUndefined();
  });

  it('of a removed project asks nothing, and later sees whether it is back', async () => {
    const { result, sent } = await loaded({}, { deleted: true });
    expect(result).toMatchObject({ ...DELETION, revision: 100 });
    expect(sent).toHaveLength(0);
    expect((await loaded({ document: json(documentWith()) }, { deleted: true, afresh: true })).result).toMatchObject({
      rows: [{ op: 'upsert' }],
    });
    expect((await loaded({}, { deleted: true, afresh: true })).result).toMatchObject({ ...DELETION, revision: 100 });
  });
});

describe('a project without a document', () => {
  const files = [{ filename: 'thing-1.tar.gz' }];
  const gone = { reason: 'http-404', status: 404 };

  it('that the simple index does not list either is parked', async () => {
    const { result, sent } = await loaded({});
    expect(result).toMatchObject(gone);
    expect(sent.map(({ path }) => path)).toEqual(['/pypi/thing/json', '/simple/thing/']);
    expect(sent[1]!.headers.accept).toBe(SIMPLE_JSON);
  });

  it('that is quarantined is a deletion', async () => {
    const { result } = await loaded({ simple: simplePage({ 'project-status': { status: 'quarantined' } }) });
    expect(result).toMatchObject({ ...DELETION, revision: 100 });
  });

  it('that has no release is a row without a version', async () => {
    const { result } = await loaded({ simple: simplePage() }, { facts: { status: 'archived' } });
    expect(result).toMatchObject({
      documents: [],
      rows: [{ op: 'upsert', row: { name: 'thing', version: null } }],
      revision: 100,
    });
  });

  it('that has files is parked, because one of the two answers is old', async () => {
    expect((await loaded({ simple: simplePage({ files, versions: ['1'] }) })).result).toMatchObject(gone);
    expect((await loaded({ simple: simplePage({ files }) }, { afresh: true })).result).toMatchObject(gone);
  });

  it.each([{ 'project-status': { status: 'quarantined' } }, {}])(
    'is explained by no page from before the change at first, and then by a page that lags (%j)',
    async status => {
      const old = simplePage({ meta: { '_last-serial': 99 }, ...status });
      expect((await loaded({ simple: old })).result).toMatchObject(gone);
      expect((await loaded({ simple: old }, { afresh: true })).result).toMatchObject({ rows: [{}], revision: 99 });
      // A removed project may not come back by a page from before its removal.
      expect((await loaded({ simple: old }, { afresh: true, deleted: true })).result).toMatchObject(gone);
    },
  );

  it('is explained by a page that says no serial', async () => {
    expect((await loaded({ simple: simplePage({ meta: {} }) })).result).toMatchObject({
      rows: [{ op: 'upsert' }],
      revision: null,
    });
  });

  it.each<[string, Reply, Record<string, unknown>]>([
    ['a status', { status: 503, headers: { 'retry-after': '7' } }, { status: 503, retryAfterMs: 7000 }],
    ['a web page', { body: '<html>' }, { reason: 'not-json' }],
    ['half a page', { body: '{"files": [], "name": "thi' }, { reason: 'truncated' }],
    ['another project', simplePage({ name: 'other' }), { reason: 'name-mismatch' }],
    [
      'no files',
      simplePage({ files: null }),
      { reason: 'wrong-shape', message: expect.stringMatching(/expected files to be a list, got null/) },
    ],
    ['a status that is none', simplePage({ 'project-status': {} }), { reason: 'wrong-shape' }],
    ['a syntax error', { body: '{"files": [], "name": thing}' }, { reason: 'malformed-json' }],
  ])('fails as the simple index does: %s', async (_, simple, expected) => {
    expect((await loaded({ simple })).result).toMatchObject(expected);
  });
});

describe('a document that cannot be used', () => {
  it.each<[string, Reply, string]>([
    ['a web page', { body: '<html>' }, 'not-json'],
    ['half a document', { body: JSON.stringify(documentWith()).slice(0, 50) }, 'malformed-json'],
    ['that of another project', json(documentWith({ name: 'other' })), 'name-mismatch'],
    ['a list', json([]), 'wrong-shape'],
    ['status 500', { status: 500 }, 'http-500'],
  ])('%s is parked, and the simple index is not asked', async (_, document, reason) => {
    const { result, sent } = await loaded({ document, simple: simplePage() });
    expect(result).toMatchObject({ reason });
    expect(sent.every(({ path }) => path === '/pypi/thing/json')).toBe(true);
  });
});

describe('a key that no project can have', () => {
  it.each([
    ['', 'name-mismatch'],
    ['with space', 'name-mismatch'],
    ['../etc', 'name-mismatch'],
    ['__proto__', 'name-mismatch'],
    ['\u212Aelvin', 'name-mismatch'],
    ['a'.repeat(10_240), 'key-too-long'],
  ])('%.20s is parked without a request, also when it was removed', async (key, reason) => {
    const { settings, sent } = await startUpstream(() => ({ body: '{}' }));
    for (const deleted of [false, true])
      await expect(load(pypi, settings, changeOf(key, { deleted }))).rejects.toMatchObject({ reason });
    expect(sent).toEqual([]);
  });

  it('is another than a project called `constructor`', async () => {
    const { settings } = await startUpstream(({ path }) =>
      path === '/pypi/constructor/json' ? json(documentWith({ name: 'constructor' })) : undefined,
    );
    expect(await load(pypi, settings, changeOf('constructor'))).toMatchObject({
      rows: [{ row: { name: 'constructor' } }],
    });
  });
});
