import assert from 'node:assert/strict';
import { type StreamRecord, streamSchema } from '../../../schemas/stream.ts';
import type { Table } from '../../../schemas/table.ts';
import { streamsOf } from '../../../src/engine/controls/status.ts';
import { lakeRows } from '../oracle/proof.ts';
import type { World } from './world.ts';

/** The most bytes of JSON in a request to a stream. */
const REQUEST_BYTES_MAX = 5_000_000;

/** The values that each type of a stream's schema accepts. */
const ACCEPTS: Record<string, (value: unknown) => boolean> = {
  string: value => typeof value === 'string',
  bool: value => typeof value === 'boolean',
  int32: value => Number.isInteger(value) && Math.abs(Number(value)) < 2 ** 31 + 1,
  int64: value => Number.isSafeInteger(value),
  float32: value => Number.isFinite(value),
};

/**
 * Stands in for a stream and stores its records. The real one drops a record that does not fit the schema without an
 * error; this one adds a problem, as it does for a record that comes before an earlier one.
 */
export class StreamStandIn {
  readonly table: Table;
  /** By LSN. */
  readonly records = new Map<number, StreamRecord>();
  readonly problems: string[] = [];
  /** The number of records in each accepted request. */
  readonly requests: number[] = [];
  /** Records that came more than once. */
  repeated = 0;
  /** Whether a record is refused, and its request with it. */
  refuses: (record: StreamRecord) => boolean = () => false;

  constructor(table: Table) {
    this.table = table;
  }

  take(records: StreamRecord[]): void {
    if (records.some(this.refuses)) throw Object.assign(new Error('a record was refused'), { status: 400 });
    this.requests.push(records.length);
    const bytes = Buffer.byteLength(JSON.stringify(records));
    if (bytes > REQUEST_BYTES_MAX) this.problems.push(`expected at most ${REQUEST_BYTES_MAX} bytes, got ${bytes}`);
    let next = Number(records[0]?._lsn);
    for (const record of records) {
      if (record._lsn !== next) this.problems.push(`expected LSN ${next}, got ${record._lsn}`);
      next += 1;
      this.#take(record);
    }
  }

  #take(record: StreamRecord): void {
    const mismatch = mismatchOf(this.table, record);
    if (mismatch !== null) this.problems.push(mismatch);
    const lsn = Number(record._lsn);
    const before = this.records.get(lsn);
    if (before !== undefined) {
      this.repeated += 1;
      if (JSON.stringify(before) !== JSON.stringify(record)) this.problems.push(`LSN ${lsn}: another row than before`);
    } else if (lsn !== this.records.size + 1) {
      this.problems.push(`expected LSN ${this.records.size + 1} next, got ${lsn}`);
    }
    this.records.set(lsn, record);
  }
}

function mismatchOf(table: Table, record: StreamRecord): string | null {
  const { fields } = streamSchema(table);
  const unknown = Object.keys(record).find(name => !fields.some(field => field.name === name));
  if (unknown !== undefined) return `expected no column ${unknown}`;
  const mismatch = fields.find(({ name, type, required }) => {
    const value = record[name];
    return value === undefined ? required : !ACCEPTS[type]!(value);
  });
  return mismatch ? `expected ${mismatch.type} in ${mismatch.name}, got ${typeof record[mismatch.name]}` : null;
}

/** Each stream got every row of the lake unchanged and in order, and the status says so. */
export async function expectStreamed(world: World): Promise<void> {
  for (const [name, stream] of world.streams) {
    assert.deepEqual(stream.problems, [], `${name}: expected a stream without problems`);
    const rows = await lakeRows(world, stream.table);
    const records = rows.map(row => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)));
    assert.deepEqual([...stream.records.values()], records, `${name}: expected the rows of the lake`);
    const status = streamsOf(world.engine)[name];
    assert.deepEqual(status, { binding: world.options.streams[name], last_lsn: rows.length, waiting: 0 });
  }
}
