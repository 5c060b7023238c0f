import { describe, expect, it } from 'vitest';
import { ChangeError } from '../../../src/errors.ts';
import { npm } from '../../../src/sources/npm/npm.ts';
import { load, pullAll } from '../step.ts';
import { changeOf, startAnswering, startStandIn } from './upstream.ts';

describe('a document', () => {
  it('becomes a row, and is returned as it was received', async () => {
    const { standIn, settings } = await startStandIn();
    const [change] = await pullAll(npm, settings, '0');
    const loaded = await load(npm, settings, change!, { prepared: [[change!.key, 5, null]] });
    expect(loaded.documents).toEqual([
      { name: change!.key, bytes: new Uint8Array(standIn.documentOf(change!.key)!), revision: change!.revision },
    ]);
    expect(loaded).toMatchObject({
      revision: change!.revision,
      rows: [
        {
          table: 'npm_package',
          op: 'upsert',
          row: { name: change!.key, downloads_last_month: 5, downloads_total: null },
        },
      ],
    });
  });

  it.each([
    ['@types/node', '/@types%2Fnode'],
    ['@scope/100%', '/@scope%2F100%25'],
    ['@scope/%25x', '/@scope%2F%2525x'],
    ['__proto__', '/__proto__'],
    ['constructor', '/constructor'],
    ['-', '/-'],
    ['JSONStream', '/JSONStream'],
  ])('of %s is requested at %s', async (name, path) => {
    const { standIn, settings } = await startStandIn();
    expect(await load(npm, settings, changeOf(name))).toMatchObject({ rows: [{ op: 'upsert', row: { name } }] });
    expect(standIn.requests.recent.map(request => request.path)).toEqual([path]);
  });

  it.each(['.', '..', '', 'a/../../b', 'x?y#z', '\ud800'])(
    'of a name like %j is requested under one path segment',
    async name => {
      const { settings, paths } = await startAnswering({ '/': { db_name: 'registry', update_seq: 1 } });
      await expect(load(npm, settings, changeOf(name))).rejects.toBeInstanceOf(ChangeError);
      expect(paths()).toHaveLength(1);
      expect(paths()[0]).toMatch(/^\/[^/?#]*$/);
    },
  );

  it.each([
    ['gone-unmarked', 'http-404'],
    ['other-name', 'name-mismatch'],
    ['wrong-shape', 'wrong-shape'],
    ['json-null', 'wrong-shape'],
    ['malformed-json', 'malformed-json'],
    ['truncated-json', 'malformed-json'],
    ['empty-body', 'malformed-json'],
    ['html-page', 'not-json'],
  ])('like %s is refused as %s', async (name, reason) => {
    const { settings } = await startStandIn();
    await expect(load(npm, settings, changeOf(name))).rejects.toMatchObject({ name: 'ChangeError', reason });
  });

  it.each(['truncated-gzip', 'cut-connection'])('like %s is requested once more', async name => {
    const { standIn, settings } = await startStandIn();
    expect(await load(npm, settings, changeOf(name))).toMatchObject({ rows: [{ op: 'upsert' }] });
    expect(standIn.requests.count(`/${name}`)).toBe(2);
  });

  it('of an older revision is loaded with that revision', async () => {
    const { settings } = await startStandIn();
    expect(await load(npm, settings, changeOf('lagging', { revision: 37 }))).toMatchObject({
      revision: 36,
      documents: [{ revision: 36 }],
    });
    expect(await load(npm, settings, changeOf('no-rev'))).toMatchObject({
      revision: null,
      documents: [{ revision: null }],
    });
  });
});

describe('a deletion', () => {
  it('of the feed gives a delete row without a request', async () => {
    const { standIn, settings } = await startStandIn();
    const loaded = await load(npm, settings, changeOf('deleted-still-served', { deleted: true, revision: 4 }));
    expect(loaded).toMatchObject({ documents: [], revision: 4 });
    expect(loaded.rows).toMatchObject([
      { table: 'npm_package', op: 'delete', row: { name: 'deleted-still-served', version: null } },
    ]);
    expect(standIn.requests.total).toBe(0);
  });

  it('is requested when it is loaded afresh', async () => {
    const { settings } = await startStandIn();
    const gone = await load(npm, settings, changeOf('gone-deleted', { deleted: true, revision: 9 }), { afresh: true });
    expect(gone).toMatchObject({ documents: [], rows: [{ op: 'delete' }], revision: 9 });
    const back = await load(npm, settings, changeOf('deleted-still-served', { deleted: true }), { afresh: true });
    expect(back).toMatchObject({ documents: [{ name: 'deleted-still-served' }], rows: [{ op: 'upsert' }] });
  });

  it.each(['gone-tombstone', 'gone-tombstone-legacy'])(
    'found in the document of %s gives a delete row and the document',
    async name => {
      const { standIn, settings } = await startStandIn();
      const loaded = await load(npm, settings, changeOf(name));
      expect(loaded.rows).toMatchObject([{ op: 'delete', row: { name, data: null, published_at: null } }]);
      expect(loaded.documents[0]?.bytes).toEqual(new Uint8Array(standIn.documentOf(name)!));
      expect(loaded.revision).toBe(loaded.documents[0]?.revision);
    },
  );
});
