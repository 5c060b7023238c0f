import { describe, expect, it } from 'vitest';
import { ChangeError, CursorError } from '../../../src/errors.ts';
import { npm } from '../../../src/sources/npm/npm.ts';
import { pull } from '../step.ts';
import { FEED, startAnswering, startStandIn } from './upstream.ts';

describe('a page', () => {
  it('has the changes after the cursor, in the order of the feed', async () => {
    const { standIn, settings } = await startStandIn();
    standIn.pushChange({ id: 'ms', deleted: true });
    const rows = standIn.rows();
    const page = await pull(npm, settings, String(rows[0]!.seq));
    expect(page.changes).toEqual(
      rows.slice(1).map(({ seq, id, changes, deleted = false }) => ({
        key: id,
        cursor: String(seq),
        deleted,
        revision: Number.parseInt(changes[0]!.rev, 10),
        skip: null,
      })),
    );
    expect(page.changes.at(-1)).toMatchObject({ key: 'ms', deleted: true });
    expect(page).toMatchObject({ atHead: true, head: String(standIn.updateSeq()), belowCursor: false });
    expect(page.cursor).toBe(String(rows.at(-1)!.seq));
  });

  it('that is full is not at the head, and the head is not requested', async () => {
    const { standIn, settings } = await startStandIn({}, { NPM_PAGE_CHANGES: 3 });
    const page = await pull(npm, settings, '0');
    expect(page).toMatchObject({ atHead: false, head: null, cursor: page.changes[2]!.cursor });
    expect(standIn.requests.count('/')).toBe(0);
    // The page is full and ends at the head, but only the next, empty page shows that.
    const five = await pull(npm, { ...settings, pageChanges: 5 }, '0');
    expect(five).toMatchObject({ atHead: false, cursor: String(standIn.updateSeq()) });
    expect(await pull(npm, settings, five.cursor)).toMatchObject({ changes: [], atHead: true, cursor: five.cursor });
  });

  it('is never requested twice with the same URL within the four hours that a cache may keep it', async () => {
    const { standIn, settings } = await startStandIn();
    const pulls = (4 * 3_600_000) / 15_000;
    for (const poll of [0, 1, 2, pulls - 1, 999, 1000]) await pull(npm, { ...settings, pageChanges: 9001 }, '7', poll);
    const feed = standIn.requests.recent.filter(({ path }) => path === FEED);
    expect(feed.map(({ query }) => query)).toEqual(
      [9001, 9002, 9003, 9960, 10_000, 9001].map(limit => `since=7&limit=${limit}`),
    );
    expect(new Set(feed.map(({ status }) => status))).toEqual(new Set([200]));
  });

  it('without changes moves the cursor forward, never back', async () => {
    const { settings } = await startAnswering({ [FEED]: { results: [], last_seq: 105 }, '/': { update_seq: 106 } });
    expect(await pull(npm, settings, '100')).toMatchObject({ cursor: '105', head: '106', belowCursor: false });
    expect(await pull(npm, settings, '110')).toMatchObject({ cursor: '110', belowCursor: false });
  });

  it('never moves the cursor past its last change, whatever last_seq says', async () => {
    const results = [{ seq: 3, id: 'a', changes: [{ rev: '1-a' }] }];
    const { settings } = await startAnswering({ [FEED]: { results, last_seq: 90 }, '/': { update_seq: 90 } });
    expect(await pull(npm, settings, '0')).toMatchObject({ cursor: '3', head: '90', atHead: true });
  });

  it('of a feed that numbers its rows again is below the cursor', async () => {
    const { standIn, settings } = await startStandIn();
    const cursor = String(standIn.updateSeq());
    standIn.renumber(1000);
    expect(await pull(npm, settings, cursor)).toMatchObject({ changes: [], cursor, belowCursor: true });
  });

  it('is valid without a head', async () => {
    const { standIn, settings } = await startStandIn();
    standIn.fault('/', [{ status: 200, body: '{"results":[],"last_seq":7}' }, { status: 500 }]);
    expect(await pull(npm, settings, '0')).toMatchObject({ head: null, atHead: true, cursor: '7' });
  });

  it('of only deletions and internal documents of the database is read like any other', async () => {
    const { standIn, settings } = await startStandIn({ only: [] }, { NPM_PAGE_CHANGES: 3 });
    standIn.pushChange({ id: 'gone', deleted: true });
    standIn.pushChange({ id: '_design/app' });
    standIn.pushChange({ id: '_local/app' });
    const page = await pull(npm, settings, '0');
    expect(page.changes).toMatchObject([
      { key: 'gone', deleted: true, skip: null },
      { key: '_design/app', deleted: false, skip: 'internal-document' },
      { key: '_local/app', skip: 'internal-document' },
    ]);
    expect(page).toMatchObject({ atHead: false });
  });
});

describe('a page of another shape', () => {
  it.each<[string, unknown]>([
    ['results to be a list, got an object', { results: {}, last_seq: 1 }],
    [
      'results[1].seq to be a number, got text',
      {
        results: [
          { seq: 1, id: 'a' },
          { seq: '2', id: 'b' },
        ],
        last_seq: 2,
      },
    ],
    ['results[0].id to be text, got nothing', { results: [{ seq: 1 }], last_seq: 1 }],
    ['last_seq to be a number, got nothing', { results: [] }],
    ['results[0].seq to rise above 0, got 0', { results: [{ seq: 0, id: 'a' }], last_seq: 1 }],
    [
      'results[1].seq to rise above 5, got 5',
      {
        results: [
          { seq: 5, id: 'a' },
          { seq: 5, id: 'b' },
        ],
        last_seq: 5,
      },
    ],
    ['last_seq to be at least 5, got 4', { results: [{ seq: 5, id: 'a' }], last_seq: 4 }],
  ])('is refused: expected %s', async (message, page) => {
    const { settings } = await startAnswering({ [FEED]: page, '/': { update_seq: 9 } });
    const error = await pull(npm, settings, '0').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ChangeError);
    expect(error).toMatchObject({ reason: 'wrong-shape', message: `npm page: expected ${message}` });
  });

  it('for a cursor that the feed refuses is a cursor error; 404 and 410 are not', async () => {
    const { standIn, settings } = await startStandIn();
    standIn.fault(FEED, [{ status: 400 }, { status: 404 }, { status: 410 }]);
    const failure = () => pull(npm, settings, '5').catch((thrown: unknown) => thrown);
    const refused = await failure();
    expect(refused).toBeInstanceOf(CursorError);
    expect(refused).toMatchObject({ message: 'npm page: expected the feed to take since=5, got status 400' });
    expect(await failure()).toMatchObject({ name: 'ChangeError', status: 404 });
    expect(await failure()).toMatchObject({ name: 'ChangeError', status: 410 });
  });
});
