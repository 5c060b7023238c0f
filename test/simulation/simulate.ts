import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import type { Mutant } from './mutants/mutant.ts';
import { mutantNamed } from './mutants/mutants.ts';
import { playMutant } from './mutants/play.ts';
import type { SceneName } from './schedules/directed.ts';
import type { SimulateOptions } from './schedules/schedule.ts';

const TRACE_LINES_MAX = 400;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    processes: { type: 'string', default: String(availableParallelism()) },
    trace: { type: 'boolean', default: false },
    only: { type: 'string' },
    scene: { type: 'string' },
    mutant: { type: 'string' },
  },
});
const [from, seeds] = [Number(values.from), Number(values.seeds)];

// A mutant is applied to what is imported after it: nothing of the engine is imported before.
if (values.mutant !== undefined) await runMutant(mutantNamed(values.mutant));
else if (values.scene !== undefined) await runScene(values.scene as SceneName);
else if (values.only !== undefined) await runOnly(values.only.split(','));
else await runSeeds();

/** Plays random schedules in several processes, then the first that failed with as few faults as possible. */
async function runSeeds(): Promise<void> {
  const { trySeedsIn } = await import('./schedules/seeds.ts');
  const startedMs = performance.now();
  const tally = await trySeedsIn(Number(values.processes), { from, seeds });
  const seconds = (performance.now() - startedMs) / 1000;
  console.log(`${tally.seeds} seeds, ${tally.runs} runs, ${(tally.seeds / seconds).toFixed(1)} seeds a second`);
  for (const [kind, count] of Object.entries(tally.faults).sort((a, b) => b[1] - a[1]))
    console.log(`${count}\t${kind}`);
  for (const { seed, message } of tally.failed) console.log(`seed ${seed}: ${message}`);
  for (const { seed } of tally.failed.slice(0, 1)) await explain(seed);
  if (tally.failed.length > 0) process.exitCode = 1;
}

/** Plays one schedule with no faults but those named, and prints what happened in it. */
async function runOnly(ids: string[]): Promise<void> {
  const { simulate } = await import('./schedules/schedule.ts');
  const { error, trace } = await simulate(from, { only: new Set(ids), trace: true });
  print(trace, error);
}

async function runScene(name: SceneName): Promise<void> {
  const { SCENE_NAMES } = await import('./schedules/directed.ts');
  if (!SCENE_NAMES.includes(name)) throw new Error(`scene: expected one of ${SCENE_NAMES.join(', ')}, got ${name}`);
  const { trySeeds } = await import('./schedules/seeds.ts');
  const { seeds: played, failed } = await trySeeds({ from, seeds, scene: name });
  console.log(`${name}: ${played} seeds`);
  for (const { seed, message } of failed) console.log(`seed ${seed}: ${message}`);
  if (failed.length > 0) process.exitCode = 1;
}

/** Plays what must catch a mutant, and prints what did; with `--trace`, the schedule that did. */
async function runMutant(mutant: Mutant): Promise<void> {
  const { name, breaks, caughtBy } = mutant;
  console.log(`${name} (breaks: ${breaks})`);
  const caught = await playMutant(mutant);
  if (caught === null) {
    console.log(`not caught by ${JSON.stringify(caughtBy)}`);
    process.exitCode = 1;
    return;
  }
  const { seed, played, message } = caught;
  console.log(`caught by ${'scene' in caughtBy ? caughtBy.scene : caughtBy.play}, seed ${seed}, ${played} played`);
  console.log(message);
  if (values.trace && caughtBy.play === 'schedules') await explain(seed!, { audited: caughtBy.audited });
}

/** Prints the fewest faults that make a seed fail; with `--trace`, what happened in that run. */
async function explain(seed: number, options: Pick<SimulateOptions, 'audited'> = {}): Promise<void> {
  const { shrinkSeed } = await import('./schedules/seeds.ts');
  const { faults, error, trace } = await shrinkSeed(seed, options);
  console.log(`\nseed ${seed} fails with ${faults.length} faults`);
  if (values.mutant === undefined)
    console.log(`node test/simulation/simulate.ts --from ${seed} --only '${faults.map(({ id }) => id).join(',')}'`);
  for (const { id, kind, atMs, call } of faults) console.log(`${(atMs / 1000).toFixed(3)}s\t${kind}\t${id}\t${call}`);
  if (values.trace) print(trace, error);
}

function print(trace: string[], error: Error | null): void {
  for (const line of trace.slice(-TRACE_LINES_MAX)) console.log(line.slice(0, 300));
  console.log(error?.message ?? 'every guarantee held');
}
