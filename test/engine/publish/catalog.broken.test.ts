import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { MISTAKES } from '../../simulation/mutants/catalog-mistakes.ts';

const program = path.resolve(import.meta.dirname, '../../simulation/mutants/catalog-mistake.ts');

it('a reader in a loop sees each mistake of the catalog’s step', async () => {
  const left = [...MISTAKES];
  const unseen: string[] = [];
  const lane = async () => {
    for (let mistake = left.shift(); mistake; mistake = left.shift()) {
      const { stdout } = await promisify(execFile)(process.execPath, [program, mistake.name]);
      console.log(`${mistake.name}: ${stdout.trim()}`);
      if (!stdout.startsWith('seen: ')) unseen.push(mistake.name);
    }
  };
  await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, lane));
  expect(unseen).toEqual([]);
});
