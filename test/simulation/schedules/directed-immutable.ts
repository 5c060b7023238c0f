import assert from 'node:assert/strict';
import { githubCommit } from '../../../schemas/github_commit.ts';
import { takePush } from '../../../src/engine/controls/push.ts';
import { lakeRows } from '../oracle/proof.ts';
import type { Random } from '../world/faults.ts';
import { rowOf } from '../world/sources.ts';
import { followed, type World } from '../world/world.ts';

/** Situations of an immutable table, in a source of whole pages. */
export const IMMUTABLE_SCENES = {
  'a row of an immutable table that comes again': rowAgain,
};

/** A page, pushes and the same page again, in any order and with the object dying in between, give each row once. */
async function rowAgain(world: World, random: Random): Promise<void> {
  const keys = Array.from({ length: 1 + Math.floor(random() * 6) }, (_, index) => `user-${index}`);
  const shas = ['first', '0', 'pushed'];
  const steps = [() => page(world, keys), () => push(world, keys, shas), () => page(world, keys)];
  if (random() < 0.5) steps.unshift(() => push(world, keys, shas));
  for (const step of steps) {
    await step();
    if (random() < 0.3) {
      world.kill({ lose: false });
      await world.engine.watch();
    }
    await followed(world);
  }
  const rows = (await lakeRows(world, githubCommit)).map(({ repo, sha }) => `${repo} ${sha}`);
  const expected = keys.flatMap(key => shas.map(sha => `${key} ${sha}`));
  assert.deepEqual(rows.sort(), expected.sort(), 'github_commit: expected each key once');
  // Each page brings two rows of a key, and each push all of them.
  const brought = 2 * 2 + (steps.length - 2) * shas.length;
  const { known_rows } = world.engine.journal.state.tables().find(({ name }) => name === githubCommit.name)!;
  assert.equal(known_rows, keys.length * (brought - shas.length), 'known rows: expected all but the first of each key');
}

async function page({ upstream }: World, keys: string[]): Promise<void> {
  upstream.publish(keys, '0');
  upstream.pages.push(keys);
}

let pushes = 0;

async function push(world: World, keys: string[], shas: string[]): Promise<void> {
  const all = keys.flatMap(repo => shas.map(sha => rowOf(githubCommit, { repo, sha })));
  const rows = all.map((row, index) => ({ line: index + 1, row }));
  const part = { identity: `scene-${++pushes}`, table: githubCommit.name, rows };
  const { refused } = await world.ask('object.push', engine => takePush(engine, part));
  assert.equal(refused, null);
}
