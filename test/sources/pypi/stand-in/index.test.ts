import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { callXml, documentOf, faultIn, get, post, SIMPLE_JSON, simple, start } from './client.ts';

const NOT_FOUND = '{"message": "Not Found"}';

interface SimpleIndex {
  meta: { '_last-serial': number; 'api-version': string };
  projects: { '_last-serial': number; name: string }[];
}

interface SimpleProject {
  files: Record<string, unknown>[];
  meta: { '_last-serial': number };
  name: string;
  'project-status': { status: string };
  versions: string[];
}

describe('a document', () => {
  it('has its keys in order, its serial in header and body, an ETag, and ends with a newline', async () => {
    const standIn = await start();
    const { status, headers, text } = await get(standIn, '/pypi/whole-number-versions/json');
    const { serial } = standIn.rows().find(({ name }) => name === 'whole-number-versions')!;
    expect(status).toBe(200);
    expect(headers.get('x-pypi-last-serial')).toBe(String(serial));
    expect(headers.get('cache-control')).toBe('max-age=900, public');
    expect(text.endsWith('}\n')).toBe(true);
    expect(text).toMatch(/^\{"info":\{"author":"","author_email":/);
    expect(text).toContain(`,"last_serial":${serial},"ownership":`);
    expect(text.indexOf('"10":[')).toBeLessThan(text.indexOf('"9":['));
    expect(text).not.toContain('index.invalid');
    expect(Buffer.from(standIn.documentOf('whole-number-versions')!).toString()).toBe(text);
    const etag = headers.get('etag')!;
    expect(etag).toBe(`"${createHash('md5').update(text).digest('base64').slice(0, 22)}"`);
    expect((await get(standIn, '/pypi/whole-number-versions/json', { 'if-none-match': etag })).status).toBe(304);
  });

  it('is at the normalized name; another spelling is moved there', async () => {
    const standIn = await start();
    const { status, headers } = await get(standIn, '/pypi/Zeta.__Mixed--Case/json');
    expect([status, headers.get('location')]).toEqual([301, '/pypi/zeta-mixed-case/json']);
    expect(await documentOf(standIn, 'zeta-mixed-case')).toMatchObject({ info: { name: 'Zeta.__Mixed--Case' } });
    const page = await get(standIn, '/simple/Zeta_Mixed-Case/', { accept: SIMPLE_JSON });
    expect([page.status, page.headers.get('location')]).toEqual([301, '/simple/zeta-mixed-case/']);
    expect((await get(standIn, '/pypi/No.Such/json')).status).toBe(404);
  });

  it.each(['no-releases', 'quarantined-project', 'releases-hidden', 'deleted-project', 'never-there', 'no-such-name'])(
    'of %s is a 404',
    async name => {
      const standIn = await start();
      const { status, headers, text } = await get(standIn, `/pypi/${name}/json`);
      expect([status, headers.get('content-type'), text]).toEqual([404, 'application/json', NOT_FOUND]);
      expect(standIn.documentOf(name)).toBeNull();
    },
  );

  it('keeps a serial that is behind for good where the fixture says so', async () => {
    const standIn = await start();
    const [before, newest] = standIn.rows().filter(({ name }) => name === 'lags-for-good');
    const { headers, text } = await get(standIn, '/pypi/lags-for-good/json');
    expect(JSON.parse(text).last_serial).toBe(before!.serial);
    expect(headers.get('x-pypi-last-serial')).toBe(String(before!.serial));
    expect(standIn.rows().find(({ serial }) => serial === newest!.serial)).toBe(newest);
  });

  it('is large where the fixture says so', async () => {
    const standIn = await start({ only: ['over-four-mib', 'ten-thousand-files'] });
    expect(standIn.documentOf('over-four-mib')!.length).toBeGreaterThan(4 * 2 ** 20);
    const { releases } = JSON.parse(Buffer.from(standIn.documentOf('ten-thousand-files')!).toString());
    expect(Object.values(releases as Record<string, unknown[]>).flat()).toHaveLength(10_000);
  });
});

describe('a lagging project', () => {
  it('is served as before its newest row, so many times, in document and simple index', async () => {
    const standIn = await start({ only: ['last-project'] });
    const first = standIn.lastSerial();
    const { serial } = standIn.pushRow({
      name: 'last-project',
      version: '2.0',
      action: 'new release',
      document: { info: { version: '2.0' } },
    });
    standIn.lag('Last_Project', 2);
    expect(await documentOf(standIn, 'last-project')).toMatchObject({ info: { version: '1.0' }, last_serial: first });
    expect(await simple<SimpleProject>(standIn, '/simple/last-project/')).toMatchObject({
      meta: { '_last-serial': first },
    });
    expect(await documentOf(standIn, 'last-project')).toMatchObject({ info: { version: '2.0' }, last_serial: serial });
  });

  it('may lag for good; a new project is unknown meanwhile', async () => {
    const standIn = await start({ only: [] });
    standIn.pushRow({ name: 'fresh', version: '1.0', action: 'new release' });
    standIn.lag('fresh', Number.POSITIVE_INFINITY);
    for (let i = 0; i < 3; i++) expect((await get(standIn, '/pypi/fresh/json')).status).toBe(404);
    expect(standIn.documentOf('fresh')).not.toBeNull();
  });
});

describe('a project', () => {
  const path = '/simple/last-project/';
  const statusOf = async (standIn: Awaited<ReturnType<typeof start>>) =>
    (await simple<SimpleProject>(standIn, path))['project-status'].status;

  it('is quarantined and cleared by rows of the journal, whatever rows come between', async () => {
    const standIn = await start({ only: ['last-project'] });
    expect(standIn.quarantine('last-project').action).toBe('project quarantined');
    standIn.pushRow({ name: 'last-project', action: 'remove Owner project quarantine cleared' });
    expect(await simple(standIn, path)).toMatchObject({
      files: [],
      versions: [],
      'project-status': { status: 'quarantined' },
    });
    expect((await simple<SimpleIndex>(standIn, '/simple/')).projects).toEqual([]);
    expect((await get(standIn, '/pypi/last-project/json')).status).toBe(404);
    const { serial } = standIn.clearQuarantine('last-project');
    expect(await statusOf(standIn)).toBe('active');
    expect(await documentOf(standIn, 'last-project')).toMatchObject({ info: { version: '1.0' }, last_serial: serial });
  });

  it('is removed by one action only, and comes back without its old releases', async () => {
    const standIn = await start({ only: ['last-project'] });
    standIn.pushRow({ name: 'last-project', action: 'add Owner remove project' });
    expect((await get(standIn, '/pypi/last-project/json')).status).toBe(200);
    standIn.remove('last-project');
    expect((await get(standIn, '/pypi/last-project/json')).status).toBe(404);
    const page = await get(standIn, path, { accept: SIMPLE_JSON });
    expect([page.status, page.headers.get('content-type'), page.text]).toEqual([
      404,
      'text/plain; charset=UTF-8',
      '404 Not Found',
    ]);
    standIn.pushRow({ name: 'last-project', action: 'remove Owner invented-owner' });
    expect((await get(standIn, path)).status).toBe(404);
    standIn.pushRow({ name: 'Last.Project', action: 'create' });
    expect(await simple(standIn, path)).toMatchObject({ files: [], versions: [] });
    expect((await get(standIn, '/pypi/last-project/json')).status).toBe(404);
  });

  it('is archived without a row', async () => {
    const standIn = await start({ only: ['last-project'] });
    const rows = standIn.rows().length;
    standIn.archive('last-project');
    expect(await statusOf(standIn)).toBe('archived');
    expect((await get(standIn, '/pypi/last-project/json')).status).toBe(200);
    standIn.unarchive('last-project');
    expect(await statusOf(standIn)).toBe('active');
    expect(standIn.rows()).toHaveLength(rows);
  });

  it('has the document of its newest row that came with one; text is served as it is', async () => {
    const standIn = await start({ only: [] });
    standIn.pushRow({ name: 'New.One', action: 'new release', version: '1', document: { info: { author: 'Ida' } } });
    const { serial } = standIn.pushRow({ name: 'New.One', action: 'add Owner x' });
    expect(await documentOf(standIn, 'new-one')).toMatchObject({
      info: { author: 'Ida', name: 'New.One', keywords: '' },
      last_serial: serial,
      urls: [],
    });
    standIn.pushRow({ name: 'New.One', action: 'new release', document: '{"cut' });
    expect((await get(standIn, '/pypi/new-one/json')).text).toBe('{"cut');
  });
});

describe('the simple index', () => {
  it('lists all but quarantined and removed projects, in the order of their keys, with their serials', async () => {
    const standIn = await start();
    const { meta, projects } = await simple<SimpleIndex>(standIn, '/simple/');
    expect(meta).toEqual({ '_last-serial': standIn.lastSerial(), 'api-version': '1.4' });
    const names = projects.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining(['no-releases', 'releases-hidden', 'Zeta.__Mixed--Case', 'old.spelling']),
    );
    for (const name of ['quarantined-project', 'deleted-project', 'never-there']) expect(names).not.toContain(name);
    const keys = names.map(name => name.toLowerCase().replace(/[-_.]+/g, '-'));
    expect(keys).toEqual([...keys].sort());
    const newest = standIn.rows().findLast(({ name }) => name === 'old.spelling')!;
    expect(projects.find(({ name }) => name === 'old.spelling')).toEqual({
      '_last-serial': newest.serial,
      name: 'old.spelling',
    });
  });

  it('is HTML without the Accept header', async () => {
    const standIn = await start();
    for (const path of ['/simple/', '/simple/asta-serve/']) {
      const { headers, text } = await get(standIn, path);
      expect(headers.get('content-type')).toMatch(/^text\/html/);
      expect(text).toMatch(/^<!DOCTYPE html>/);
    }
  });

  it('has the files of a project, why one is yanked, and only versions with files', async () => {
    const standIn = await start();
    const { files, name, versions } = await simple<SimpleProject>(standIn, '/simple/yanked-latest/');
    expect([name, versions]).toEqual(['yanked-latest', ['1.9', '2.0']]);
    expect(files.map(({ yanked }) => yanked)).toEqual([false, 'breaks on import']);
    expect(files[0]).toMatchObject({ 'upload-time': '2026-09-01T12:00:00.000000Z', size: expect.any(Number) });
    expect((await simple<SimpleProject>(standIn, '/simple/no-files/')).versions).toEqual([]);
  });

  it('stays as it is while the CDN has it', async () => {
    const standIn = await start();
    standIn.cacheIndex(true);
    const before = await simple<SimpleIndex>(standIn, '/simple/');
    standIn.pushRow({ name: 'fresh', version: '1.0', action: 'new release' });
    expect(await simple<SimpleIndex>(standIn, '/simple/')).toEqual(before);
    standIn.cacheIndex(false);
    expect((await simple<SimpleIndex>(standIn, '/simple/')).projects).toHaveLength(before.projects.length + 1);
  });
});

describe('a fault', () => {
  it('is answered to the next requests of a project, under any spelling', async () => {
    const standIn = await start({ only: ['last-project'] });
    standIn.fault('Last.Project', [{ status: 503 }, { status: 404 }]);
    expect((await get(standIn, '/pypi/last-project/json')).status).toBe(503);
    expect((await get(standIn, '/simple/last-project/')).status).toBe(404);
    expect((await get(standIn, '/pypi/last-project/json')).status).toBe(200);
  });

  it('of `/pypi` is for the feed alone, wherever that is', async () => {
    const standIn = await start({ only: ['last-project'] });
    standIn.fault('/pypi', [{ status: 503 }]);
    expect((await get(standIn, '/pypi/last-project/json')).status).toBe(200);
    expect((await post(standIn, callXml('changelog_last_serial'), { path: '/rows-2/pypi' })).status).toBe(503);
    standIn.fault('/pypi/last-project/', [{ status: 500 }], { repeat: true });
    expect((await get(standIn, '/simple/last-project/')).status).toBe(200);
    expect((await get(standIn, '/pypi/last-project/json')).status).toBe(500);
    standIn.clearFaults();
    expect((await get(standIn, '/pypi/last-project/json')).status).toBe(200);
  });

  it('comes by chance for a share of requests, and throttles the feed with status 200', async () => {
    const standIn = await start({ only: ['last-project'], failShare: 1, seed: 3 });
    const codes = new Set<number | string>();
    for (let i = 0; i < 30; i++) {
      const answer = await post(standIn, callXml('changelog_last_serial'))
        .then(faultIn)
        .catch(() => null);
      codes.add(answer?.code ?? 'other');
    }
    expect(codes).toEqual(new Set([-32500, 'other']));
    expect(standIn.failed()).toBe(30);
  });
});
