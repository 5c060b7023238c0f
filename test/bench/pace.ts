import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { demoSettings } from '../../src/local/demo.ts';
import { fetchStatus, tableSums } from '../../src/local/status.ts';
import { startStandIn } from '../../src/sources/npm/stand-in/stand-in.ts';
import { cpuMsOf } from './inspector.ts';
import { type Bench, digits, type Figure, type Size } from './report.ts';
import { startTributary } from './worker.ts';

const CHANGES: Record<Size, number> = { full: 3_000, tiny: 5 };
const POLL_MS = 100;
const MS_MAX = 10 * 60_000;

/** From the stand-in's feed to settled files, in the real runtime, with nothing slowed down. */
export const pace: Bench = { name: 'pace', run };

async function* run(size: Size): AsyncGenerator<Figure> {
  const stateDir = mkdtempSync(path.join(tmpdir(), 'bench-pace-'));
  const standIn = await startStandIn({ changes: CHANGES[size], handMade: false, only: [], fast: true });
  const feedLast = String(standIn.updateSeq());
  try {
    const worker = await startTributary({ stateDir, settings: demoSettings(standIn) });
    try {
      const { pid } = worker.workerd();
      const startedAt = performance.now();
      const cpuMsBefore = cpuMsOf(pid);
      const before = (await fetchStatus(worker.url, 'npm')).balance.changes;
      for (;;) {
        const status = await fetchStatus(worker.url, 'npm');
        const seconds = (performance.now() - startedAt) / 1000;
        if (status.cursor.durable === feedLast && status.buffer.rows === 0) {
          const changes = status.balance.changes - before;
          const cpuMs = cpuMsOf(pid) - cpuMsBefore;
          const { rows, files } = tableSums(status);
          const basis = `${digits(changes)} changes in ${digits(seconds, 1)} s; ${digits(rows)} rows in ${files} files, ${status.upstream.requests} requests`;
          yield { what: 'changes a second, from feed to settled files', figure: digits(changes / seconds), basis };
          yield {
            what: "the runtime's CPU time a change",
            figure: `${digits(cpuMs / changes, 1)} ms`,
            basis: `of the same changes; all isolates, SQLite, the local bucket, and a status every ${POLL_MS} ms with it`,
          };
          return;
        }
        if (seconds * 1000 > MS_MAX) throw new Error(`pace: expected the feed to be durable in ${MS_MAX} ms`);
        await sleep(POLL_MS);
      }
    } finally {
      await worker.stop();
    }
  } finally {
    await standIn.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
}
