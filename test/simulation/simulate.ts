import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { simulate } from './schedules/schedule.ts';
import { shrinkSeed, trySeedsIn } from './schedules/seeds.ts';

const TRACE_LINES_MAX = 400;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    processes: { type: 'string', default: String(availableParallelism()) },
    trace: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
});
const first = Number(values.from);

if (values.only !== undefined) {
  const { error, trace } = await simulate(first, { only: new Set(values.only.split(',')), trace: true });
  tell(trace, error);
} else {
  const startedMs = performance.now();
  const tally = await trySeedsIn(Number(values.processes), { first, seeds: Number(values.seeds) });
  const seconds = (performance.now() - startedMs) / 1000;
  console.log(`${tally.seeds} seeds, ${tally.runs} runs, ${(tally.seeds / seconds).toFixed(1)} seeds a second`);
  for (const [kind, count] of Object.entries(tally.faults).sort((a, b) => b[1] - a[1]))
    console.log(`${count}\t${kind}`);
  for (const { seed, message } of tally.failed) console.log(`seed ${seed}: ${message}`);
  for (const { seed } of tally.failed.slice(0, 1)) await explain(seed);
  if (tally.failed.length > 0) process.exitCode = 1;
}

/** Prints the fewest faults that make a seed fail; with `--trace`, what happened in that run. */
async function explain(seed: number): Promise<void> {
  const { faults, error, trace } = await shrinkSeed(seed);
  console.log(`\nseed ${seed} fails with ${faults.length} faults; again with:`);
  console.log(`node test/simulation/simulate.ts --from ${seed} --only '${faults.map(({ id }) => id).join(',')}'`);
  for (const { id, kind, atMs, call } of faults) console.log(`${(atMs / 1000).toFixed(3)}s\t${kind}\t${id}\t${call}`);
  if (values.trace) tell(trace, error);
}

function tell(trace: string[], error: Error | null): void {
  for (const line of trace.slice(-TRACE_LINES_MAX)) console.log(line.slice(0, 300));
  console.log(error?.message ?? 'all promises were kept');
}
