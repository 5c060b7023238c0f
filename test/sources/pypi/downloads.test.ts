import { describe, expect, it } from 'vitest';
import type { Change } from '../../../src/ports/change.ts';
import { downloadsFor, queryOf, type SliceDownloads } from '../../../src/sources/pypi/downloads.ts';
import { pypi } from '../../../src/sources/pypi/pypi.ts';
import { runStep } from '../step.ts';
import { changeOf, type Reply, startUpstream } from './upstream.ts';

const line = (project: string, month: unknown, total: unknown) =>
  JSON.stringify({ project, day: '2026-11-27', month, total });

/** The counts of a slice where the counts' host gives this answer. */
async function prepared(changes: Change[], reply: Reply) {
  const { settings, sent } = await startUpstream(() => reply);
  const step = { settings, step: 'prepare' as const, changes };
  const value = await runStep(pypi, step, ctx => pypi.prepare!(changes, ctx)).then(
    result => result.value,
    (error: unknown) => error,
  );
  return { value: value as SliceDownloads, sent };
}

const two = [changeOf('a'), changeOf('b')];

describe('the counts of a slice', () => {
  it('come by one query, with the names in it and its settings in the address', async () => {
    const reply = { body: `${line('a', '30', '5000000000')}\n${line('b', '0', '1')}\n` };
    const { value, sent } = await prepared([...two, changeOf('a')], reply);
    expect(value).toEqual([
      ['a', 30, 5_000_000_000],
      ['b', 0, 1],
    ]);
    expect(sent).toHaveLength(1);
    expect(sent[0]).toMatchObject({ method: 'POST', path: '/sql?user=demo' });
    expect(sent[0]!.body).toBe(queryOf(['a', 'b']));
    expect(sent[0]!.body).toContain("IN ('a','b')");
  });

  it('are null for a project that the answer leaves out', async () => {
    const { value } = await prepared(two, { body: line('a', '30', '40') });
    expect(downloadsFor(value, 'a')).toEqual({ month: 30, total: 40 });
    expect(downloadsFor(value, 'b')).toBeNull();
    expect(downloadsFor(null, 'a')).toBeNull();
  });

  it('are null where they are no counts, or too large to be exact', async () => {
    const texts = ['', '-1', '1.5', '1e3', '9007199254740993', '99999999999999999999', 5, null];
    for (const text of texts)
      expect((await prepared(two, { body: line('a', text, '7') })).value).toEqual([['a', null, 7]]);
  });

  it('leave out projects that nobody asked for', async () => {
    const { value } = await prepared(two, { body: [line('c', '1', '1'), line('a', '2', '2')].join('\n') });
    expect(value).toEqual([['a', 2, 2]]);
  });

  it.each<[string, Reply, Record<string, unknown>]>([
    [
      'an error in the middle',
      { body: `${line('a', '1', '1')}\nCode: 241. DB::Exception: Memory limit` },
      { reason: 'wrong-shape', message: expect.stringContaining('pypi downloads: expected lines[1]') },
    ],
    ['half a line', { body: '{"project":"a","mon' }, { reason: 'wrong-shape' }],
    ['a line of many values', { body: `{"project":"a","x":[${'{},'.repeat(10_000)}0]}` }, { reason: 'wrong-shape' }],
    ['a web page', { body: '<html>' }, { reason: 'wrong-shape' }],
    ['a status', { status: 500, body: 'Code: 159. DB::Exception: Timeout' }, { status: 500 }],
    ['429', { status: 429, headers: { 'retry-after': '9' } }, { status: 429, retryAfterMs: 9000 }],
  ])('fail as a whole with %s', async (_, reply, expected) => {
    expect((await prepared(two, reply)).value).toMatchObject(expected);
  });
});

describe('the query', () => {
  it('is not sent for changes that need no counts', async () => {
    const none = [
      changeOf('a', { deleted: true }),
      changeOf('b', { skip: 'coalesced' }),
      changeOf("x') OR 1=1 --"),
      changeOf(''),
    ];
    const { value, sent } = await prepared(none, { status: 500 });
    expect(value).toEqual([]);
    expect(sent).toEqual([]);
  });

  it('has no text in it that is no name', () => {
    const hostile = ["a'b", 'a\\', "'; DROP TABLE x; --", 'a b', 'A', 'é', 'a\nb', ''];
    expect(queryOf([...hostile, 'ok-1'])).toContain("IN ('ok-1')");
  });

  it('sums the 30 days that end with the newest day of the table', () => {
    expect(queryOf(['a'])).toMatch(/sumIf\(count, date > \(SELECT max\(date\) FROM \S+\) - 30\)\) AS month/);
  });
});
