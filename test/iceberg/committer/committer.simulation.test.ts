import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { COMMIT_MISTAKES } from '../../simulation/mutants/commit-mistakes.ts';

/** How many schedules are tried, and from which seed on. */
const SEEDS = Number(process.env.COMMIT_SEEDS ?? 40);
const FIRST_SEED = Number(process.env.COMMIT_SEED ?? 1);
/** A mistake must be seen within so many. */
const MISTAKE_SEEDS = 60;

const folder = path.resolve(import.meta.dirname, '../../simulation');

/** Plays schedules in a process of its own, with a mistake where one is named. Gives what was seen. */
async function play(first: number, seeds: number, mistake: string | null = null): Promise<string> {
  const hook = ['--import', pathToFileURL(path.join(folder, 'mutants/commit-mistake-hook.ts')).href];
  const program = [path.join(folder, 'schedules/commit-seeds.ts'), String(first), String(seeds)];
  const env = { ...process.env, ...(mistake !== null && { COMMIT_MISTAKE: mistake }) };
  const words = [...(mistake === null ? ['--no-warnings'] : hook), ...program];
  const { stdout } = await promisify(execFile)(process.execPath, words, { env });
  return stdout.trim();
}

describe('a committer that is killed, failed and held up at any call', { timeout: SEEDS * 2_000 + 300_000 }, () => {
  it(`has each row in the catalog once, over ${SEEDS} seeds from ${FIRST_SEED}`, async () => {
    const share = Math.ceil(SEEDS / 2);
    const told = await Promise.all([FIRST_SEED, FIRST_SEED + share].map(first => play(first, share)));
    console.log(told.join('\n'));
    for (const one of told) expect(one).toMatch(/^nothing seen/);
  });

  it('is seen to have each mistake it could have', async () => {
    const left = [...COMMIT_MISTAKES];
    const unseen: string[] = [];
    const lane = async () => {
      for (let mistake = left.shift(); mistake; mistake = left.shift()) {
        const told = await play(1, MISTAKE_SEEDS, mistake.name);
        console.log(`${mistake.name}: ${told}`);
        if (!told.startsWith('seen: ')) unseen.push(mistake.name);
      }
    };
    await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, lane));
    expect(unseen).toEqual([]);
  });
});
