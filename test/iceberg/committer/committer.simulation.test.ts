import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { COMMIT_MISTAKES } from '../../simulation/mutants/commit-mistakes.ts';

/** How many schedules are played, and their first seed. */
const SEEDS = Number(process.env.COMMIT_SEEDS ?? 40);
const FIRST_SEED = Number(process.env.COMMIT_SEED ?? 1);
/** One of this many schedules must fail with each mistake. */
const MISTAKE_SEEDS = 60;

const folder = path.resolve(import.meta.dirname, '../../simulation');

/** Plays schedules in another process, with a mistake when one is named. Gives what the process prints. */
async function play(first: number, seeds: number, mistake: string | null = null): Promise<string> {
  const hook = ['--import', pathToFileURL(path.join(folder, 'mutants/commit-mistake-hook.ts')).href];
  const program = [path.join(folder, 'schedules/commit-seeds.ts'), String(first), String(seeds)];
  const env = { ...process.env, ...(mistake !== null && { COMMIT_MISTAKE: mistake }) };
  const args = [...(mistake === null ? ['--no-warnings'] : hook), ...program];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env });
  return stdout.trim();
}

describe('a committer whose calls fail, hang or kill it', { timeout: SEEDS * 2_000 + 300_000 }, () => {
  it(`commits each row once, over ${SEEDS} seeds from ${FIRST_SEED}`, async () => {
    const share = Math.ceil(SEEDS / 2);
    const outputs = await Promise.all([FIRST_SEED, FIRST_SEED + share].map(first => play(first, share)));
    console.log(outputs.join('\n'));
    for (const output of outputs) expect(output).toMatch(/^nothing seen/);
  });

  it('fails a schedule with each mistake', async () => {
    const left = [...COMMIT_MISTAKES];
    const unseen: string[] = [];
    const playMistakes = async () => {
      for (let mistake = left.shift(); mistake; mistake = left.shift()) {
        const output = await play(1, MISTAKE_SEEDS, mistake.name);
        console.log(`${mistake.name}: ${output}`);
        if (!output.startsWith('seen: ')) unseen.push(mistake.name);
      }
    };
    await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, playMistakes));
    expect(unseen).toEqual([]);
  });
});
