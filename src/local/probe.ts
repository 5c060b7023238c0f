import { parseArgs } from 'node:util';
import { readSettings } from '../config.ts';
import { SOURCES, sourceNamed } from '../sources/registry.ts';
import type { Source } from '../sources/source.ts';
import type { Examples } from '../sources/stand-in/examples.ts';
import { type Difference, differences } from './probe/differences.ts';
import { type Gathered, gather, type Kind } from './probe/gather.ts';
import { planText, type Result, resultText } from './probe/report.ts';
import { runProgram } from './program.ts';
import { type Environment, withLocalSettings } from './settings.ts';
import { examplesOf } from './source-files.ts';

interface ProbeOptions {
  signal: AbortSignal;
  /** What to ask for, and the recordings to compare with; those of the source's folder by default. */
  examples?: Examples;
  /** Gets what is asked of whom, before anything is asked. */
  announce(text: string): void;
  write(text: string): void;
}

/**
 * Runs the command `probe`: asks the live upstream of a source for a few documents and compares their forms with those of the recorded answers.
 * Gives 1 when a path that the source reads differs, 2 when a part of the upstream does not answer, else 0.
 */
export async function runProbe(args: string[], env: Environment, options: ProbeOptions): Promise<number> {
  // Read the command line and the source's settings.
  const { source, keys: named, json } = readArgs(args);
  const examples = options.examples ?? (await examplesOf(source.id));
  if (!examples) throw new Error(`probe: expected stand-in/examples.ts in the folder of ${source.id}, got none`);
  const found = await withLocalSettings({ ...env, SOURCES: source.id });
  const settings = source.settings(found);
  const keys = named ?? examples.keys;

  // Say what will be asked, and ask.
  options.announce(planText(source, { settings, keys, contact: found.CONTACT || null }));
  const { contact } = readSettings(found);
  const asked = { contact, sliceKeys: keys.length, kindOf: examples.kindOf };
  const live = await gather(source, { ...asked, settings, keys, limits: { signal: options.signal } });

  // Ask the stand-in the same, and compare.
  const recorded = await gatherRecorded(source, examples, asked);
  const result = resultOf({ source, keys, live, recorded });
  options.write(json ? `${JSON.stringify(result, null, 2)}\n` : resultText(result));
  return result.exit_code;
}

function readArgs(args: string[]): { source: Source; keys: string[] | null; json: boolean } {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { keys: { type: 'string' }, json: { type: 'boolean', default: false } },
  });
  const ids = SOURCES.map(({ id }) => id).join(', ');
  if (positionals.length !== 1) throw new Error(`probe: expected one source of ${ids}, got ${positionals.length}`);
  const texts = values.keys?.split(',').map(key => key.trim());
  const keys = texts && [...new Set(texts)].filter(Boolean);
  if (keys?.length === 0) throw new Error('probe: expected --keys to name keys separated by commas, got none');
  return { source: sourceNamed(positionals[0]!), keys: keys ?? null, json: values.json };
}

/** What recordings claim. Some of them are faults, which the source refuses as it should, and which claim nothing. */
async function gatherRecorded(
  source: Source,
  { start }: Examples,
  asked: Pick<Parameters<typeof gather>[1], 'contact' | 'sliceKeys' | 'kindOf'>,
): Promise<Gathered> {
  const { standIn, keys } = await start();
  try {
    return await gather(source, { ...asked, settings: source.settings(standIn.settings), keys, limits: null });
  } finally {
    await standIn.stop();
  }
}

function resultOf({
  source,
  keys,
  live,
  recorded,
}: {
  source: Source;
  keys: readonly string[];
  live: Gathered;
  recorded: Gathered;
}): Result {
  const { refused, unanswered, requests } = live;
  const kinds = [...live.kinds].map(([kind, here]) => ({ kind, here, there: recorded.kinds.get(kind) ?? null }));
  const found = kinds.flatMap(({ kind, here, there }) => {
    // A row lacks columns also where the source asked for them in vain.
    const isUncertain = here.form === 'row' && unanswered.length > 0;
    return there === null || isUncertain ? [] : compare(kind, here, there);
  });
  const isFalse = refused.length > 0 || found.some(({ read }) => read);
  return {
    source: source.id,
    keys,
    requests,
    kinds: kinds
      .filter(({ here }) => here.form !== 'row' || unanswered.length === 0)
      .map(({ kind, here, there }) => ({ kind, live: here.answers.length, recorded: there?.answers.length ?? 0 })),
    differences: found,
    refused,
    unanswered,
    exit_code: isFalse ? 1 : unanswered.length > 0 ? 2 : 0,
  };
}

function compare(kind: string, live: Kind, recorded: Kind): Difference[] {
  const reads = [live.reads, recorded.reads];
  const found = differences({
    kind,
    recorded: recorded.answers,
    live: live.answers,
    reads,
    maps: live.form === 'json',
  });
  // Rows are what the source makes of all that it reads: a column without a value is a loss, another one is none.
  return live.form === 'row' ? found.map(one => ({ ...one, read: one.change === 'missing' })) : found;
}

if (import.meta.main) {
  await runProgram(signal => {
    const announce = (text: string) => void process.stderr.write(text);
    return runProbe(process.argv.slice(2), process.env, {
      signal,
      announce,
      write: text => void process.stdout.write(text),
    });
  });
}
