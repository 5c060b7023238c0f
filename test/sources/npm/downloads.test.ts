import { describe, expect, it } from 'vitest';
import type { Change } from '../../../src/ports/change.ts';
import type { Downloads } from '../../../src/sources/npm/downloads.ts';
import { type NpmSettings, npm } from '../../../src/sources/npm/npm.ts';
import { load, runStep } from '../step.ts';
import { changeOf, startAnswering, startStandIn } from './upstream.ts';

describe('download counts', () => {
  const prepare = async (settings: NpmSettings, changes: Change[]) =>
    runStep(npm, { settings, step: 'prepare', changes }, ctx => npm.prepare!(changes, ctx));
  const point = (downloads: number) => ({ downloads, package: 'x' });

  it('come from one request for many names, scoped ones from a request each, and unknown ones are null', async () => {
    const { standIn, settings } = await startStandIn();
    const names = ['ms', '@types/node', 'not-a-package', '__proto__', 'constructor'];
    const { value } = await prepare(
      settings,
      names.map(name => changeOf(name)),
    );
    const known = (name: string) => standIn.downloadsOf(name)!;
    expect(value).toEqual(
      expect.arrayContaining([
        ['ms', known('ms')['last-month'], known('ms')['last-year']],
        ['not-a-package', null, null],
        ['@types/node', known('@types/node')['last-month'], known('@types/node')['last-year']],
      ]),
    );
    expect(JSON.parse(JSON.stringify(value))).toEqual(value);
    expect(standIn.requests.recent.map(({ path }) => path)).toEqual([
      '/downloads/point/last-month/ms,not-a-package,__proto__,constructor',
      '/downloads/point/last-year/ms,not-a-package,__proto__,constructor',
      '/downloads/point/last-month/@types%2Fnode',
      '/downloads/point/last-year/@types%2Fnode',
    ]);
  });

  it('of packages with names that every object inherits are those of the packages', async () => {
    const names = ['__proto__', 'constructor', 'toString'];
    const answer = JSON.parse('{"__proto__":{"downloads":7},"constructor":{"downloads":-1}}') as unknown;
    const path = names.join(',');
    const { settings } = await startAnswering({
      [`/downloads/point/last-month/${path}`]: answer,
      [`/downloads/point/last-year/${path}`]: [],
    });
    const { value } = await prepare(
      settings,
      names.map(name => changeOf(name)),
    );
    expect(value).toEqual([
      ['__proto__', 7, null],
      ['constructor', null, null],
      ['toString', null, null],
    ]);
  });

  it('of one unscoped name are requested with a leading comma, so that the answer is a list', async () => {
    const { settings, paths } = await startAnswering({
      '/downloads/point/last-month/,ms': { ms: point(3) },
      '/downloads/point/last-year/,ms': { ms: null },
    });
    expect((await prepare(settings, [changeOf('ms')])).value).toEqual([['ms', 3, null]]);
    expect(paths()).toHaveLength(2);
  });

  it('are requested for at most 128 names at once, for each name once, and for few scoped names', async () => {
    const { server, settings, paths } = await startAnswering(() => ({}));
    const changes = [
      ...Array.from({ length: 130 }, (_, i) => changeOf(`p${i}`)),
      changeOf('p0'),
      ...Array.from({ length: 20 }, (_, i) => changeOf(`@s/p${i}`)),
      changeOf('a,b'),
      changeOf('gone', { deleted: true }),
      changeOf('_design/app', { skip: 'internal-document' }),
    ];
    await prepare(settings, changes);
    const lists = paths().map(path => path!.split('/').at(-1)!.split(',').length);
    expect(lists).toEqual([128, 128, 2, 2, ...Array.from({ length: 10 }, () => 1)]);
    expect(npm.requests('prepare', changes, settings)).toEqual({ [server.host]: 14 });
    expect(npm.requests('prepare', changes.slice(-2), settings)).toEqual({});
  });

  it('of a list that fails are asked for in halves, so that one name does not fail the others', async () => {
    const names = Array.from({ length: 60 }, (_, index) => `p${index}`);
    const { settings, paths } = await startAnswering(list => {
      const asked = list.split('/').at(-1)!.split(',').filter(Boolean);
      return asked.includes('p17') ? undefined : Object.fromEntries(asked.map(name => [name, point(3)]));
    });
    const { value } = await prepare(
      settings,
      names.map(name => changeOf(name)),
    );
    const counts = new Map(value.map(([name, ...each]) => [name, each]));
    for (const name of names) expect(counts.get(name)).toEqual(name === 'p17' ? undefined : [3, 3]);
    expect(paths().length).toBeLessThanOrEqual(2 * (2 * Math.ceil(Math.log2(60)) + 1));
  });

  it.each<[string, number, number]>([
    ['after a failure they are null, and requests go on', 500, 4],
    ['after throttling they are null, and requests stop', 429, 1],
  ])('%s', async (_name, status, requests) => {
    const { standIn, settings } = await startStandIn();
    standIn.fault('/downloads/', [{ status }], { repeat: true });
    const { value, tallies } = await prepare(settings, [changeOf('ms'), changeOf('@types/node')]);
    expect(value).toEqual([]);
    expect(tallies).toMatchObject([{ requests, throttled: status === 429 ? 1 : 0 }]);
    const row = await load(npm, settings, changeOf('ms'), { prepared: value });
    expect(row).toMatchObject({ rows: [{ row: { downloads_total: null, downloads_last_month: null } }] });
  });

  it('are null when nothing was prepared', async () => {
    const { settings } = await startStandIn();
    const prepared: Downloads | null = null;
    expect(await load(npm, settings, changeOf('ms'), { prepared })).toMatchObject({
      rows: [{ row: { downloads_total: null } }],
    });
  });
});
