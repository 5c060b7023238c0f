import { type StreamRecord, streamRecord } from '../../../schemas/stream.ts';
import type { Table, Value } from '../../../schemas/table.ts';
import type { Run } from '../../alarm/run.ts';
import { messageOf, StepError } from '../../errors.ts';
import { LIMITS, SECOND } from '../../limits.ts';
import type { ByteRange } from '../../ports/bucket.ts';
import type { DataFileReader } from '../../ports/data-file.ts';
import type { Ports } from '../../ports/ports.ts';
import type { JournalStreams, ReadableFile } from '../journal/streams.ts';

/** After this time in one run, a table's stream gets no other request: the tail waits for it. */
const STREAM_MS_MAX = 5 * SECOND;
/** A send that takes longer is given up and repeated. */
const STREAM_CALL_MS_MAX = 20 * SECOND;

interface StreamerOptions {
  table: Table;
  /** The name of the stream's binding. */
  binding: string;
  source: string;
  ports: Ports;
  streams: JournalStreams;
}

/**
 * Sends one table's rows to its stream, each at least once and in LSN order. It reads them from settled files, so that
 * the stream never has a row that the lake does not have, and counts them as sent only after the stream acknowledged
 * them.
 */
export class Streamer {
  /** Its step of a run. */
  readonly step: string;
  readonly #options: StreamerOptions;

  constructor(options: StreamerOptions) {
    this.#options = options;
    this.step = streamStep(options.table);
  }

  /** Whether there are rows in files that the stream does not have. */
  get isDue(): boolean {
    const { table, binding, streams } = this.#options;
    return streams.waitingRows(table.name, binding) > 0;
  }

  /**
   * Sends rows, as far as one run gets. Throws `StepError`: `stream-failed`, `stream-refused` with the LSN of the row
   * that the stream refuses, `lake-damaged` when a file cannot be read, `bucket-failed` or `deadline`.
   */
  async work(run: Run): Promise<void> {
    const { clock } = this.#options.ports;
    const endMs = clock.now() + STREAM_MS_MAX;
    while (this.isDue && clock.now() < endMs) await this.#sendFile(run, endMs);
  }

  get #nextLsn(): number {
    const { table, binding, streams } = this.#options;
    return streams.lastLsn(table.name, binding) + 1;
  }

  /** Sends the rows of one file, from the next row on. */
  async #sendFile(run: Run, endMs: number): Promise<void> {
    const { table, streams, ports } = this.#options;
    // Find the file with the next row, and read its footer.
    const lsn = this.#nextLsn;
    const file = streams.fileContaining(table.name, lsn);
    if (!file) throw new StepError('lake-damaged', `${table.name}: expected a data file with LSN ${lsn}, got none`);
    const reader = await this.#open(file, run);
    // Send its row groups one after the other, in as many requests as each takes.
    while (this.#nextLsn <= file.last_lsn && ports.clock.now() < endMs) {
      const rows = await blamingFile(file, () => reader.rowsOf(this.#nextLsn));
      for (const request of requestsOf(table, rows)) {
        await this.#send(request, run);
        if (ports.clock.now() >= endMs) return;
      }
    }
  }

  async #open(file: ReadableFile, run: Run): Promise<DataFileReader> {
    const { table, ports } = this.#options;
    const { key, bytes, etag, first_lsn, last_lsn } = file;
    const read = async (range: ByteRange) => {
      await run.keepArmed();
      // Read only the object that was settled: another one under the key may hold anything.
      const call = ports.bucket.range(key, { ...range, etag });
      const found = await ports.clock.within(call, LIMITS.bucketCallMsMax, `range of ${key}`);
      if (found?.length === range.bytes) return found;
      throw new Error(`expected ${range.bytes} bytes of etag ${etag}, got ${found?.length ?? 'none'}`);
    };
    const reader = await blamingFile(file, () => ports.encode.reader({ table, bytes, read }));
    if (reader.firstLsn !== first_lsn || reader.lastLsn !== last_lsn) {
      const actual = `${reader.firstLsn} to ${reader.lastLsn}`;
      throw new StepError('lake-damaged', `${key}: expected LSN ${first_lsn} to ${last_lsn}, got ${actual}`);
    }
    return reader;
  }

  /**
   * Sends the records of a request. When the stream refuses them, sends the first half, then the half of that, so that
   * all records before the refused one get through and the error names that one.
   */
  async #send(records: StreamRecord[], run: Run): Promise<void> {
    for (let left = records; left.length > 0; ) {
      let some = left;
      while (!(await this.#isAccepted(some, run))) some = some.slice(0, Math.ceil(some.length / 2));
      left = left.slice(some.length);
    }
  }

  /** Sends records as one request. False when the stream refuses more than one; throws when it refuses a single one. */
  async #isAccepted(records: StreamRecord[], run: Run): Promise<boolean> {
    const { table, binding, source, ports, streams } = this.#options;
    const [firstLsn, lastLsn] = [lsnOf(records[0]!), lsnOf(records.at(-1)!)];
    await run.keepArmed();
    const startedMs = ports.clock.now();
    try {
      const sent = ports.streams.send(binding, records);
      await ports.clock.within(sent, STREAM_CALL_MS_MAX, `send of ${records.length} records to ${binding}`);
    } catch (error) {
      if (!(error instanceof StepError) || error.kind !== 'stream-refused') throw error;
      if (records.length > 1) return false;
      throw new StepError('stream-refused', `${table.name} LSN ${firstLsn}: ${error.message}`);
    }
    // Acknowledge only now, because a stream that did not answer may have nothing.
    streams.acknowledge(table.name, binding, { firstLsn, lastLsn });
    const duration_ms = Math.max(0, ports.clock.now() - startedMs);
    const fields = { source, table: table.name, target: binding, rows: records.length };
    ports.log('stream_sent', { ...fields, first_lsn: firstLsn, last_lsn: lastLsn, duration_ms });
    return true;
  }
}

/** The name of the step that sends a table to its stream. */
export function streamStep(table: Table): string {
  return `stream:${table.name}`;
}

/** The records of rows, as many to a request as its size allows, and at least one. */
function* requestsOf(table: Table, rows: Value[][]): Generator<StreamRecord[]> {
  let request: StreamRecord[] = [];
  let bytes = BRACKET_BYTES;
  for (const row of rows) {
    const record = streamRecord(table, row);
    const more = Buffer.byteLength(JSON.stringify(record)) + COMMA_BYTES;
    if (request.length > 0 && bytes + more > LIMITS.streamRequestBytesMax) {
      yield request;
      request = [];
      bytes = BRACKET_BYTES;
    }
    request.push(record);
    bytes += more;
  }
  if (request.length > 0) yield request;
}

const BRACKET_BYTES = 2;
const COMMA_BYTES = 1;

function lsnOf({ _lsn: lsn }: StreamRecord): number {
  return Number(lsn);
}

/** Reads a file. Throws `lake-damaged` for any error that is not the bucket's. */
async function blamingFile<T>({ key }: ReadableFile, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw error instanceof StepError ? error : new StepError('lake-damaged', `${key}: ${messageOf(error)}`);
  }
}
