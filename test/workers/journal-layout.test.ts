/// <reference types="@cloudflare/vitest-plugin/types" />
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import { beforeAll, expect, it } from 'vitest';
import type { SourceStatus } from '../../src/contract/source.ts';
import { LAYOUT } from '../../src/engine/journal/schema.ts';
import { policyOf } from '../../src/failure-policy.ts';
import { api, prepare, source, sql } from './source.ts';
import { openUpstream, type Upstream } from './upstream.ts';

const HINT = policyOf('journal-layout').hint;
const MESSAGE = `journal of npm: expected layout ${LAYOUT}, got 9`;

let upstream: Upstream;

beforeAll(async () => {
  upstream = await openUpstream({ only: [], changes: 5, rows: 3 });
  await prepare(upstream);
  await source().status();
  await writeOldJournal();
  await evictDurableObject(source());
});

/** Puts tables of an older layout in the place of those the object has made. */
async function writeOldJournal(): Promise<void> {
  const tables = await sql<{ name: string }>(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB '_cf_*'",
  );
  for (const { name } of tables) await sql(`DROP TABLE ${name}`);
  await sql(
    'CREATE TABLE source (id INTEGER PRIMARY KEY, layout INTEGER NOT NULL, name TEXT NOT NULL, paused INTEGER)',
  );
  await sql("INSERT INTO source (id, layout, name, paused) VALUES (1, 9, 'npm', 0)");
  await sql('CREATE TABLE lanes (lane TEXT PRIMARY KEY, place TEXT)');
  await sql("INSERT INTO lanes (lane, place) VALUES ('tail', '2')");
}

/** Every table of the object with its rows. */
function contents(): Promise<unknown> {
  return runInDurableObject(source(), (_, { storage }) => {
    const tables = storage.sql
      .exec<{ name: string; sql: string }>(
        "SELECT name, sql FROM sqlite_master WHERE name NOT GLOB '_cf_*' ORDER BY name",
      )
      .toArray();
    return tables.map(table =>
      table.name.startsWith('sqlite_') ? table : [table, storage.sql.exec(`SELECT * FROM ${table.name}`).toArray()],
    );
  });
}

async function post(path: string, body?: object): Promise<[number, unknown]> {
  const init = {
    method: 'POST',
    headers: { authorization: 'Bearer token-of-the-worker-tests' },
    body: body && JSON.stringify(body),
  };
  const response = await exports.default.fetch(`http://worker${path}`, init as RequestInit);
  return [response.status, await response.json()];
}

it('an object with the journal of another version is stalled, with a hint', async () => {
  expect(await api<SourceStatus>('/v1/sources/npm')).toMatchObject({
    state: 'stalled',
    cursor: { accepted: null },
    last_error: { kind: 'journal-layout', reason: MESSAGE, hint: HINT },
  });
  expect(await api('/healthz')).toMatchObject({
    ok: false,
    sources: expect.arrayContaining([{ id: 'npm', state: 'stalled', reason: MESSAGE }]),
  });
  const metrics = await (await exports.default.fetch('http://worker/metrics')).text();
  expect(metrics).toContain('tributary_source_state{source="npm",state="stalled"} 1');
});

it('refuses what needs its journal, and lists nothing', async () => {
  const conflict = [409, { error: { code: 'conflict', message: MESSAGE, hint: HINT } }];
  for (const path of ['start', 'pause', 'flush', 'audit'])
    expect(await post(`/v1/sources/npm/${path}`)).toEqual(conflict);
  expect(await post('/v1/failed/replay', { ids: ['npm-1'] })).toEqual(conflict);
  expect(await api('/v1/failed')).toEqual({ failed: [], next: null });
  expect(await api<{ tables: unknown[] }>('/v1/tables')).toMatchObject({ tables: expect.any(Array) });
  expect(await api('/v1/tables/npm_package')).toEqual(conflict[1]);
});

it('does nothing by itself but to set its alarm again, and changes nothing in its storage', async () => {
  const before = await contents();
  await source().watch();
  expect(await runDurableObjectAlarm(source())).toBe(true);
  const { next_wake_at } = await source().status();
  expect(Date.parse(next_wake_at!) - Date.now()).toBeGreaterThan(4 * 60_000);
  expect(await contents()).toEqual(before);
  expect(before).toMatchObject([
    [{ name: 'lanes' }, [{ lane: 'tail', place: '2' }]],
    [{ name: 'source' }, [{ layout: 9, paused: 0 }]],
    { name: 'sqlite_autoindex_lanes_1' },
  ]);
  expect(await upstream.requests()).toEqual([]);
  expect((await env.LAKE.list()).objects).toEqual([]);
});

it('goes on once a version that can read its journal is deployed', async () => {
  await sql('DROP TABLE source');
  await sql('DROP TABLE lanes');
  await evictDurableObject(source());
  expect(await source().status()).toMatchObject({ state: 'paused', last_error: { kind: null } });
});
