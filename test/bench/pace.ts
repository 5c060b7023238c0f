import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRuntime } from '../../src/local/runtime/runtime.ts';
import { fetchStatus, tableSums } from '../../src/local/status.ts';
import { digits, type Figure } from './report.ts';
import { startUpstream } from './upstream.ts';

const CHANGES = 3_000;
const LOOK_MS = 50;
const MS_MAX = 10 * 60_000;

/** From the replay's feed to settled files, in the real runtime, with nothing slowed down. */
export async function benchPace(): Promise<Figure[]> {
  const stateDir = mkdtempSync(path.join(tmpdir(), 'bench-pace-'));
  const upstream = await startUpstream(CHANGES);
  try {
    const runtime = await startRuntime({ stateDir, port: 0, settings: upstream.settings });
    try {
      const startedAt = performance.now();
      const before = (await fetchStatus(runtime.url, 'npm')).balance.changes;
      for (;;) {
        const status = await fetchStatus(runtime.url, 'npm');
        const seconds = (performance.now() - startedAt) / 1000;
        if (status.cursor.durable === upstream.feedLast && status.buffer.rows === 0) {
          const changes = status.balance.changes - before;
          const { rows, files } = tableSums(status);
          const basis = `${digits(changes)} changes in ${digits(seconds, 1)} s; ${digits(rows)} rows in ${files} files, ${status.upstream.requests} requests`;
          return [{ what: 'changes a second, from feed to settled files', figure: digits(changes / seconds), basis }];
        }
        if (seconds * 1000 > MS_MAX) throw new Error(`pace: expected the feed to be durable in ${MS_MAX} ms`);
        await sleep(LOOK_MS);
      }
    } finally {
      await runtime.stop();
    }
  } finally {
    upstream.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
}
