import { messageOf, StepError } from '../../errors.ts';
import { SECOND } from '../../limits.ts';
import type { Ports } from '../../ports/ports.ts';
import type { SqlValue } from '../../ports/sql.ts';
import { isoTime } from '../../time.ts';
import type { DataFile, JournalFiles } from '../journal/files.ts';
import { type DeadLetter, type DeadLetters, letterStatement } from '../journal/letters.ts';

/** A write to D1 that takes longer is given up and repeated. */
const DATABASE_CALL_MS_MAX = 20 * SECOND;
/** Dead letters in one write to the operational database. */
const PUBLISHED_LETTERS_MAX = 50;
/** Characters of the key in a letter that the database refused whole. */
const SHORT_KEY_LENGTH_MAX = 1_000;
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
  const statements = settled.map(file => runStatement(source, file));
  if (cursor !== null) statements.push(syncStatement({ source, cursor, at: isoTime(stampMs) }));
  statements.push({ sql: 'SELECT last_sync_time AS at FROM sync_state WHERE source = ?', params: [source] });
  // Write it, and read back the stamp that the database has then.
  const write = (batch: Statement[]) =>
    ports.clock.within(ports.d1.batch(batch), DATABASE_CALL_MS_MAX, `publication of ${settled.length} files`);
  const lettersWritten = changedLetters.map(letter => letterStatement(source, letter));
  const answers = await write([...lettersWritten, ...statements]).catch(async error => {
    if (changedLetters.length === 0 || !isRefusal(error)) throw error;
    // Write the rest without the letters first: then the database works, and some letter is at fault.
    const written = await write(statements);
    await writeLetters(changedLetters, { source, write });
    return written;
  });
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

interface Statement {
  sql: string;
  params: SqlValue[];
}

/** Whether the database answered with an error; a database that does not answer says nothing of one statement. */
function isRefusal(error: unknown): boolean {
  return error instanceof StepError && error.kind === 'database-failed';
}

/**
 * Writes letters, halved down to the one that the database refuses. That one is written in short, with the reason in
 * place of its message, so that it is seen and holds up no other; the object keeps all of it.
 */
async function writeLetters(
  letters: DeadLetter[],
  { source, write }: { source: string; write: (batch: Statement[]) => Promise<unknown> },
): Promise<void> {
  try {
    await write(letters.map(letter => letterStatement(source, letter)));
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const [only] = letters;
    if (letters.length === 1) {
      const key = only!.key.slice(0, SHORT_KEY_LENGTH_MAX).toWellFormed();
      const short = { ...only!, key, history: '[]', note: null, detail: messageOf(error) };
      await write([letterStatement(source, short)]);
      return;
    }
    const half = Math.ceil(letters.length / 2);
    await writeLetters(letters.slice(0, half), { source, write });
    await writeLetters(letters.slice(half), { source, write });
  }
}

function runStatement(source: string, file: DataFile): Statement {
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

function syncStatement({ source, cursor, at }: { source: string; cursor: string; at: string }): Statement {
  return {
    sql: `INSERT INTO sync_state (source, last_sequence, last_sync_time, updated_at) VALUES (?, ?, ?, ?)
      ON CONFLICT (source) DO UPDATE SET last_sequence = excluded.last_sequence,
        last_sync_time = excluded.last_sync_time, updated_at = excluded.updated_at
      WHERE excluded.last_sync_time > sync_state.last_sync_time`,
    params: [source, cursor, at, at],
  };
}
