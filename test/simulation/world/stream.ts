import assert from 'node:assert/strict';
import { type StreamRecord, streamSchema } from '../../../schemas/stream.ts';
import type { Table } from '../../../schemas/table.ts';
import { streamsOf } from '../../../src/engine/controls/status.ts';
import { lakeRows } from '../oracle/proof.ts';
import type { World } from './world.ts';

/** What a request to a stream may weigh as JSON. */
const REQUEST_BYTES_MAX = 5_000_000;

/** Values a stream's type takes, by the words of its schema. */
const TAKES: Record<string, (value: unknown) => boolean> = {
  string: value => typeof value === 'string',
  bool: value => typeof value === 'boolean',
  int32: value => Number.isInteger(value) && Math.abs(Number(value)) < 2 ** 31 + 1,
  int64: value => Number.isSafeInteger(value),
  float32: value => Number.isFinite(value),
};

/**
 * Stands in for a stream: keeps what it is sent. A record that does not fit the schema the real one drops without
 * telling; this one remembers it as a problem, as it does rows that come before others have.
 */
export class StreamStandIn {
  readonly table: Table;
  /** By LSN. */
  readonly records = new Map<number, StreamRecord>();
  readonly problems: string[] = [];
  /** Records in each request it took. */
  readonly requests: number[] = [];
  /** Records that it had before. */
  repeated = 0;
  /** Says of a record that it is not taken. */
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
    const misfit = misfitOf(this.table, record);
    if (misfit !== null) this.problems.push(misfit);
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

function misfitOf(table: Table, record: StreamRecord): string | null {
  const { fields } = streamSchema(table);
  const unknown = Object.keys(record).find(name => !fields.some(field => field.name === name));
  if (unknown !== undefined) return `expected no column ${unknown}`;
  const misfit = fields.find(({ name, type, required }) => {
    const value = record[name];
    return value === undefined ? required : !TAKES[type]!(value);
  });
  return misfit ? `expected ${misfit.type} in ${misfit.name}, got ${typeof record[misfit.name]}` : null;
}

/** Each stream has every row of the lake as the lake has it, came by them in order, and the status says so. */
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
