import { LIMITS } from '../config.ts';
import type { DataFile, JournalFiles } from './journal-files.ts';
import type { Ports, SqlValue } from './ports.ts';

/**
 * Projects settled files and the durable cursor to the operational database, the oldest first. Every statement is
 * guarded so that repeating it, or an older one landing late, changes nothing. Returns whether more is left.
 */
export async function project({
  ports,
  files,
  source,
  cursor,
}: {
  ports: Ports;
  files: JournalFiles;
  source: string;
  cursor: string | null;
}): Promise<boolean> {
  const settled = files.unprojected(LIMITS.projectFilesMax);
  const stampMs = files.nextProjectionMs(ports.clock.now());
  const statements = settled.map(file => runStatement(source, file));
  if (cursor !== null) statements.push(syncStatement({ source, cursor, at: iso(stampMs) }));
  await ports.clock.within(
    ports.d1.batch(statements),
    LIMITS.databaseCallMsMax,
    `projection of ${settled.length} files`,
  );
  files.markProjected(settled, cursor);
  return settled.length === LIMITS.projectFilesMax;
}

function runStatement(source: string, file: DataFile): { sql: string; params: SqlValue[] } {
  const data = {
    key: file.key,
    table: file.table_name,
    first_lsn: file.first_lsn,
    last_lsn: file.last_lsn,
    bytes: file.bytes,
    digest: file.digest,
  };
  return {
    sql: `INSERT INTO ingestion_runs (source, run_type, records_processed, records_inserted, records_failed, started_at,
        completed_at, duration_ms, status, cursor, data)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'completed', ?, ?) ON CONFLICT DO NOTHING`,
    params: [
      ...[source, file.run_type, file.changes, file.rows, file.parked, iso(file.started_ms), iso(file.settled_ms)],
      ...[Math.max(0, file.settled_ms - file.started_ms), file.cursor, JSON.stringify(data)],
    ],
  };
}

function syncStatement({ source, cursor, at }: { source: string; cursor: string; at: string }): {
  sql: string;
  params: SqlValue[];
} {
  return {
    sql: `INSERT INTO sync_state (source, last_sequence, last_sync_time, updated_at) VALUES (?, ?, ?, ?)
      ON CONFLICT (source) DO UPDATE SET last_sequence = excluded.last_sequence,
        last_sync_time = excluded.last_sync_time, updated_at = excluded.updated_at
      WHERE excluded.last_sync_time > sync_state.last_sync_time`,
    params: [source, cursor, at, at],
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
