import { describe, expect, it } from 'vitest';
import { pypi } from '../../../src/sources/pypi/pypi.ts';
import type { PypiSettings } from '../../../src/sources/pypi/settings.ts';
import { createFetcher } from '../../../src/sources/upstream/fetcher.ts';
import { runStep } from '../step.ts';
import { changeOf, type Reply, SIMPLE_JSON, startUpstream } from './upstream.ts';

/** All keys of the listing, read as a sweep reads it. */
async function listed(settings: PypiSettings) {
  const permits = Object.entries(pypi.requests('list', [], settings)).map(([host, count]) => ({
    host,
    count,
    startAtMs: 0,
    intervalMs: 0,
  }));
  const fetcher = createFetcher({ contact: 'tests', permits, deadlineAtMs: Date.now() + 60_000 });
  const keys: unknown[] = [];
  for await (const some of pypi.feed!.listing!.read({ ...fetcher, settings, nowMs: 0 })) keys.push(...some);
  return keys;
}

describe('the listing', () => {
  const projects = Array.from({ length: 5000 }, (_, i) => ({ '_last-serial': i + 1, name: `Project_${i}` }));

  it('is the simple index as JSON, with the serial of each project', async () => {
    const { settings, sent } = await startUpstream(({ path }) =>
      path === '/simple/'
        ? { body: JSON.stringify({ meta: {}, projects }), headers: { 'content-type': SIMPLE_JSON } }
        : undefined,
    );
    expect(await listed(settings)).toEqual(projects.map((_, i) => ({ key: `project-${i}`, revision: i + 1 })));
    expect(sent).toMatchObject([{ method: 'GET', path: '/simple/', headers: { accept: SIMPLE_JSON } }]);
  });

  it.each<[string, Reply, Record<string, unknown>]>([
    ['HTML in its place', { body: '<!DOCTYPE html><html>' }, { reason: 'not-json' }],
    ['its first half', { body: JSON.stringify({ projects }).slice(0, 50_000) }, { reason: 'truncated' }],
    ['status 503', { status: 503 }, { status: 503 }],
  ])('fails with %s', async (_, reply, expected) => {
    const { settings } = await startUpstream(() => reply);
    await expect(listed(settings)).rejects.toMatchObject(expected);
  });
});

describe('the round', () => {
  const check = async (reply: Reply) => {
    const changes = [changeOf('thing')];
    const { settings, sent } = await startUpstream(({ path }) => (path === '/simple/thing/' ? reply : undefined));
    const step = { settings, step: 'round' as const, changes };
    const { value } = await runStep(pypi, step, ctx => pypi.feed!.round!.check(changes[0]!, ctx));
    return { value, sent };
  };
  const page = (fields: Record<string, unknown>) => ({
    body: JSON.stringify({ files: [], meta: { '_last-serial': 1 }, name: 'thing', versions: [], ...fields }),
  });

  it.each([
    ['archived', { status: 'archived' }],
    ['quarantined', { status: 'quarantined' }],
    ['active', null],
  ])('finds a project that is %s', async (status, facts) => {
    const { value, sent } = await check(page({ 'project-status': { status } }));
    expect(value).toEqual(facts);
    expect(sent).toMatchObject([{ path: '/simple/thing/', headers: { accept: SIMPLE_JSON } }]);
  });

  it('takes a project of an index without statuses for active', async () => {
    expect((await check(page({}))).value).toBeNull();
  });

  it('finds the status of a project with many files, whatever their names', async () => {
    const files = Array.from({ length: 5000 }, (_, i) => ({
      filename: `thing-${i}"],"project-status":{"status":"x"}.whl`,
      'upload-time': '2024-01-01T00:00:00Z',
      hashes: { sha256: 'a'.repeat(64) },
    }));
    const { value } = await check(
      page({ files, versions: files.map((_, i) => `${i}`), 'project-status': { status: 'archived' } }),
    );
    expect(value).toEqual({ status: 'archived' });
  });

  it('says nothing of a project whose page cannot be had', async () => {
    await expect(check({ status: 404 })).rejects.toMatchObject({ reason: 'http-404' });
    await expect(check(page({ name: 'other' }))).rejects.toMatchObject({ reason: 'name-mismatch' });
    await expect(
      check(page({ more: Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`k${i}`, {}])) })),
    ).rejects.toMatchObject({
      reason: 'too-large',
      message: 'pypi simple: expected at most 1000 values, got more',
    });
    await expect(
      check(page(Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`k${i}`, [1]])))),
    ).rejects.toMatchObject({
      message: 'pypi simple: expected at most 100 lists, got more',
    });
    await expect(check({ body: Buffer.alloc(4 * 2 ** 20 + 1, 32) })).rejects.toMatchObject({ reason: 'too-large' });
  });
});
