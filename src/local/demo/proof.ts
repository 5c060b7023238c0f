import { setTimeout as sleep } from 'node:timers/promises';
import { TABLES, tableNamed } from '../../../schemas/index.ts';
import type { SourceStatus } from '../../contract/source.ts';
import { cacheDirOf, cacheTables, type Lake, lastLsnOf, localAddress, openLake } from '../query/lake.ts';
import { openTables, type Tables } from '../query/tables.ts';
import { queryDatabase } from '../runtime/database.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { fetchStatus, tableSums } from '../status.ts';
import type { Verdict } from './verify.ts';

const POLL_MS = 200;
/** The worker writes its catalog files and its database right after a flush: after this time it has failed to. */
const PUBLISH_MS_MAX = 30_000;

/**
 * A source's status and the lake in SQL, of one moment: the status is read again until the lake holds exactly its rows,
 * because a retry of a parked change can add a file at any time. Throws when that takes longer than 30 s.
 */
export async function openAtRest(
  { url, port, token, s3Keys, stateDir }: Runtime,
  { source, signal }: { source: string; signal: AbortSignal },
): Promise<{ status: SourceStatus; lake: Tables }> {
  const lake = openLake(localAddress(port, s3Keys));
  const deadline = Date.now() + PUBLISH_MS_MAX;
  let before = await fetchStatus(url, source, token);
  while (Date.now() < deadline) {
    const files = await cacheTables(lake, { folder: cacheDirOf(stateDir), tables: TABLES });
    const status = await fetchStatus(url, source, token);
    const isAtRest = status.buffer.rows === 0 && tableSums(status).rows === tableSums(before).rows;
    // The status counts a file before the catalog names it.
    if (isAtRest && (await isCatalogued(lake, status))) {
      return { status, lake: await openTables({ bucket: lake.bucket, tables: TABLES, files }) };
    }
    before = status;
    await sleep(POLL_MS, undefined, { signal });
  }
  throw new Error(`demo: expected the catalog to name all files of ${source} in ${PUBLISH_MS_MAX / 1000} s`);
}

/** Whether the catalog names every row that the status counts. */
async function isCatalogued(lake: Lake, { tables }: SourceStatus): Promise<boolean> {
  const upToDate = Object.entries(tables).map(
    async ([name, { last_lsn }]) => (await lastLsnOf(lake, tableNamed(name))) === last_lsn,
  );
  return (await Promise.all(upToDate)).every(Boolean);
}

/** `sync_state.last_sequence` of a source: once it is `last`, or after 30 s whatever it is. */
export async function publishedSequence(
  { stateDir }: Runtime,
  { source, last }: { source: string; last: string },
): Promise<string | null> {
  const deadline = Date.now() + PUBLISH_MS_MAX;
  while (true) {
    const [row] = await queryDatabase<{ last_sequence: string }>(
      stateDir,
      `SELECT last_sequence FROM sync_state WHERE source = '${source}'`,
    );
    if (row?.last_sequence === last || Date.now() > deadline) return row?.last_sequence ?? null;
  }
}

/** A line for each verdict under the name of its source or table, and one that says whether all hold. */
export function verdictText(verdicts: Verdict[]): string {
  const groups = [...Map.groupBy(verdicts, ({ subject }) => subject)].flatMap(([subject, group]) => [
    subject,
    ...group.map(({ check, ok, found }) => `  ${ok ? 'holds' : 'FAILS'}  ${check}: ${found}`),
  ]);
  const failed = verdicts.filter(verdict => !verdict.ok).length;
  return [...groups, failed === 0 ? 'All of it holds.' : `${failed} of ${verdicts.length} do not hold.`, ''].join('\n');
}
