/// <reference types="@cloudflare/vitest-plugin/types" />

import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { expect, it } from 'vitest';
import { objectSql } from '../../src/worker/bindings.ts';
import { type DigestWork, workOnDigests } from '../bench/digest-work.ts';

const COMMITS = 20_000;

it('the bench of packed keys does what it says, in the runtime', async () => {
  // An object without a journal: the catalog's makes none until it is asked.
  const stub = env.CATALOG_NS.getByName('bench');
  await runInDurableObject(stub, (_, { storage }) => {
    const sql = objectSql(storage);
    const work = (kind: DigestWork['kind'], times: number) =>
      workOnDigests(sql, { kind, times, first: 0, commits: COMMITS });
    expect(work('nothing', 1)).toBe(0);
    const empty = sql.bytes();
    expect(work('fill', COMMITS)).toBe(COMMITS);
    expect(work('fill', COMMITS)).toBe(0);
    expect(work('lookup', 100)).toBe(0);
    expect(work('visit', 3)).toBe(30);
    // 20 bytes a digest; each repository has a row besides.
    expect((sql.bytes() - empty) / COMMITS).toBeLessThan(30);
  });
});
