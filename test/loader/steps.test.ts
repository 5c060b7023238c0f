import { expect, it } from 'vitest';
import { githubCommit } from '../../schemas/github_commit.ts';
import { runStep } from '../../src/loader/steps.ts';
import type { LoadedRow } from '../../src/ports/change.ts';
import { MemoryBucket } from '../simulation/world/bucket.ts';
import { DEFAULT_SETTINGS, pages, rowOf } from '../simulation/world/sources.ts';
import { World } from '../simulation/world/world.ts';

/** The outcome of a change whose load gives one row of an immutable table. */
async function loadCommit(op: LoadedRow['op']) {
  const bucket = new MemoryBucket();
  const visit = { permits: [], deadlineAtMs: 0, tallies: new Map(), slotsUsed: new Map() };
  const row = rowOf(githubCommit, { repo: 'a', sha: '1' });
  const rows = [{ table: githubCommit.name, op, row }];
  const source = { ...pages(new World().upstream, visit), load: async () => ({ documents: [], rows, revision: null }) };
  const changes = [{ key: 'a', cursor: '1', deleted: false, revision: null, skip: null }];
  const answer = await runStep({ source, settings: DEFAULT_SETTINGS, contact: 'test', bucket, now: () => 0 }, 'load', {
    changes,
    knownBytes: [null],
    prepared: null,
    afresh: false,
    large: false,
    budgetBytes: 1_000_000,
    rowBytesMax: 1_000_000,
    permits: [],
    deadlineAtMs: 60_000,
  });
  if (!answer.ok) throw new Error(answer.failure.message);
  return { outcome: answer.value[0]!, keys: [...bucket.objects.keys()] };
}

it('a change that gives a deletion in an immutable table is parked, and nothing of it is stored', async () => {
  expect((await loadCommit('upsert')).outcome).toMatchObject({ kind: 'rows' });
  const { outcome, keys } = await loadCommit('delete');
  expect(outcome).toMatchObject({
    kind: 'park',
    reason: 'wrong-shape',
    detail: 'github_commit row: expected an upsert in an immutable table, got a deletion',
  });
  expect(keys).toEqual([]);
});
