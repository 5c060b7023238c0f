import { StepError } from '../../errors.ts';
import { SECOND } from '../../limits.ts';
import type { Ports } from '../../ports/ports.ts';
import type { SqlValue } from '../../ports/sql.ts';
import { isoTime } from '../../time.ts';
import type { DataFile, JournalFiles } from '../journal/files.ts';
import { type DeadLetters, letterStatement } from '../journal/letters.ts';

/** A write to D1 that takes longer is given up and repeated. */
const DATABASE_CALL_MS_MAX = 20 * SECOND;
/** Dead letters in one write to the operational database. */
const PUBLISHED_LETTERS_MAX = 50;
/** Files in one write to the operational database. */
const PUBLISHED_FILES_MAX = 50;

/**
 * Publishes settled files, dead letters and the durable cursor to the operational database, the oldest first. Every
 * statement is guarded, so that repeating it, or an older one that lands late, changes nothing. Throws `StepError`:
 * `database-failed` or `deadline`.
 */
export async function publishToDatabase({
  ports,
  files,
  letters,
  source,
  cursor,
}: {
  ports: Ports;
  files: JournalFiles;
  letters: DeadLetters;
  source: string;
  cursor: string | null;
}): Promise<void> {
  // Collect what the database does not have yet, under a new stamp.
  const settled = files.unpublished(PUBLISHED_FILES_MAX);
  const stampMs = files.nextPublishedMs(ports.clock.now());
  const changedLetters = letters.unpublished(PUBLISHED_LETTERS_MAX);
  const statements = [
    ...settled.map(file => runStatement(source, file)),
    ...changedLetters.map(letter => letterStatement(source, letter)),
  ];
  if (cursor !== null) statements.push(syncStatement({ source, cursor, at: isoTime(stampMs) }));
  statements.push({ sql: 'SELECT last_sync_time AS at FROM sync_state WHERE source = ?', params: [source] });
  // Write it, and read back the stamp that the database has then.
  const answers = await ports.clock.within(
    ports.d1.batch(statements),
    DATABASE_CALL_MS_MAX,
    `publication of ${settled.length} files`,
  );
  // Raise our stamp over a newer one, which an earlier journal of this source wrote, or a clock that was ahead.
  const storedAt = answers.at(-1)?.[0]?.at;
  if (cursor !== null && storedAt !== isoTime(stampMs)) {
    files.raisePublishedMs(Date.parse(String(storedAt)));
    throw new StepError(
      'database-failed',
      `sync_state of ${source}: expected stamp ${isoTime(stampMs)}, got ${storedAt}`,
    );
  }
  // Mark what the database has now.
  files.markPublished(settled, cursor);
  letters.markPublished(changedLetters, stampMs);
  ports.log('projection_landed', { source, files: settled.length, letters: changedLetters.length, cursor });
  for (const { key, status, reason, attempts } of changedLetters)
    ports.log('letter_written', { source, key, state: status, reason, attempt: attempts });
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
      source,
      file.run_type,
      file.changes,
      file.rows,
      file.parked,
      isoTime(file.started_ms),
      isoTime(file.settled_ms),
      Math.max(0, file.settled_ms - file.started_ms),
      file.cursor,
      JSON.stringify(data),
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
