import { cpus } from 'node:os';
import { type Bench, type Size, TABLE_HEAD, tableRow } from './report.ts';

/** Where the program writes: figures as a Markdown table, and what it does. */
export interface Screen {
  out(text: string): void;
  err(text: string): void;
}

/**
 * Runs the benches that are named, or all where none is, and prints each figure as it comes. A bench that fails does
 * not stop the others. Gives the exit code: 0, or 1 where a bench failed or a name is unknown.
 */
export async function runBenches(options: {
  benches: readonly Bench[];
  names: string[];
  size: Size;
  screen: Screen;
}): Promise<number> {
  const { benches, names, size, screen } = options;
  const known = benches.map(({ name }) => name);
  const unknown = names.filter(name => !known.includes(name));
  if (unknown.length > 0) {
    screen.err(`bench: expected names out of ${known.join(', ')}, got ${unknown.join(', ')}\n`);
    return 1;
  }
  const wanted = benches.filter(({ name }) => names.length === 0 || names.includes(name));
  const failed: string[] = [];
  screen.out(TABLE_HEAD);
  for (const bench of wanted) {
    screen.err(`bench: ${bench.name}\n`);
    try {
      for await (const figure of bench.run(size)) screen.out(tableRow(figure));
    } catch (error) {
      failed.push(bench.name);
      screen.err(`bench: ${bench.name} failed: ${error instanceof Error ? error.stack : error}\n`);
    }
  }
  const [cpu] = cpus();
  screen.out(`\nNode ${process.version}, ${cpus().length} cores of ${cpu?.model}.\n`);
  if (failed.length === 0) return 0;
  screen.err(`bench: expected all figures, got none or not all of ${failed.join(', ')}\n`);
  return 1;
}
