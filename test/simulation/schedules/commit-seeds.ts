import { shrink } from '../world/faults.ts';
import { playCommits } from './commit-schedule.ts';

/**
 * Plays one schedule of the committer for each seed: `node test/simulation/schedules/commit-seeds.ts <first seed>
 * <number of seeds> [--shrink]`. Stops at the first seed that fails and prints its error; with `--shrink` also the
 * fewest faults that still make it fail.
 */
const [first, seeds] = process.argv.slice(2, 4).map(Number) as [number, number];
Error.stackTraceLimit = process.argv.includes('--shrink') ? 10 : 0;
let commits = 0;
for (let seed = first; seed < first + seeds; seed++) {
  const played = await playCommits(seed);
  commits += played.commits;
  if (!played.error) continue;
  console.log(`seen: seed ${seed}: ${played.error.message.split('\n')[0]}`);
  if (process.argv.includes('--shrink')) {
    const ids = played.faults.map(({ id }) => id);
    const fewest = await shrink(ids, async some => (await playCommits(seed, new Set(some))).error !== null);
    const again = await playCommits(seed, new Set(fewest));
    for (const { id, kind, atMs, call } of again.faults) console.log(`${atMs / 1000}s\t${kind}\t${id}\t${call}`);
    console.log(again.error);
  }
  process.exit(0);
}
console.log(`nothing seen in ${seeds} schedules, ${commits} commits`);
process.exit(0);
