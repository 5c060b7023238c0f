import { expect, test } from 'vitest';
import type { NpmStandIn } from '../../../../src/sources/npm/stand-in/stand-in.ts';
import { json, start, statusOf } from './client.ts';

const point = (replay: NpmStandIn, rest: string) => `${replay.downloadsUrl}/downloads/point/${rest}`;

test('downloads of one name are a point, scoped or not; of an unknown one a 404', async () => {
  const replay = await start();
  for (const [period, name] of [
    ['last-month', 'express'],
    ['last-year', '@types/node'],
  ] as const) {
    const counted = await json<Record<string, unknown>>(point(replay, `${period}/${encodeURIComponent(name)}`));
    expect(counted).toEqual({
      downloads: replay.downloadsOf(name)![period],
      start: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
      end: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
      package: name,
    });
  }
  expect(await json(point(replay, 'last-year/@types/node'))).toMatchObject({ package: '@types/node' });
  const unknown = await fetch(point(replay, 'last-month/blake3-wasm'));
  expect(unknown.status).toBe(404);
  expect(await unknown.json()).toEqual({ error: expect.any(String) });
  expect(await statusOf(point(replay, 'last-decade/express'))).toBe(400);
});

test('downloads of several names are a map with null for unknown ones; an empty name in front makes a map of one', async () => {
  const replay = await start();
  const text = await (await fetch(point(replay, 'last-year/express,no-such-name,__proto__,constructor'))).text();
  expect(text).toContain('"__proto__":{"downloads":');
  expect(JSON.parse(text)).toMatchObject({
    express: { downloads: replay.downloadsOf('express')!['last-year'], package: 'express' },
    'no-such-name': null,
    constructor: { package: 'constructor' },
  });
  expect(await json(point(replay, 'last-year/,express'))).toMatchObject({ express: { package: 'express' } });
});

test('downloads are refused for more than 128 names and for a scoped name among several', async () => {
  const replay = await start();
  const names = Array.from({ length: 129 }, (_, i) => `name-${i}`);
  expect(await statusOf(point(replay, `last-month/${names.join(',')}`))).toBe(400);
  expect(await statusOf(point(replay, `last-month/${names.slice(1).join(',')}`))).toBe(200);
  expect(await statusOf(point(replay, 'last-month/express,@types%2Fnode'))).toBe(400);
});

test('downloads of made-up names are known for most and the same every time', async () => {
  const replay = await start({ changes: 90, handMade: false });
  const names = replay.rows().map(row => row.id);
  const known = names.filter(name => name.includes('-copy-') && replay.downloadsOf(name)!['last-year'] !== null);
  expect(known.length).toBeGreaterThan(30);
  expect(known.length).toBeLessThan(90);
});
