import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Table, Value } from '../../../schemas/table.ts';
import { openDataFile } from '../../../src/parquet/encode.ts';
import { readFooter } from '../../../src/parquet/footer.ts';
import { openRows } from '../../../src/parquet/read.ts';
import type { DataFileEncoder, DataFileFooter, EncodePort } from '../../../src/ports/data-file.ts';
import { readWithHyparquet } from '../../parquet/readers.ts';

/** An encoder, and a decoder of its files that gives rows in file order with values in column order. */
export interface Encoding {
  port: EncodePort;
  decode(table: Table, bytes: Uint8Array): Promise<Value[][]>;
}

class JsonFile implements DataFileEncoder {
  rows = 0;
  readonly encodedBytes = 0;
  openBytes = 0;
  readonly #options: { source: string; table: string; firstLsn: number };
  readonly #lines: string[] = [];

  constructor({ source, table, firstLsn }: { source: string; table: Table; firstLsn: number }) {
    this.#options = { source, table: table.name, firstLsn };
  }

  append(values: Value[]): void {
    const line = JSON.stringify(values);
    this.#lines.push(line);
    this.rows += 1;
    this.openBytes += line.length;
  }

  finish(facts: { lastLsn: number; cursor: string }): Uint8Array[] {
    const { lastLsn, cursor } = facts;
    const head = JSON.stringify({ ...this.#options, lastLsn, cursor });
    const footer = JSON.stringify({ rows: this.rows, firstLsn: this.#options.firstLsn, lastLsn });
    return [head, ...this.#lines, footer].map(line => Buffer.from(`${line}\n`));
  }
}

/** Rows that a file of JSON lines reads at once, as a row group of Parquet. */
const GROUP_ROWS = 4;

/** Files of JSON lines, which cost little in many schedules. */
export const JSON_LINES: Encoding = {
  port: {
    open: options => new JsonFile(options),
    footer: end => JSON.parse(Buffer.from(end).toString().trimEnd().split('\n').at(-1)!) as DataFileFooter,
    async reader({ table, bytes, read, columns }) {
      const lines = Buffer.from(await read({ offset: 0, bytes }))
        .toString()
        .trimEnd()
        .split('\n');
      const { firstLsn, lastLsn } = JSON.parse(lines[0]!) as { firstLsn: number; lastLsn: number };
      const indexes = columns?.map(wanted => table.columns.findIndex(({ name }) => name === wanted));
      const rowsOf = async (fromLsn: number) => {
        const first = 1 + fromLsn - firstLsn;
        const end = Math.min(lines.length - 1, first + GROUP_ROWS - ((first - 1) % GROUP_ROWS));
        const rows = lines.slice(first, end).map(line => JSON.parse(line) as Value[]);
        return indexes ? rows.map(values => indexes.map(index => values[index] ?? null)) : rows;
      };
      return { firstLsn, lastLsn, rowsOf };
    },
    pack: text => Buffer.from(text),
    unpack: bytes => Buffer.from(bytes).toString(),
  },
  async decode(_, bytes) {
    const lines = Buffer.from(bytes).toString().trimEnd().split('\n');
    return lines.slice(1, -1).map(line => JSON.parse(line) as Value[]);
  },
};

/** Parquet files, by the real encoder. */
export const PARQUET: Encoding = {
  port: {
    open: openDataFile,
    footer: readFooter,
    reader: openRows,
    pack: text => deflateRawSync(text, { level: 1 }),
    unpack: bytes => inflateRawSync(bytes).toString(),
  },
  decode: readWithHyparquet,
};
