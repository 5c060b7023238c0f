import { rmSync } from 'node:fs';
import { SOURCES } from '../sources/registry.ts';
import type { Source } from '../sources/source.ts';
import type { Demo, DemoAct, DemoCheck, DemoRun } from '../sources/stand-in/demo.ts';
import type { StandIn } from '../sources/stand-in/stand-in.ts';
import { isoDay } from '../time.ts';
import { makeConsole, makeResult } from './demo/console.ts';
import { type Screen, untilDone } from './demo/progress.ts';
import { openAtRest, publishedSequence, verdictText } from './demo/proof.ts';
import { type Verdict, verify } from './demo/verify.ts';
import { runProgram } from './program.ts';
import { type Runtime, startRuntime } from './runtime/runtime.ts';
import { makeStateFolder } from './runtime/state-folder.ts';
import { lockState } from './runtime/state-lock.ts';
import { DEMO_STATE_DIR } from './settings.ts';
import { demoOf } from './source-files.ts';

export interface DemoOptions extends Screen {
  stateDir: string;
}

const DAY_MS = 86_400_000;

/** The worker's settings with which it follows stand-ins and writes files soon. */
export function demoSettings(...standIns: Pick<StandIn, 'settings'>[]): Record<string, string> {
  const common = { FLUSH_AGE_MS: '500', INLET_POLL_MS: '500', CONTACT: 'demo' };
  return Object.assign(common, ...standIns.map(({ settings }) => settings));
}

/** A source with its demo, the demo's started stand-in, and the checks of its acts so far. */
interface RunningDemo extends DemoRun {
  source: Source;
  demo: Demo;
  checks: DemoCheck[];
}

/**
 * Runs the real worker on the stand-ins of all sources that have a demo, once for each date on the worker's clock, and
 * checks that every row is in the lake once. Gives 1 when a check fails.
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const { stateDir, write } = options;
  await emptyState(stateDir);
  const demos: RunningDemo[] = [];
  try {
    // Start the stand-in of each source.
    write('The worker follows stand-ins for its upstreams on this machine; no network is used.\n');
    for (const source of SOURCES) {
      const demo = await demoOf(source.id);
      if (demo === null) continue;
      const run = await demo.start();
      demos.push({ source, demo, checks: [], ...run });
      write(`  ${source.id}: ${run.content}\n`);
    }

    // Do all acts of a date in one run of the worker, the earliest date first.
    const verdicts: Verdict[] = [];
    const dates = new Set(demos.flatMap(({ acts }) => acts.map(act => act.daysAhead)));
    for (const daysAhead of [...dates].sort((a, b) => a - b)) {
      verdicts.push(...(await runActs(demos, daysAhead, options)));
    }
    if (verdicts.some(verdict => !verdict.ok)) return 1;

    // Say how to go on.
    write('Query the demo’s lake yourself:\n');
    for (const { demo } of demos) write(`  npm run sql -- --demo "${demo.example}"\n`);
    return 0;
  } finally {
    await Promise.all(demos.map(({ standIn }) => standIn.stop()));
  }
}

/** A demo begins with an empty folder. Throws when another demo runs on it. */
async function emptyState(stateDir: string): Promise<void> {
  makeStateFolder(stateDir);
  (await lockState(stateDir, 0)).release();
  rmSync(stateDir, { recursive: true });
}

/** Does all acts of one date in one run of the worker; gives the verdicts on the sources that have no later act. */
async function runActs(demos: RunningDemo[], daysAhead: number, options: DemoOptions): Promise<Verdict[]> {
  const { stateDir, signal, write } = options;
  const today = isoDay(Date.now() + daysAhead * DAY_MS);
  const current = demos.flatMap(running =>
    running.acts.filter(act => act.daysAhead === daysAhead).map(act => ({ running, act })),
  );

  // Start the worker with that date on its clock. A source without an act then stays paused: its feed or agenda would
  // have the skipped days to catch up with.
  if (daysAhead > 0) {
    write(`The worker's clock goes ${daysAhead} days on, to ${today}; it starts again on the same state.\n`);
  }
  for (const { act } of current) act.prepare?.();
  const settings = {
    ...demoSettings(...demos.map(({ standIn }) => standIn)),
    SOURCES: current.map(({ running }) => running.source.id).join(','),
    FEEDS: feedsOf(
      demos,
      current.map(({ running }) => running),
    ).join(','),
    CLOCK_AHEAD_MS: String(daysAhead * DAY_MS),
  };
  const runtime = await startRuntime({ stateDir, port: 0, settings, signal });
  const startedAt = Date.now();
  try {
    // Begin all acts, so that the sources work at the same time, and end them one after the other.
    const demoConsole = makeConsole(runtime, options);
    for (const { act } of current) await act.begin?.(demoConsole);
    const verdicts: Verdict[] = [];
    for (const { running, act } of current) {
      const work = { source: running.source.id, act, startedAt, aheadMs: daysAhead * DAY_MS };
      await untilDone(runtime, options, work);
      for (const step of act.steps ?? []) {
        step(demoConsole);
        await untilDone(runtime, options, work);
      }
      verdicts.push(...(await endAct(runtime, { running, act, today }, options)));
    }
    return verdicts;
  } finally {
    await runtime.stop();
  }
}

/** The pairs of FEEDS for the sources that work now. What feeds them may rest: its files are read all the same. */
function feedsOf(demos: RunningDemo[], current: RunningDemo[]): string[] {
  const ids = demos.map(({ source }) => source.id);
  return current.flatMap(({ demo }) => demo.feeds ?? []).filter(pair => ids.includes(pair.split('>')[0]!));
}

/** Shows the result of an act, and after a source's last act the proof of its tables; gives the proof's verdicts. */
async function endAct(
  runtime: Runtime,
  { running, act, today }: { running: RunningDemo; act: DemoAct; today: string },
  screen: Screen,
): Promise<Verdict[]> {
  const { source, standIn, checks } = running;
  const { status, lake } = await openAtRest(runtime, { source: source.id, signal: screen.signal });
  try {
    screen.write('\n');
    await act.end(makeResult(runtime, makeConsole(runtime, screen), { status, today, lake, checks }));
    if (act !== running.acts.at(-1)) return [];
    const last = standIn.head?.() ?? status.cursor.accepted ?? '';
    const lastSequence = await publishedSequence(runtime, { source: source.id, last });
    const verdicts = [
      ...checks.map(check => ({ subject: source.id, ...check })),
      ...(await verify({ status, lake, tables: source.tables, lastSequence, last })),
    ];
    screen.write(`${verdictText(verdicts)}\n`);
    return verdicts;
  } finally {
    lake.close();
  }
}

if (import.meta.main) {
  await runProgram(signal =>
    runDemo({
      stateDir: DEMO_STATE_DIR,
      signal,
      write: text => void process.stdout.write(text),
      isTerminal: process.stdout.isTTY === true,
    }),
  );
}
