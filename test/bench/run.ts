import { cpus } from 'node:os';
import { type Figure, markdownTable } from './report.ts';

/** One bench a topic; each is loaded only when it is asked for. */
const BENCHES: Record<string, () => Promise<Figure[]>> = {
  encoder: async () => (await import('./encoder.ts')).benchEncoder(),
  pace: async () => (await import('./pace.ts')).benchPace(),
  heap: async () => (await import('./heap.ts')).benchHeap(),
  recovery: async () => (await import('./recovery.ts')).benchRecovery(),
  operations: async () => (await import('./operations.ts')).benchOperations(),
  agenda: async () => (await import('./agenda.ts')).benchAgenda(),
  'immutable-keys': async () => (await import('./immutable-keys.ts')).benchImmutableKeys(),
};

/** Runs the benches that are named, or all, and prints their figures as one table. */
async function main(): Promise<void> {
  // What was started ends with this process, however it ends.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  const wanted = process.argv.slice(2);
  const unknown = wanted.find(name => !(name in BENCHES));
  if (unknown !== undefined) throw new Error(`bench: expected ${Object.keys(BENCHES).join(', ')}, got ${unknown}`);
  const figures: Figure[] = [];
  for (const [name, bench] of Object.entries(BENCHES)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    process.stderr.write(`bench: ${name}\n`);
    figures.push(...(await bench()));
  }
  const [cpu] = cpus();
  process.stdout.write(
    `${markdownTable(figures)}\nNode ${process.version}, ${cpus().length} cores of ${cpu?.model}.\n`,
  );
}

await main();
