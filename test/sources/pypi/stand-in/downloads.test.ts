import { expect, test } from 'vitest';
import type { PypiStandIn } from '../../../../src/sources/pypi/stand-in/stand-in.ts';
import { start } from './client.ts';

const TABLE = 'pypi.pypi_downloads_per_day';

/** The lines of an answer, or its status and text. */
async function ask(standIn: PypiStandIn, sql: string, query = ''): Promise<unknown> {
  const response = await fetch(`${standIn.settings.PYPI_DOWNLOADS_URL}${query}`, { method: 'POST', body: sql });
  const text = await response.text();
  if (response.status !== 200) return { status: response.status, text };
  return text.split('\n').flatMap(line => (line === '' ? [] : [JSON.parse(line)]));
}

test.each([
  [
    'with the newest day in a WITH',
    `WITH (SELECT max(date) FROM ${TABLE}) AS newest
     SELECT project, toString(newest) AS day, sumIf(count, date > newest - 30) AS month, sum(count) AS total
     FROM ${TABLE} WHERE project IN ('asta-serve', 'no-such', 'links-github') GROUP BY project FORMAT JSONEachRow`,
  ],
  [
    'with the newest day in the query itself',
    `SELECT project, toString((SELECT max(date) FROM ${TABLE})) AS day,
     sumIf(count, date >= (SELECT max(date) FROM ${TABLE}) - 29) AS month, sum(count) AS total
     FROM ${TABLE} WHERE project IN ('asta-serve','no-such','links-github') GROUP BY project FORMAT JSONEachRow`,
  ],
  [
    'with a window as an interval',
    `SELECT project, (SELECT max(date) FROM ${TABLE}) AS day,
     sumIf(count, date > (SELECT max(date) FROM ${TABLE}) - INTERVAL 30 DAY) AS month, sum(count) AS total
     FROM ${TABLE} WHERE project IN ('asta-serve','no-such','links-github') GROUP BY project FORMAT JSONEachRow`,
  ],
])('a query %s gives a line a known project, with numbers as text', async (_, sql) => {
  const standIn = await start();
  expect(await ask(standIn, sql)).toEqual([
    { project: 'asta-serve', day: '2026-11-22', month: '48210', total: '1204551' },
    { project: 'links-github', day: '2026-11-22', month: '2001', total: '40020' },
  ]);
  expect(standIn.downloadsOf('Asta.Serve')).toEqual({ month: 48210, total: 1204551 });
  expect(standIn.downloadsOf('no-such')).toBeNull();
});

test('a window of other length counts other days, and names are those of the query', async () => {
  const standIn = await start();
  const sql = (days: number) =>
    `WITH (SELECT max(date) FROM ${TABLE}) AS m SELECT project AS p, sumIf(count, date > m - ${days}) AS x
     FROM ${TABLE} WHERE project IN ('asta-serve') GROUP BY project`;
  const asked = (days: number) => ask(standIn, sql(days), '&default_format=JSONEachRow');
  expect(await asked(29)).toEqual([{ p: 'asta-serve', x: '1' }]);
  expect(await asked(30)).toEqual([{ p: 'asta-serve', x: '48210' }]);
  expect(await asked(31)).toEqual([{ p: 'asta-serve', x: '1204551' }]);
});

test.each([
  [
    'a window that ends today',
    `SELECT project, sumIf(count, date > today() - 30) AS month FROM ${TABLE} WHERE project IN ('a') GROUP BY project`,
  ],
  ['a list without quotes', `SELECT project FROM ${TABLE} WHERE project IN (a) GROUP BY project`],
  ['no list', `SELECT project FROM ${TABLE} GROUP BY project`],
  ['no GROUP BY', `SELECT project, sum(count) AS total FROM ${TABLE} WHERE project IN ('a')`],
  ['a column that the table lacks', `SELECT project, version FROM ${TABLE} WHERE project IN ('a') GROUP BY project`],
  ['no table', "SELECT project FROM elsewhere WHERE project IN ('a') GROUP BY project"],
])('a query with %s is refused with status 400', async (_, sql) => {
  const standIn = await start();
  expect(await ask(standIn, `${sql} FORMAT JSONEachRow`)).toEqual({
    status: 400,
    text: expect.stringMatching(/^Code: 62\. DB::Exception: Syntax error: expected .* \(SYNTAX_ERROR\)\n$/),
  });
});

test('made-up projects have downloads too, but not all', async () => {
  const standIn = await start({ only: [], changes: 30 });
  const counts = standIn.rows().map(({ name }) => standIn.downloadsOf(name));
  expect(counts.some(count => count === null)).toBe(true);
  expect(counts.some(count => count !== null && count.month > 0 && count.total > count.month)).toBe(true);
});
