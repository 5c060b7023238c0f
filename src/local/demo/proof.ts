import { setTimeout as sleep } from 'node:timers/promises';
import { TABLES, tableNamed } from '../../../schemas/index.ts';
import type { SourceStatus } from '../../contract/source.ts';
import { cacheDirOf, cacheTables, type Lake, lastLsnOf, localAddress, openLake } from '../query/lake.ts';
import { openTables, type Tables } from '../query/tables.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { queryDatabase } from '../runtime/wrangler.ts';
import { fetchStatus, tableSums } from '../status.ts';
import type { Verdict } from './verify.ts';

const LOOK_MS = 200;
/** The projection to the operational database follows the last flush at once; this is when it has failed. */
const PROJECTED_MS_MAX = 30_000;

/** The lake and a source's status of one moment: a parked change that is retried adds a file at any time. */
export async function openAtRest(
  { url, port, stateDir }: Runtime,
  source: string,
): Promise<{ status: SourceStatus; tables: Tables }> {
  const lake = openLake(localAddress(port));
  let before = await fetchStatus(url, source);
  while (true) {
    const files = await cacheTables(lake, { folder: cacheDirOf(stateDir), tables: TABLES });
    const status = await fetchStatus(url, source);
    const isAtRest = status.buffer.rows === 0 && tableSums(status).rows === tableSums(before).rows;
    // The catalog is written after the status tells of a file.
    if (isAtRest && (await isCatalogued(lake, status))) {
      return { status, tables: await openTables({ bucket: lake.bucket, tables: TABLES, files }) };
    }
    before = status;
    await sleep(LOOK_MS);
  }
}

/** Whether readers see all that the status tells of. */
async function isCatalogued(lake: Lake, { tables }: SourceStatus): Promise<boolean> {
  const seen = Object.entries(tables).map(
    async ([name, { last_lsn }]) => (await lastLsnOf(lake, tableNamed(name))) === last_lsn,
  );
  return (await Promise.all(seen)).every(Boolean);
}

/** What `sync_state` says of a source, once it says that `last` is reached or has had the time to. */
export async function projectedSequence(
  { stateDir }: Runtime,
  { source, last }: { source: string; last: string },
): Promise<string | null> {
  const deadline = Date.now() + PROJECTED_MS_MAX;
  while (true) {
    const [row] = await queryDatabase<{ last_sequence: string }>(
      stateDir,
      `SELECT last_sequence FROM sync_state WHERE source = '${source}'`,
    );
    if (row?.last_sequence === last || Date.now() > deadline) return row?.last_sequence ?? null;
  }
}

/** One line a verdict, and one that says whether all hold. */
export function verdictText(verdicts: Verdict[]): string {
  const lines = verdicts.map(({ check, ok, found }) => `${ok ? 'holds' : 'FAILS'}  ${check}: ${found}`);
  const failed = verdicts.filter(verdict => !verdict.ok).length;
  return [...lines, failed === 0 ? 'All of it holds.' : `${failed} of ${verdicts.length} do not hold.`, ''].join('\n');
}
