import { keyText, tableNamed } from '../../schemas/index.ts';
import type { Table, Value } from '../../schemas/table.ts';
import { type FindingRefusal, messageOf, StepError } from '../errors.ts';
import { LIMITS, MiB } from '../limits.ts';
import { openRows } from '../parquet/read.ts';
import type { BucketPort, ByteRange } from '../ports/bucket.ts';
import type { EncodePort } from '../ports/data-file.ts';
import type { FeedingFile, Finding, InletAnswer, InletRules, KeyFinding, RowFindings } from '../ports/inlet.ts';
import { CHANGE_KEY_LENGTH_MAX } from '../ports/sql-guard.ts';
import type { Agenda, Source } from '../sources/source.ts';

/** Rows, and bytes of their findings, in one answer about a row group, far below the 32 MiB of one call. */
const ROWS_MAX = 10_000;
const BYTES_MAX = 4 * MiB;
/** Findings of one row: a package names hundreds of people at most. The rest is passed over. */
const ROW_FINDINGS_MAX = 1_000;

interface InletReading {
  source: Source;
  bucket: Pick<BucketPort, 'range'>;
  /** Opens data files; those of Parquet by default. */
  reader?: EncodePort['reader'];
}

/** No such object is there any more. */
class MissingFile extends Error {}

const CONTROL = /\p{Cc}/u;

/**
 * Reads the rows of a feeding file after an LSN, at most to the end of their row group, and what they say. Only byte
 * ranges of the footer and of the columns that the inlet declares are read. Throws `StepError` when the bucket fails.
 */
export async function readInlet(
  { source, bucket, reader = openRows }: InletReading,
  { table: name, file, afterLsn }: { table: string; file: FeedingFile; afterLsn: number },
): Promise<InletAnswer> {
  const { agenda } = source;
  const inlet = agenda?.inlets?.find(one => one.table === name);
  if (!agenda || !inlet) throw new Error(`${source.id}: expected an inlet of ${name}, got none`);
  const table = tableNamed(name);
  const columns = [...new Set(['_lsn', '_op', ...table.key, ...inlet.columns])];
  let rows: Value[][];
  try {
    const read = (range: ByteRange) => readRange(bucket, file, range);
    const opened = await reader({ table, bytes: file.bytes, read, columns });
    if (opened.firstLsn !== file.first_lsn || opened.lastLsn !== file.last_lsn) {
      const actual = `${opened.firstLsn} to ${opened.lastLsn}`;
      return { kind: 'damaged', message: `expected LSN ${file.first_lsn} to ${file.last_lsn}, got ${actual}` };
    }
    rows = await opened.rowsOf(afterLsn + 1);
  } catch (error) {
    if (error instanceof StepError) throw error;
    // The decoder names what it met by any kind of error.
    return error instanceof MissingFile ? { kind: 'missing' } : { kind: 'damaged', message: messageOf(error) };
  }
  return { kind: 'rows', rows: findingsOf({ agenda, inlet, table, columns }, rows) };
}

/** Exactly a range of the file that was settled: another object under its key may hold anything. */
async function readRange(
  bucket: Pick<BucketPort, 'range'>,
  { key, etag }: FeedingFile,
  range: ByteRange,
): Promise<Uint8Array> {
  const found = await bucket.range(key, { ...range, etag });
  if (found === null) throw new MissingFile();
  if (found.length !== range.bytes)
    throw new Error(`expected ${range.bytes} bytes at ${range.offset}, got ${found.length}`);
  return found;
}

interface Inlet {
  agenda: Agenda<unknown>;
  inlet: InletRules;
  table: Table;
  columns: string[];
}

/** What rows say, as many of them as one answer holds, and at least one. */
function findingsOf(inlet: Inlet, rows: Value[][]): RowFindings[] {
  const read: RowFindings[] = [];
  let bytes = 0;
  for (const values of rows.slice(0, ROWS_MAX)) {
    const found = findingsIn(inlet, values);
    bytes += bytesOf(found);
    if (read.length > 0 && bytes > BYTES_MAX) break;
    read.push(found);
  }
  return read;
}

/** What one row says. A row that the source cannot read says nothing, because no row of an upstream may hold an inlet up. */
function findingsIn({ agenda, inlet, table, columns }: Inlet, values: Value[]): RowFindings {
  const named = new Map(columns.map((name, index) => [name, values[index] ?? null]));
  const lsn = Number(named.get('_lsn'));
  const key = keyText(table.key.map(name => String(named.get(name))));
  const op = named.get('_op') === 'delete' ? 'delete' : 'upsert';
  const row = Object.fromEntries(inlet.columns.map(name => [name, named.get(name) ?? null]));
  try {
    return { lsn, key, ...checkAll(agenda, inlet.read({ op, lsn, key, row })) };
  } catch {
    return { lsn, key, findings: [], refused: { ['row-unreadable' satisfies FindingRefusal]: 1 } };
  }
}

function checkAll(agenda: Agenda<unknown>, said: Finding[]): Pick<RowFindings, 'findings' | 'refused'> {
  const checked = said.slice(0, ROW_FINDINGS_MAX).map(finding => check(agenda, finding));
  const refused: Record<string, number> = {};
  for (const one of checked) if ('refused' in one) refused[one.refused] = (refused[one.refused] ?? 0) + 1;
  if (said.length > ROW_FINDINGS_MAX)
    refused['too-many-findings' satisfies FindingRefusal] = said.length - ROW_FINDINGS_MAX;
  return { findings: checked.filter(one => 'key' in one), refused };
}

/** The finding with its key as the agenda reads it, or why it is passed over. */
function check(agenda: Agenda<unknown>, finding: Finding): KeyFinding | { refused: string } {
  // A longer text is no key of any source, and reading it could take long.
  if (finding.key.length > CHANGE_KEY_LENGTH_MAX) return refusedAs('key-too-long');
  const read = agenda.read(finding.key);
  if ('rejected' in read) return { refused: read.rejected };
  if (Buffer.byteLength(read.key) > LIMITS.keyBytesMax) return refusedAs('key-too-long');
  if (CONTROL.test(read.key)) return refusedAs('control-character');
  const item = (finding.item ?? '').toWellFormed();
  if (Buffer.byteLength(item) > LIMITS.itemBytesMax) return refusedAs('item-too-long');
  const facts = finding.facts === undefined ? null : JSON.stringify(finding.facts).toWellFormed();
  if (facts !== null && Buffer.byteLength(facts) > LIMITS.factsBytesMax) return refusedAs('facts-too-large');
  const sample = finding.sample?.slice(0, LIMITS.sampleLengthMax).toWellFormed() ?? null;
  return { key: read.key.toWellFormed(), space: read.space, item, facts, sample };
}

function refusedAs(refused: FindingRefusal): { refused: FindingRefusal } {
  return { refused };
}

function bytesOf({ key, findings }: RowFindings): number {
  const each = findings.reduce(
    (sum, { key, space, item, facts, sample }) =>
      sum + key.length + space.length + item.length + (facts?.length ?? 0) + (sample?.length ?? 0),
    0,
  );
  return key.length + each;
}
