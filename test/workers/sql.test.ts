/// <reference types="@cloudflare/vitest-plugin/types" />
import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { objectSql } from '../../src/worker/bindings.ts';
import { sqlConformance } from '../ports/sql-conformance.ts';

sqlConformance('the SQLite of a Durable Object', async work => {
  await runInDurableObject(env.SOURCES_NS.getByName('npm'), async (_, state) => {
    // Each test begins with an empty database, without the tables of the object.
    await state.storage.deleteAll();
    work(objectSql(state.storage));
  });
});
