import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { demoSettings } from '../../src/local/demo.ts';
import { sendSignal } from '../../src/local/runtime/processes.ts';
import { fetchStatus } from '../../src/local/status.ts';
import { startStandIn } from '../../src/sources/npm/stand-in/stand-in.ts';
import { type Bench, digits, type Figure, median, type Size } from './report.ts';
import { type BenchWorker, startTributary } from './worker.ts';

/** `between`: work that is done between two kills, so that each hits a source at work. */
const SIZES: Record<Size, { kills: number; between: number; changes: number; page: number; pollMs: number }> = {
  full: { kills: 7, between: 150, changes: 20_000, page: 1_000, pollMs: 20 },
  tiny: { kills: 1, between: 0, changes: 2, page: 1, pollMs: 200 },
};
const MS_MAX = 120_000;

/** How long nothing is accepted after the runtime was killed in the middle of its work. */
export const recovery: Bench = { name: 'recovery', run };

async function* run(size: Size): AsyncGenerator<Figure> {
  const { kills, between, changes, page, pollMs } = SIZES[size];
  const stateDir = mkdtempSync(path.join(tmpdir(), 'bench-recovery-'));
  // One change a kill is shown only after the kill, so that something is left to accept however fast the source was.
  const rows = changes - kills;
  const standIn = await startStandIn({ changes, rows, handMade: false, only: [], fast: true });
  try {
    const worker = await startTributary({
      stateDir,
      settings: { ...demoSettings(standIn), NPM_PAGE_CHANGES: String(page) },
    });
    try {
      const backMs: number[] = [];
      const acceptedMs: number[] = [];
      for (let kill = 0; kill < kills; kill++) {
        const atRest = await changesOf(worker, pollMs);
        await changesPast(worker, atRest + between, pollMs);
        sendSignal(worker.workerd().pid, 'SIGKILL');
        const killedAt = performance.now();
        // What was accepted up to the kill is what the first answer after it says.
        const kept = await changesOf(worker, pollMs);
        backMs.push(performance.now() - killedAt);
        standIn.release(1);
        await changesPast(worker, kept, pollMs);
        acceptedMs.push(performance.now() - killedAt);
      }
      const seconds = (ms: number[]) =>
        `${digits(median(ms) / 1000, 1)} s, at most ${digits(Math.max(...ms) / 1000, 1)} s`;
      const basis = `median and maximum of ${kills} kills of the runtime at work`;
      yield { what: 'kill to the next answer of the API', figure: seconds(backMs), basis };
      yield { what: 'kill to the next accepted change', figure: seconds(acceptedMs), basis };
    } finally {
      await worker.stop();
    }
  } finally {
    await standIn.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
}

async function changesPast(worker: BenchWorker, changes: number, pollMs: number): Promise<void> {
  const deadline = Date.now() + MS_MAX;
  while ((await changesOf(worker, pollMs)) <= changes) {
    if (Date.now() > deadline) throw new Error(`recovery: expected more than ${changes} changes in ${MS_MAX} ms`);
    await sleep(pollMs);
  }
}

/** The changes accepted so far; asked again until the runtime answers. */
async function changesOf({ url }: BenchWorker, pollMs: number): Promise<number> {
  const deadline = Date.now() + MS_MAX;
  for (;;) {
    try {
      return (await fetchStatus(url, 'npm')).balance.changes;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(pollMs);
    }
  }
}
