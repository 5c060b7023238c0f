import { shrink } from '../world/faults.ts';
import { playCommits } from './commit-schedule.ts';

/**
 * Plays schedules of the committer one after the other: `node test/simulation/schedules/commit-seeds.ts <first seed> <seeds>`. Ends
 * with what the first that fails found, and the fewest faults it takes with `--shrink`; or with `nothing seen`.
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
    const fewest = await shrink(ids, async kept => (await playCommits(seed, new Set(kept))).error !== null);
    const again = await playCommits(seed, new Set(fewest));
    for (const { id, kind, atMs, call } of again.faults) console.log(`${atMs / 1000}s\t${kind}\t${id}\t${call}`);
    console.log(again.error);
  }
  process.exit(0);
}
console.log(`nothing seen in ${seeds} schedules, ${commits} commits`);
process.exit(0);
