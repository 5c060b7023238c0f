import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { NPM_RECORDINGS, readRecordings } from '../../../../src/sources/npm/stand-in/recordings.ts';
import { type FeedRow, startStandIn } from '../../../../src/sources/npm/stand-in/stand-in.ts';
import { type FeedPage, json, page, start, statusOf, urlOf } from './client.ts';

const recordings = readRecordings(NPM_RECORDINGS);

test('the root document has the newest number of the feed and the number of packages', async () => {
  const standIn = await start();
  const deleted = recordings.feed.filter(row => row.deleted).length;
  expect(await json(`${standIn.origin}/`)).toEqual({
    db_name: 'registry',
    doc_count: recordings.feed.length - deleted,
    update_seq: recordings.feed.at(-1)!.seq,
  });
  expect(standIn.updateSeq()).toBe(recordings.feed.at(-1)!.seq);
});

test('the feed gives rows after `since`, ascending, and can be read to its end in pages', async () => {
  const standIn = await start();
  const rows: FeedRow[] = [];
  let since = 0;
  for (;;) {
    const { results, last_seq } = await page(standIn, `since=${since}&limit=10`);
    if (results.length === 0) break;
    expect(last_seq).toBe(results.at(-1)!.seq);
    rows.push(...results);
    since = last_seq;
  }
  expect(rows).toEqual(recordings.feed);
  expect(await page(standIn, `since=${since}`)).toEqual({ results: [], last_seq: since });
});

test('the feed has `deleted` only on deletions, and caches may keep it for four hours', async () => {
  const standIn = await start();
  const { results } = await page(standIn, 'since=0');
  expect(results.find(row => row.id === 'gone-deleted')!.deleted).toBe(true);
  expect(results.filter(row => 'deleted' in row).every(row => row.deleted === true)).toBe(true);
  const response = await fetch(`${standIn.feedUrl}/_changes?since=0&limit=1`);
  expect(response.headers.get('cache-control')).toBe('max-age=14400');
  expect(response.headers.get('content-type')).toBe('application/json');
});

test('the list has the names that are not deleted, in the order of their bytes, from a key on', async () => {
  const standIn = await start();
  const all = await json<{ total_rows: number; offset: number; rows: { id: string; key: string; value: object }[] }>(
    `${standIn.feedUrl}/_all_docs`,
  );
  const expected = recordings.feed
    .filter(row => !row.deleted)
    .sort((a, b) => Buffer.from(a.id).compare(Buffer.from(b.id)));
  expect(all).toEqual({
    total_rows: expected.length,
    offset: 0,
    rows: expected.map(({ id, changes }) => ({ id, key: id, value: { rev: changes[0]!.rev } })),
  });
  const { id } = expected[7]!;
  const page = await json(`${standIn.feedUrl}/_all_docs?startkey=${encodeURIComponent(JSON.stringify(id))}&limit=2`);
  expect(page).toMatchObject({ offset: 7, rows: [{ id }, { id: expected[8]!.id }] });
  for (const query of ['skip=1', 'limit=0', 'limit=10001', 'startkey=a', 'startkey=7'])
    expect(await statusOf(`${standIn.feedUrl}/_all_docs?${query}`)).toBe(400);
});

test('the feed gives 1,000 rows a page by default and 10,000 at most', async () => {
  const standIn = await start({ changes: 11_000 });
  expect((await page(standIn, 'since=0')).results).toHaveLength(1000);
  expect((await page(standIn, 'since=0&limit=10000')).results).toHaveLength(10_000);
  expect(await statusOf(`${standIn.feedUrl}/_changes?since=0&limit=10001`)).toBe(400);
});

test.each([
  'include_docs=true',
  'feed=continuous',
  'heartbeat=1000',
  'timeout=1000',
  'style=all_docs',
  'filter=a/b',
  'since=now',
  'since=1.5',
  'since=-1',
  'limit=0',
  'limit=x',
])('the feed answers 400 to %s', async query => {
  const standIn = await start();
  const response = await fetch(`${standIn.feedUrl}/_changes?${query}`);
  expect(response.status).toBe(400);
  expect(await response.json()).toEqual({ error: expect.any(String) });
});

test('the feed ignores unknown parameters, and refuses every method but a read', async () => {
  const standIn = await start();
  expect((await page(standIn, 'since=0&limit=1&other=1')).results).toHaveLength(1);
  expect(await statusOf(`${standIn.feedUrl}/_changes`, { method: 'POST', body: '{}' })).toBe(405);
});

