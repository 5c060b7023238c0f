import type { Table } from '../../../schemas/table.ts';
import { CatalogError } from '../errors.ts';
import { COMMITTED_LSN, committedLsn, currentSnapshot, lsnOf, type TableMetadata } from './table-metadata.ts';

/**
 * The table property with which a person accepts that the table's snapshots and `tributary.committed_lsn` name
 * different LSNs: both, with a hyphen between them. It holds for these two LSNs only.
 */
export const ACCEPTED_GAP = 'tributary.accepted_gap';

/**
 * What a table's history says is committed. `lsn`: its newest snapshot of the committer names this LSN. `cut`: a
 * snapshot before that is not in the list, because it was expired or because the answer leaves it out. `unknown`: no
 * snapshot is the committer's, or a catalog dropped a summary.
 */
type History = { lsn: number } | 'cut' | 'unknown';

/** Follows the parents of the current snapshot until one is the committer's. */
function historyOf(metadata: TableMetadata): History {
  const byId = new Map(metadata.snapshots.map(snapshot => [snapshot['snapshot-id'], snapshot]));
  let snapshot = currentSnapshot(metadata);
  if (snapshot === null) return { lsn: 0 };
  // A chain has no more links than the list has snapshots, unless damaged metadata makes it a ring.
  for (let links = byId.size; links > 0; links--) {
    const { summary, 'parent-snapshot-id': parentId } = snapshot;
    const lsn = lsnOf(summary?.[COMMITTED_LSN]);
    if (lsn !== null) return { lsn };
    // A summary without its required operation was dropped, so it does not say whose snapshot it is. A snapshot without
    // a parent may have had one that was expired.
    if (summary?.operation === undefined || parentId === null) return 'unknown';
    const parent = byId.get(parentId);
    if (!parent) return 'cut';
    snapshot = parent;
  }
  return 'unknown';
}

/** Whether an answer that has all snapshots could say more of the table's history than this one. */
export function isHistoryCut(metadata: TableMetadata): boolean {
  return historyOf(metadata) === 'cut';
}

/**
 * Throws `CatalogError` `rolled-back` when the newest snapshot of the committer in the table's history names another
 * LSN than the property: a commit would leave the rows between them out for ever, or add them twice. A history that
 * does not say is trusted, because snapshots expire.
 */
export function checkHistory(table: Table, metadata: TableMetadata): void {
  const history = historyOf(metadata);
  if (typeof history === 'string') return;
  const { lsn } = history;
  const committed = committedLsn(metadata);
  const gap = `${lsn}-${committed}`;
  if (lsn === committed || metadata.properties[ACCEPTED_GAP] === gap) return;
  const hint =
    lsn < committed
      ? `The table was rolled back. To commit its rows from LSN ${lsn + 1} to ${committed} again, set its property ` +
        `${COMMITTED_LSN} to ${lsn}. To accept that it lacks them, set its property ${ACCEPTED_GAP} to ${gap}.`
      : `The property was set back. If the table has its rows from LSN ${committed + 1} to ${lsn}, set its property ` +
        `${COMMITTED_LSN} to ${lsn}. If it lacks them, set its property ${ACCEPTED_GAP} to ${gap} to commit them again.`;
  const message = `table ${table.name}: expected its newest snapshot of Tributary to name LSN ${committed}, got ${lsn}`;
  throw new CatalogError('rolled-back', message, { hint });
}
