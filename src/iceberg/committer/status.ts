import type { CatalogTableState, CatalogTableStatus, IcebergStatus } from '../../contract/iceberg.ts';
import { isoTime } from '../../time.ts';
import type { Committer } from './committer.ts';
import type { CommitFault } from './state.ts';
import type { TableCommitter } from './table-committer.ts';

/** The committer's status, read from its stored state only. */
export async function statusOf(committer: Committer): Promise<IcebergStatus> {
  return {
    enabled: true,
    tables: committer.tables.map(table => tableStatus(committer, table)),
    next_wake_at: isoTime(await committer.ports.wake.get()),
  };
}

function tableStatus({ state, ports }: Committer, { table: { name }, source }: TableCommitter): CatalogTableStatus {
  const { committed_lsn, files_waiting } = state.table(name);
  const commit = state.lastCommit(name);
  const fault = state.fault(name);
  return {
    table: name,
    source,
    committed_lsn,
    files_waiting,
    state: stateOf(fault, { isWaiting: files_waiting > 0, isKnown: committed_lsn !== null, nowMs: ports.clock.now() }),
    last_commit: {
      at: isoTime(commit?.atMs ?? null),
      snapshot: commit?.snapshot ?? null,
      files: commit?.files ?? null,
      rows: commit?.rows ?? null,
    },
    last_error: {
      kind: fault?.kind ?? null,
      reason: fault?.reason ?? null,
      hint: fault?.hint ?? null,
      retry: isoTime(fault?.retryMs ?? null),
      at: isoTime(fault?.atMs ?? null),
    },
  };
}

function stateOf(
  fault: CommitFault | null,
  { isWaiting, isKnown, nowMs }: { isWaiting: boolean; isKnown: boolean; nowMs: number },
): CatalogTableState {
  if (fault?.stalls) return 'stalled';
  if (fault && fault.retryMs > nowMs) return 'backing-off';
  return isWaiting || !isKnown ? 'gathering' : 'committed';
}
