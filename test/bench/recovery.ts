import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sendSignal } from '../../src/local/runtime/processes.ts';
import { type Runtime, startRuntime } from '../../src/local/runtime/runtime.ts';
import { fetchStatus } from '../../src/local/status.ts';
import { workerdOf } from './inspector.ts';
import { digits, type Figure, median } from './report.ts';
import { startUpstream } from './upstream.ts';

const KILLS = 7;
/** Work that is done between two kills, so that each hits a source at work. */
const CHANGES_BETWEEN = 150;
const LOOK_MS = 10;
const MS_MAX = 120_000;

/** How long nothing is accepted after the runtime was killed in the middle of its work. */
export async function benchRecovery(): Promise<Figure[]> {
  const stateDir = mkdtempSync(path.join(tmpdir(), 'bench-recovery-'));
  const upstream = await startUpstream(20_000);
  const runtime = await startRuntime({ stateDir, port: 0, settings: upstream.settings });
  try {
    const backMs: number[] = [];
    const acceptedMs: number[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      const atRest = await changesOf(runtime);
      await changesPast(runtime, atRest + CHANGES_BETWEEN);
      const { pid } = workerdOf(runtime);
      sendSignal(pid, 'SIGKILL');
      const killedAt = performance.now();
      // What was accepted up to the kill is what the first answer after it says.
      const kept = await changesOf(runtime);
      backMs.push(performance.now() - killedAt);
      await changesPast(runtime, kept);
      acceptedMs.push(performance.now() - killedAt);
    }
    const seconds = (ms: number[]) =>
      `${digits(median(ms) / 1000, 1)} s, at most ${digits(Math.max(...ms) / 1000, 1)} s`;
    const basis = `median and maximum of ${KILLS} kills of the runtime at work`;
    return [
      { what: 'kill to the next answer of the API', figure: seconds(backMs), basis },
      { what: 'kill to the next accepted change', figure: seconds(acceptedMs), basis },
    ];
  } finally {
    await runtime.stop();
    upstream.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
}

async function changesPast(runtime: Runtime, changes: number): Promise<void> {
  while ((await changesOf(runtime)) <= changes) await sleep(LOOK_MS);
}

/** The changes accepted so far; asked again until the runtime answers. */
async function changesOf({ url }: Runtime): Promise<number> {
  const deadline = Date.now() + MS_MAX;
  for (;;) {
    try {
      return (await fetchStatus(url, 'npm')).balance.changes;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(LOOK_MS);
    }
  }
}
