import { describe, expect, it } from 'vitest';
import { ChangeError, CursorError } from '../../../src/errors.ts';
import { npm } from '../../../src/sources/npm/npm.ts';
import { pull } from '../step.ts';
import { answering, FEED, replayOf } from './upstream.ts';

describe('a page', () => {
  it('has the changes after the cursor, in the order of the feed', async () => {
    const { replay, settings } = await replayOf();
    replay.pushChange({ id: 'ms', deleted: true });
    const rows = replay.rows();
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
    expect(page).toMatchObject({ atHead: true, head: String(replay.updateSeq()), belowCursor: false });
    expect(page.cursor).toBe(String(rows.at(-1)!.seq));
  });

  it('that is full is not at the head, and does not ask for it', async () => {
    const { replay, settings } = await replayOf({}, { NPM_PAGE_CHANGES: 3 });
    const page = await pull(npm, settings, '0');
    expect(page).toMatchObject({ atHead: false, head: null, cursor: page.changes[2]!.cursor });
    expect(replay.requests.count('/')).toBe(0);
    // Full to the last change: only the next page, which is empty, says so.
    const five = await pull(npm, { ...settings, pageChanges: 5 }, '0');
    expect(five).toMatchObject({ atHead: false, cursor: String(replay.updateSeq()) });
    expect(await pull(npm, settings, five.cursor)).toMatchObject({ changes: [], atHead: true, cursor: five.cursor });
  });

  it('is never asked for twice in the same words within the four hours a cache may keep it', async () => {
    const { replay, settings } = await replayOf();
    const pulls = (4 * 3_600_000) / 15_000;
    for (const poll of [0, 1, 2, pulls - 1, 999, 1000]) await pull(npm, { ...settings, pageChanges: 9001 }, '7', poll);
    const feed = replay.requests.recent.filter(({ path }) => path === FEED);
    expect(feed.map(({ query }) => query)).toEqual(
      [9001, 9002, 9003, 9960, 10_000, 9001].map(limit => `since=7&limit=${limit}`),
    );
    expect(new Set(feed.map(({ status }) => status))).toEqual(new Set([200]));
  });

  it('without changes moves the cursor on, and never back', async () => {
    const { settings } = await answering({ [FEED]: { results: [], last_seq: 105 }, '/': { update_seq: 106 } });
    expect(await pull(npm, settings, '100')).toMatchObject({ cursor: '105', head: '106', belowCursor: false });
    expect(await pull(npm, settings, '110')).toMatchObject({ cursor: '110', belowCursor: false });
  });

  it('never moves past the last change it showed, whatever last_seq says', async () => {
    const results = [{ seq: 3, id: 'a', changes: [{ rev: '1-a' }] }];
    const { settings } = await answering({ [FEED]: { results, last_seq: 90 }, '/': { update_seq: 90 } });
    expect(await pull(npm, settings, '0')).toMatchObject({ cursor: '3', head: '90', atHead: true });
  });

  it('of a feed that counts anew is below the cursor', async () => {
    const { replay, settings } = await replayOf();
    const cursor = String(replay.updateSeq());
    replay.renumber(1000);
    expect(await pull(npm, settings, cursor)).toMatchObject({ changes: [], cursor, belowCursor: true });
  });

  it('is good without its head', async () => {
    const { replay, settings } = await replayOf();
    replay.fault('/', [{ status: 200, body: '{"results":[],"last_seq":7}' }, { status: 500 }]);
    expect(await pull(npm, settings, '0')).toMatchObject({ head: null, atHead: true, cursor: '7' });
  });

  it('of nothing but deletions and documents of the database goes on', async () => {
    const { replay, settings } = await replayOf({ only: [] }, { NPM_PAGE_CHANGES: 3 });
    replay.pushChange({ id: 'gone', deleted: true });
    replay.pushChange({ id: '_design/app' });
    replay.pushChange({ id: '_local/app' });
    const page = await pull(npm, settings, '0');
    expect(page.changes).toMatchObject([
      { key: 'gone', deleted: true, skip: null },
      { key: '_design/app', deleted: false, skip: 'internal-document' },
      { key: '_local/app', skip: 'internal-document' },
    ]);
    expect(page).toMatchObject({ atHead: false });
  });
});

describe('a page of another form', () => {
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
    const { settings } = await answering({ [FEED]: page, '/': { update_seq: 9 } });
    const error = await pull(npm, settings, '0').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ChangeError);
    expect(error).toMatchObject({ reason: 'wrong-shape', message: `npm page: expected ${message}` });
  });

  it('for a cursor the feed does not take is a cursor error; a feed that moved is not', async () => {
    const { replay, settings } = await replayOf();
    replay.fault(FEED, [{ status: 400 }, { status: 404 }, { status: 410 }]);
    const failure = () => pull(npm, settings, '5').catch((thrown: unknown) => thrown);
    const refused = await failure();
    expect(refused).toBeInstanceOf(CursorError);
    expect(refused).toMatchObject({ message: 'npm page: expected the feed to take since=5, got status 400' });
    expect(await failure()).toMatchObject({ name: 'ChangeError', status: 404 });
    expect(await failure()).toMatchObject({ name: 'ChangeError', status: 410 });
  });
});
