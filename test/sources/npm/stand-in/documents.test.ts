import { expect, test } from 'vitest';
import { NPM_RECORDINGS, readRecordings } from '../../../../src/sources/npm/stand-in/recordings.ts';
import type { NpmStandIn } from '../../../../src/sources/npm/stand-in/stand-in.ts';
import { bytesOf, documentOf, json, page, start, statusOf, urlOf } from './client.ts';

const recordings = readRecordings(NPM_RECORDINGS);

test('documents are the recorded ones with the replay as their host, byte for byte what `documentOf` says', async () => {
  const replay = await start();
  for (const name of ['ms', '@types/estree', 'JSONStream', 'jsonstream', '@types/node']) {
    const bytes = await bytesOf(replay, name);
    expect(Buffer.compare(bytes, replay.documentOf(name)!), name).toBe(0);
    const text = new TextDecoder().decode(bytes);
    expect(JSON.parse(text)).toMatchObject({ _id: name, _rev: recordings.packuments.get(name)!.rev });
    expect(text).toContain(`"tarball":"${replay.origin}/`);
    expect(text).not.toContain('registry.invalid');
  }
});

test('documents of scoped names are found with the slash encoded or not', async () => {
  const replay = await start();
  for (const url of ['@types%2Festree', '@types%2festree', '@types/estree', '%40types%2Festree']) {
    expect(await json(`${replay.registryUrl}/${url}`)).toMatchObject({ name: '@types/estree' });
  }
});

test('documents have an etag, and are not sent again to who has them', async () => {
  const replay = await start();
  const first = await fetch(urlOf(replay, 'ms'));
  await first.arrayBuffer();
  const etag = first.headers.get('etag')!;
  expect(etag).toMatch(/^"\S+"$/);
  expect(first.headers.get('content-type')).toBe('application/json');
  const again = await fetch(urlOf(replay, 'ms'), { headers: { 'if-none-match': etag } });
  expect(again.status).toBe(304);
  expect(await again.text()).toBe('');
  replay.pushChange({ id: 'ms' });
  expect(await statusOf(urlOf(replay, 'ms'), { headers: { 'if-none-match': etag } })).toBe(200);
});

test('documents are compressed only for who accepts it', async () => {
  const replay = await start();
  const packed = await fetch(urlOf(replay, 'ms'), { headers: { 'accept-encoding': 'gzip' } });
  expect(packed.headers.get('content-encoding')).toBe('gzip');
  expect(Buffer.compare(new Uint8Array(await packed.arrayBuffer()), replay.documentOf('ms')!)).toBe(0);
  const plain = await fetch(urlOf(replay, 'ms'), { headers: { 'accept-encoding': 'identity' } });
  expect(plain.headers.get('content-encoding')).toBeNull();
  expect(Buffer.compare(new Uint8Array(await plain.arrayBuffer()), replay.documentOf('ms')!)).toBe(0);
});

test('documents that nobody knows are a 404 with a JSON error, badly encoded names a 400', async () => {
  const replay = await start();
  const response = await fetch(urlOf(replay, 'toString'));
  expect(response.status).toBe(404);
  expect(await response.json()).toEqual({ error: 'Not found' });
  expect(replay.documentOf('toString')).toBeNull();
  expect(await statusOf(`${replay.registryUrl}/@scope%2Fone%`)).toBe(400);
});

test('documents follow pushed changes: a new revision, a given document, a deletion, and back', async () => {
  const replay = await start({ rows: 0 });
  replay.pushChange({ id: 'ms', rev: '900-abc' });
  expect(await documentOf(replay, 'ms')).toMatchObject({
    _rev: '900-abc',
    'dist-tags': { latest: expect.any(String) },
  });
  replay.pushChange({ id: 'ms', document: { readme: 'new' } });
  expect(await documentOf(replay, 'ms')).toMatchObject({
    _id: 'ms',
    _rev: expect.stringMatching(/^901-/),
    readme: 'new',
  });
  const row = replay.pushChange({ id: 'ms', deleted: true });
  expect(row).toMatchObject({ id: 'ms', deleted: true });
  expect(await statusOf(urlOf(replay, 'ms'))).toBe(404);
  expect(replay.documentOf('ms')).toBeNull();
  replay.pushChange({ id: 'ms' });
  expect(await documentOf(replay, 'ms')).toMatchObject({ _rev: expect.stringMatching(/^903-/) });
  replay.pushChange({ id: 'raw', document: new Uint8Array([123, 125]) });
  expect(await bytesOf(replay, 'raw')).toEqual(new Uint8Array([123, 125]));
});

test('made-up names are copies of recordings under a name and a revision of their own', async () => {
  const replay = await start({ changes: 150 });
  const { results } = await page(replay, `since=${recordings.feed.at(-1)!.seq}`);
  expect(results).toHaveLength(150);
  expect(new Set(results.map(row => row.id)).size).toBe(150);
  expect(results.filter(row => row.id.startsWith('@')).length).toBeGreaterThan(20);
  for (const { id, changes } of results.filter((_, i) => i % 10 === 0)) {
    const bytes = await bytesOf(replay, id);
    expect(Buffer.compare(bytes, replay.documentOf(id)!)).toBe(0);
    const text = new TextDecoder().decode(bytes);
    expect(text).not.toContain('\\u0001');
    const copy = JSON.parse(text);
    expect(copy).toMatchObject({ _id: id, name: id, _rev: changes[0]!.rev });
    const original = await documentOf(replay, id.replace(/-copy-\d+$/, ''));
    expect(copy.time).toEqual(original.time);
    expect(Object.keys(copy.versions)).toEqual(Object.keys(original.versions as object));
    for (const [version, fields] of Object.entries(copy.versions)) {
      expect(fields).toMatchObject({ name: id, _id: `${id}@${version}` });
    }
  }
});

test('made-up names are the same in every replay, and unknown until their row is released', async () => {
  const one = await start({ changes: 20 });
  const two = await start({ changes: 20, rows: 0 });
  const name = one.rows().at(-1)!.id;
  expect(await statusOf(urlOf(two, name))).toBe(404);
  two.release();
  expect(two.rows()).toEqual(one.rows());
  const textOf = (replay: NpmStandIn) =>
    new TextDecoder().decode(replay.documentOf(name)!).replaceAll(replay.origin, '');
  expect(textOf(two)).toBe(textOf(one));
});

test('made-up names change again and again when there are fewer names than changes', async () => {
  const replay = await start({ changes: 25, names: 10, rows: recordings.feed.length + 10 });
  const { id } = replay.rows().at(-10)!;
  expect((await documentOf(replay, id))._rev).toMatch(/^1-/);
  replay.release(10);
  expect((await documentOf(replay, id))._rev).toMatch(/^2-/);
  replay.release();
  expect((await documentOf(replay, id))._rev).toMatch(/^3-/);
  expect(replay.rows()).toHaveLength(recordings.feed.length + 10);
});
