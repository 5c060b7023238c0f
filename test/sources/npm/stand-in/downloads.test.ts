import { expect, test } from 'vitest';
import type { NpmStandIn } from '../../../../src/sources/npm/stand-in/stand-in.ts';
import { json, start, statusOf } from './client.ts';

const point = (standIn: NpmStandIn, rest: string) => `${standIn.downloadsUrl}/downloads/point/${rest}`;

test('downloads of one name, scoped or not, are a point; those of an unknown name are a 404', async () => {
  const standIn = await start();
  for (const [period, name] of [
    ['last-month', 'express'],
    ['last-year', '@types/node'],
  ] as const) {
    const counted = await json<Record<string, unknown>>(point(standIn, `${period}/${encodeURIComponent(name)}`));
    expect(counted).toEqual({
      downloads: standIn.downloadsOf(name)![period],
      start: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
      end: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
      package: name,
    });
  }
  expect(await json(point(standIn, 'last-year/@types/node'))).toMatchObject({ package: '@types/node' });
  const unknown = await fetch(point(standIn, 'last-month/blake3-wasm'));
  expect(unknown.status).toBe(404);
  expect(await unknown.json()).toEqual({ error: expect.any(String) });
  expect(await statusOf(point(standIn, 'last-decade/express'))).toBe(400);
});

test('downloads of several names are a map with null for unknown ones; an empty name in front makes a map of one', async () => {
  const standIn = await start();
  const text = await (await fetch(point(standIn, 'last-year/express,no-such-name,__proto__,constructor'))).text();
  expect(text).toContain('"__proto__":{"downloads":');
  expect(JSON.parse(text)).toMatchObject({
    express: { downloads: standIn.downloadsOf('express')!['last-year'], package: 'express' },
    'no-such-name': null,
    constructor: { package: 'constructor' },
  });
  expect(await json(point(standIn, 'last-year/,express'))).toMatchObject({ express: { package: 'express' } });
});

test('downloads are refused for more than 128 names and for a scoped name among several', async () => {
  const standIn = await start();
  const names = Array.from({ length: 129 }, (_, i) => `name-${i}`);
  expect(await statusOf(point(standIn, `last-month/${names.join(',')}`))).toBe(400);
  expect(await statusOf(point(standIn, `last-month/${names.slice(1).join(',')}`))).toBe(200);
  expect(await statusOf(point(standIn, 'last-month/express,@types%2Fnode'))).toBe(400);
});

test('most made-up names have downloads', async () => {
  const standIn = await start({ changes: 90, handMade: false });
  const names = standIn.rows().map(row => row.id);
  const known = names.filter(name => name.includes('-copy-') && standIn.downloadsOf(name)!['last-year'] !== null);
  expect(known.length).toBeGreaterThan(30);
  expect(known.length).toBeLessThan(90);
});
