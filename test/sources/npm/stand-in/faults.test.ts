import { expect, test } from 'vitest';
import { NPM_RECORDINGS, readRecordings } from '../../../../src/sources/npm/stand-in/recordings.ts';
import { makeCoin } from '../../../../src/sources/stand-in/faults.ts';
import { bytesOf, documentOf, start, statusOf, urlOf } from './client.ts';

const recordings = readRecordings(NPM_RECORDINGS);

const name = (file: string) => recordings.handMade.get(file)!.name;

test('hand-made answers are served in order, and the last one repeats', async () => {
  const standIn = await start();
  const revs: unknown[] = [];
  for (let i = 0; i < 4; i++) revs.push((await documentOf(standIn, 'lagging'))._rev);
  expect(revs.map(rev => Number.parseInt(String(rev), 10))).toEqual([36, 36, 37, 37]);
  expect(JSON.parse(new TextDecoder().decode(standIn.documentOf('lagging')!))._rev).toBe(revs[3]);
  const throttled = await fetch(urlOf(standIn, 'throttled-once'));
  expect([throttled.status, throttled.headers.get('retry-after')]).toEqual([429, '1']);
  expect(await statusOf(urlOf(standIn, 'throttled-once'))).toBe(200);
  const statuses = [];
  for (let i = 0; i < 3; i++) statuses.push(await statusOf(urlOf(standIn, 'failing-twice')));
  expect(statuses).toEqual([500, 500, 200]);
});

test('hand-made answers cover names that break careless code', async () => {
  const standIn = await start();
  for (const odd of ['__proto__', 'constructor', '-', '@scope/100%', '@scope/%25x']) {
    expect((await documentOf(standIn, name(odd))).name).toBe(odd);
    expect(standIn.rows().some(row => row.id === odd)).toBe(true);
  }
  expect(await statusOf(`${standIn.registryUrl}/@scope%2F%25x`)).toBe(404);
  expect(standIn.rows().some(row => row.id === '_design/app')).toBe(true);
});

test('hand-made answers cover both forms of an unpublished package, deletions, and 404s that the feed did not announce', async () => {
  const standIn = await start();
  for (const gone of ['gone-tombstone', 'gone-tombstone-legacy']) {
    const document = await documentOf(standIn, gone);
    expect(document).toMatchObject({ time: { unpublished: { versions: expect.any(Array) } } });
    expect(document).not.toHaveProperty('versions');
  }
  expect(await statusOf(urlOf(standIn, 'gone-deleted'))).toBe(404);
  expect(await statusOf(urlOf(standIn, 'gone-unmarked'))).toBe(404);
  expect(standIn.documentOf('gone-unmarked')).toBeNull();
});

test('hand-made answers cover bodies that are not documents', async () => {
  const standIn = await start();
  for (const broken of ['malformed-json', 'truncated-json', 'html-page', 'empty-body']) {
    const response = await fetch(urlOf(standIn, broken));
    expect(response.status).toBe(200);
    const text = await response.text();
    expect(() => JSON.parse(text), broken).toThrow(SyntaxError);
  }
  await expect(bytesOf(standIn, 'cut-connection')).rejects.toThrow();
  expect(await documentOf(standIn, 'cut-connection')).toMatchObject({ name: 'cut-connection' });
  // Node's fetch returns the part that it can unpack without an error; other clients throw.
  await expect(documentOf(standIn, 'truncated-gzip')).rejects.toThrow();
  expect(await documentOf(standIn, 'truncated-gzip')).toMatchObject({ name: 'truncated-gzip' });
});

test('hand-made answers can be left out of the feed', async () => {
  const standIn = await start({ handMade: false });
  expect(
    standIn
      .rows()
      .map(row => row.id)
      .toSorted(),
  ).toEqual([...recordings.packuments.keys()].toSorted());
});

test('faults come first for a name, then the usual answer again', async () => {
  const standIn = await start();
  standIn.fault('ms', [{ status: 503, headers: { 'retry-after': '7' }, body: 'busy' }, { cut: true }]);
  const busy = await fetch(urlOf(standIn, 'ms'));
  expect([busy.status, busy.headers.get('retry-after'), await busy.text()]).toEqual([503, '7', 'busy']);
  await expect(bytesOf(standIn, 'ms')).rejects.toThrow();
  expect(await documentOf(standIn, 'ms')).toMatchObject({ name: 'ms' });
  expect(await documentOf(standIn, 'retry')).toMatchObject({ name: 'retry' });
});

test('faults repeat on request until they are cleared, and apply to every path', async () => {
  const standIn = await start();
  standIn.fault('/registry/_changes', [{ status: 500 }], { repeat: true });
  standIn.fault('/downloads/', [{ status: 429 }]);
  for (let i = 0; i < 3; i++) expect(await statusOf(`${standIn.feedUrl}/_changes`)).toBe(500);
  expect(await statusOf(`${standIn.downloadsUrl}/downloads/point/last-month/ms`)).toBe(429);
  expect(await statusOf(`${standIn.downloadsUrl}/downloads/point/last-month/ms`)).toBe(200);
  standIn.clearFaults();
  expect(await statusOf(`${standIn.feedUrl}/_changes`)).toBe(200);
});

test('faults can end a compressed body early under a length that fits', async () => {
  const standIn = await start();
  standIn.fault('ms', [{ gzip: true, truncateTo: 500 }]);
  const response = await fetch(urlOf(standIn, 'ms'));
  expect([response.status, response.headers.get('content-length')]).toEqual([200, '500']);
  expect((await response.arrayBuffer()).byteLength).toBeLessThan(standIn.documentOf('ms')!.length);
  await documentOf(standIn, 'ms');
});

test('faults hit a share of the requests, the same ones for the same seed', async () => {
  const outcomes = async (seed: number) => {
    const standIn = await start({ failShare: 0.3, seed, only: ['ms'] });
    const seen: (number | string)[] = [];
    for (let i = 0; i < 200; i++) seen.push(await statusOf(urlOf(standIn, 'ms')).catch(() => 'cut'));
    expect(standIn.failed()).toBe(seen.filter(outcome => outcome !== 200).length);
    return seen;
  };
  const seen = await outcomes(7);
  expect(new Set(seen)).toEqual(new Set([200, 429, 500, 'cut']));
  const failed = seen.filter(outcome => outcome !== 200).length;
  expect(failed).toBeGreaterThan(40);
  expect(failed).toBeLessThan(80);
  expect(await outcomes(7)).toEqual(seen);
  expect(makeCoin(7)()).not.toBe(makeCoin(8)());
});
