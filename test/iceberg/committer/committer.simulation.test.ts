import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { FIRST_COMMIT_SEED as FIRST_SEED, COMMIT_SEEDS as SEEDS } from '../../simulation/budget.ts';

const PROGRAM = path.resolve(import.meta.dirname, '../../simulation/schedules/commit-seeds.ts');

/** Plays schedules in another process. Gives what the process prints. */
async function play(first: number, seeds: number): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, String(first), String(seeds)]);
  return stdout.trim();
}

describe('a committer whose calls fail, hang or kill it', { timeout: SEEDS * 2_000 + 300_000 }, () => {
  it(`commits each row once, COMMIT_SEEDS=${SEEDS} COMMIT_SEED=${FIRST_SEED}`, async () => {
    const share = Math.ceil(SEEDS / 2);
    const outputs = await Promise.all([FIRST_SEED, FIRST_SEED + share].map(first => play(first, share)));
    console.log(outputs.join('\n'));
    for (const output of outputs) expect(output).toMatch(/^nothing seen/);
  });
});
