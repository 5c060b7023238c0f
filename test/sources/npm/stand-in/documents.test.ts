import { expect, test } from 'vitest';
import { NPM_RECORDINGS, readRecordings } from '../../../../src/sources/npm/stand-in/recordings.ts';
import type { NpmStandIn } from '../../../../src/sources/npm/stand-in/stand-in.ts';
import { bytesOf, documentOf, json, page, start, statusOf, urlOf } from './client.ts';

const recordings = readRecordings(NPM_RECORDINGS);

test('documents are the recorded ones with the stand-in as their host, and `documentOf` returns the same bytes', async () => {
  const standIn = await start();
  for (const name of ['ms', '@types/estree', 'JSONStream', 'jsonstream', '@types/node']) {
    const bytes = await bytesOf(standIn, name);
    expect(Buffer.compare(bytes, standIn.documentOf(name)!), name).toBe(0);
    const text = new TextDecoder().decode(bytes);
    expect(JSON.parse(text)).toMatchObject({ _id: name, _rev: recordings.packuments.get(name)!.rev });
    expect(text).toContain(`"tarball":"${standIn.origin}/`);
    expect(text).not.toContain('registry.invalid');
  }
});

test('documents of scoped names are found with the slash encoded or not', async () => {
  const standIn = await start();
  for (const url of ['@types%2Festree', '@types%2festree', '@types/estree', '%40types%2Festree']) {
    expect(await json(`${standIn.registryUrl}/${url}`)).toMatchObject({ name: '@types/estree' });
  }
});

test('documents have an etag, and are not sent again to a client that sends it', async () => {
  const standIn = await start();
  const first = await fetch(urlOf(standIn, 'ms'));
  await first.arrayBuffer();
  const etag = first.headers.get('etag')!;
  expect(etag).toMatch(/^"\S+"$/);
  expect(first.headers.get('content-type')).toBe('application/json');
  const again = await fetch(urlOf(standIn, 'ms'), { headers: { 'if-none-match': etag } });
  expect(again.status).toBe(304);
  expect(await again.text()).toBe('');
  standIn.pushChange({ id: 'ms' });
  expect(await statusOf(urlOf(standIn, 'ms'), { headers: { 'if-none-match': etag } })).toBe(200);
});

test('documents are compressed only for a client that accepts gzip', async () => {
  const standIn = await start();
  const packed = await fetch(urlOf(standIn, 'ms'), { headers: { 'accept-encoding': 'gzip' } });
  expect(packed.headers.get('content-encoding')).toBe('gzip');
  expect(Buffer.compare(new Uint8Array(await packed.arrayBuffer()), standIn.documentOf('ms')!)).toBe(0);
  const plain = await fetch(urlOf(standIn, 'ms'), { headers: { 'accept-encoding': 'identity' } });
  expect(plain.headers.get('content-encoding')).toBeNull();
  expect(Buffer.compare(new Uint8Array(await plain.arrayBuffer()), standIn.documentOf('ms')!)).toBe(0);
});

test('a request for an unknown name gets 404 with a JSON error, one for a badly encoded name 400', async () => {
  const standIn = await start();
  const response = await fetch(urlOf(standIn, 'toString'));
  expect(response.status).toBe(404);
  expect(await response.json()).toEqual({ error: 'Not found' });
  expect(standIn.documentOf('toString')).toBeNull();
  expect(await statusOf(`${standIn.registryUrl}/@scope%2Fone%`)).toBe(400);
});

test('documents follow pushed changes: a new revision, a given document, a deletion, and back', async () => {
  const standIn = await start({ rows: 0 });
  standIn.pushChange({ id: 'ms', rev: '900-abc' });
  expect(await documentOf(standIn, 'ms')).toMatchObject({
    _rev: '900-abc',
    'dist-tags': { latest: expect.any(String) },
  });
  standIn.pushChange({ id: 'ms', document: { readme: 'new' } });
  expect(await documentOf(standIn, 'ms')).toMatchObject({
    _id: 'ms',
    _rev: expect.stringMatching(/^901-/),
    readme: 'new',
  });
  const row = standIn.pushChange({ id: 'ms', deleted: true });
  expect(row).toMatchObject({ id: 'ms', deleted: true });
  expect(await statusOf(urlOf(standIn, 'ms'))).toBe(404);
  expect(standIn.documentOf('ms')).toBeNull();
  standIn.pushChange({ id: 'ms' });
  expect(await documentOf(standIn, 'ms')).toMatchObject({ _rev: expect.stringMatching(/^903-/) });
  standIn.pushChange({ id: 'raw', document: new Uint8Array([123, 125]) });
  expect(await bytesOf(standIn, 'raw')).toEqual(new Uint8Array([123, 125]));
});

test('made-up names are copies of recordings under another name and revision', async () => {
  const standIn = await start({ changes: 150 });
  const { results } = await page(standIn, `since=${recordings.feed.at(-1)!.seq}`);
  expect(results).toHaveLength(150);
  expect(new Set(results.map(row => row.id)).size).toBe(150);
  expect(results.filter(row => row.id.startsWith('@')).length).toBeGreaterThan(20);
  for (const { id, changes } of results.filter((_, i) => i % 10 === 0)) {
    const bytes = await bytesOf(standIn, id);
    expect(Buffer.compare(bytes, standIn.documentOf(id)!)).toBe(0);
    const text = new TextDecoder().decode(bytes);
    expect(text).not.toContain('\\u0001');
    const copy = JSON.parse(text);
    expect(copy).toMatchObject({ _id: id, name: id, _rev: changes[0]!.rev });
    const original = await documentOf(standIn, id.replace(/-copy-\d+$/, ''));
    expect(copy.time).toEqual(original.time);
    expect(Object.keys(copy.versions)).toEqual(Object.keys(original.versions as object));
    for (const [version, fields] of Object.entries(copy.versions)) {
      expect(fields).toMatchObject({ name: id, _id: `${id}@${version}` });
    }
  }
});

test('made-up names are the same in every stand-in, and unknown until their row is released', async () => {
  const one = await start({ changes: 20 });
  const two = await start({ changes: 20, rows: 0 });
  const name = one.rows().at(-1)!.id;
  expect(await statusOf(urlOf(two, name))).toBe(404);
  two.release();
  expect(two.rows()).toEqual(one.rows());
  const textOf = (standIn: NpmStandIn) =>
    new TextDecoder().decode(standIn.documentOf(name)!).replaceAll(standIn.origin, '');
  expect(textOf(two)).toBe(textOf(one));
});

test('made-up names change again and again when there are fewer names than changes', async () => {
  const standIn = await start({ changes: 25, names: 10, rows: recordings.feed.length + 10 });
  const { id } = standIn.rows().at(-10)!;
  expect((await documentOf(standIn, id))._rev).toMatch(/^1-/);
  standIn.release(10);
  expect((await documentOf(standIn, id))._rev).toMatch(/^2-/);
  standIn.release();
  expect((await documentOf(standIn, id))._rev).toMatch(/^3-/);
  expect(standIn.rows()).toHaveLength(recordings.feed.length + 10);
});