test('the feed shows only the newest row of an id', async () => {
  const standIn = await start({ only: ['zod', 'ms'], handMade: false });
  const [first, second] = standIn.rows();
  const third = standIn.pushChange({ id: first!.id });
  expect((await page(standIn, 'since=0')).results).toEqual([second, third]);
  expect((await page(standIn, `since=${second!.seq}`)).results).toEqual([third]);
  expect(Number.parseInt(third.changes[0]!.rev, 10)).toBe(Number.parseInt(first!.changes[0]!.rev, 10) + 1);
});

test('the feed releases waiting rows on request', async () => {
  const standIn = await start({ rows: 2, changes: 3 });
  expect((await page(standIn, 'since=0')).results).toEqual(recordings.feed.slice(0, 2));
  expect(standIn.updateSeq()).toBe(recordings.feed[1]!.seq);
  const total = recordings.feed.length + 3;
  expect(standIn.waiting()).toBe(total - 2);
  expect(standIn.release(5)).toEqual(recordings.feed.slice(2, 7));
  expect(standIn.release()).toHaveLength(total - 7);
  expect(standIn.waiting()).toBe(0);
  expect((await page(standIn, 'since=0')).results).toHaveLength(total);
});

test('the numbers of the feed rise when a change is pushed before waiting rows', async () => {
  const standIn = await start({ rows: 1 });
  for (let i = 0; i < 5; i++) standIn.pushChange({ id: `pushed-${i}`, document: {} });
  standIn.release();
  const seqs = standIn.rows().map(row => row.seq);
  expect(seqs).toHaveLength(recordings.feed.length + 5);
  expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  expect(new Set(seqs).size).toBe(seqs.length);
});

test('the feed can number its rows again from a lower number', async () => {
  const standIn = await start({ rows: 10 });
  const cursor = standIn.updateSeq();
  standIn.renumber(1000);
  expect(await page(standIn, `since=${cursor}`)).toEqual({ results: [], last_seq: standIn.updateSeq() });
  expect(standIn.updateSeq()).toBeLessThan(1100);
  expect(standIn.release(1)[0]!.seq).toBeGreaterThan(1000 + 9 * 3);
  expect((await page(standIn, 'since=0')).results.map(row => row.id)).toEqual(
    recordings.feed.slice(0, 11).map(row => row.id),
  );
});

test('the stand-in logs its requests', async () => {
  const standIn = await start();
  await statusOf(urlOf(standIn, '@types/estree'), { headers: { 'user-agent': 'one/1.0' } });
  await statusOf(`${standIn.feedUrl}/_changes?since=5`);
  await statusOf(`${standIn.feedUrl}/_changes?since=6`);
  expect(standIn.requests.total).toBe(3);
  expect(standIn.requests.count('/registry/_changes')).toBe(2);
  expect(standIn.requests.recent[0]).toMatchObject({
    method: 'GET',
    path: '/%40types%2Festree',
    userAgent: 'one/1.0',
    status: 200,
    atMs: expect.any(Number),
  });
  expect(standIn.requests.recent[2]).toMatchObject({ path: '/registry/_changes', query: 'since=6' });
  expect(standIn.requests.statuses.get(200)).toBe(3);
});

test('the stand-in starts on a given port of this machine only, and rejects when the port is taken', async () => {
  const taken = createServer();
  taken.listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const address = taken.address();
  const port = typeof address === 'object' ? address!.port : 0;
  await expect(startStandIn({ port })).rejects.toThrow('EADDRINUSE');
  taken.close();
  await once(taken, 'close');
  expect((await start({ port })).origin).toBe(`http://127.0.0.1:${port}`);
});

test('the stand-in runs from the command line and prints the settings for it', async () => {
  const program = path.resolve(import.meta.dirname, '../../../../src/sources/npm/stand-in/stand-in.ts');
  const child = spawn('node', [program, '--changes', '7', '--no-hand-made', '--rows', '60'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const settings = new Map<string, string>();
    for await (const line of createInterface({ input: child.stdout })) {
      const [name = '', value = ''] = line.split('=', 2);
      settings.set(name, value);
      if (name === 'NPM_START') break;
    }
    const { results } = await json<FeedPage>(`${settings.get('NPM_FEED_URL')}/_changes`);
    expect(results).toHaveLength(60);
    expect(await statusOf(`${settings.get('NPM_REGISTRY_URL')}/ms`)).toBe(200);
    expect(await statusOf(`${settings.get('NPM_DOWNLOADS_URL')}/downloads/point/last-month/ms`)).toBe(200);
  } finally {
    child.kill('SIGTERM');
  }
  expect(await once(child, 'exit')).toEqual([0, null]);
});
