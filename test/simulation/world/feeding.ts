import { npmPackage } from '../../../schemas/npm_package.ts';
import type { Row, Value } from '../../../schemas/table.ts';
import { dataFileKey } from '../../../src/lake/object-keys.ts';
import type { FeedingFile, FeedingFiles, FeedingRow, Finding, InletRules } from '../../../src/ports/inlet.ts';
import type { MemoryBucket } from './bucket.ts';
import type { Encoding } from './encode.ts';

/** The id of the source that feeds the simulated agenda. */
export const FEEDER = 'feeder';

/** A row of the feeding table: its key, and what it says. */
export interface SaidRow {
  name: string;
  op: 'upsert' | 'delete';
  says: Finding[];
}

/** The inlet of the simulated agenda: what a row says is JSON in its column `data`. */
export const FED_INLET: InletRules = {
  source: FEEDER,
  table: npmPackage.name,
  columns: ['data'],
  read: ({ op, row }: FeedingRow) => (op === 'delete' ? [] : (JSON.parse(String(row.data)) as Finding[])),
};

interface StoredFile extends FeedingFile {
  /** How many times files were merged into it. */
  generation: number;
}

/**
 * A table of another source, without the source: rows are added, settled as files of the bucket, and merged. It can
 * begin anew.
 */
export class FeedingTable {
  identity: string | null = null;
  /** All rows of this identity; the first has LSN 1. */
  rows: SaidRow[] = [];
  /** The rows of each identity that the table had. */
  readonly history = new Map<string, SaidRow[]>();
  files: StoredFile[] = [];
  /** Counts the times that the table began. */
  beginnings = 0;
  readonly #bucket: MemoryBucket;
  readonly #encoding: () => Encoding;

  constructor(bucket: MemoryBucket, encoding: () => Encoding) {
    this.#bucket = bucket;
    this.#encoding = encoding;
  }

  get settledLsn(): number {
    return this.files.at(-1)?.last_lsn ?? 0;
  }

  /** Appends rows, which no inlet sees before they are settled. */
  add(...rows: SaidRow[]): void {
    if (this.rows.length === 0) {
      this.identity = `table ${++this.beginnings}`;
      this.history.set(this.identity, this.rows);
    }
    this.rows.push(...rows);
  }

  /** One upsert a name. */
  say(name: string, ...says: Finding[]): void {
    this.add({ name, op: 'upsert', says });
  }

  /** Makes the rows that are in no file a file. */
  settle(): void {
    const first = this.settledLsn + 1;
    if (this.rows.length >= first) this.files.push(this.#put(first, this.rows.length, 0));
  }

  /** Makes neighbouring files one. The old objects stay unless `removes`. */
  merge(from: number, count: number, { removes = true } = {}): void {
    const merged = this.files.slice(from, from + count);
    if (merged.length < 2) return;
    const generation = Math.max(...merged.map(file => file.generation)) + 1;
    const file = this.#put(merged[0]!.first_lsn, merged.at(-1)!.last_lsn, generation);
    this.files.splice(from, merged.length, file);
    if (removes) for (const { key } of merged) this.#bucket.objects.delete(key);
  }

  /** The table's source lost its journal, and its files were removed: the next row is LSN 1 of another table. */
  beginAnew(): void {
    for (const { key } of this.files) this.#bucket.objects.delete(key);
    this.identity = null;
    this.rows = [];
    this.files = [];
  }

  settledFiles({ afterLsn, limit }: { afterLsn: number; limit: number }): FeedingFiles {
    const found = this.files.filter(file => file.last_lsn > afterLsn).slice(0, limit);
    const files = found.map(({ key, etag, bytes, first_lsn, last_lsn }) => ({ key, etag, bytes, first_lsn, last_lsn }));
    return { identity: this.identity, lastLsn: this.settledLsn, files };
  }

  #put(firstLsn: number, lastLsn: number, generation: number): StoredFile {
    const file = this.#encoding().port.open({ source: FEEDER, table: npmPackage, firstLsn });
    for (let lsn = firstLsn; lsn <= lastLsn; lsn++) file.append(valuesOf(lsn, this.rows[lsn - 1]!));
    const bytes = Buffer.concat(file.finish({ lastLsn, cursor: String(lastLsn) }));
    const range = { firstLsn, lastLsn, stampMs: Date.UTC(2026, 10) };
    // A table that began anew may give the key of an old file to other bytes.
    const key = `${dataFileKey(npmPackage, range)}.${generation}`;
    const { etag } = this.#bucket.store(key, bytes);
    return { key, etag, bytes: bytes.length, first_lsn: firstLsn, last_lsn: lastLsn, generation };
  }
}

function valuesOf(lsn: number, { name, op, says }: SaidRow): Value[] {
  const data = op === 'delete' ? null : JSON.stringify(says);
  const row: Row = { name, data, updated_at: '2026-11-01T00:00:00.000Z', _lsn: lsn, _op: op, _cursor: String(lsn) };
  return npmPackage.columns.map(column => row[column.name] ?? null);
}
