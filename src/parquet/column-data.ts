import type { Column, ColumnType } from '../../schemas/column.ts';
import type { Value } from '../../schemas/table.ts';

/** Checks the values of a column type, and converts them to the form in which an open row group stores them. */
interface Coder {
  expected: string;
  accepts(value: Value): boolean;
  store?(value: Value): Value;
}

export const CODERS: Record<ColumnType, Coder> = {
  utf8: {
    expected: 'text',
    accepts: value => typeof value === 'string',
    // UTF-8 has no half of a surrogate pair. Replaced here, the sort order, the bounds and the bytes are of one text.
    store: value => (value as string).toWellFormed(),
  },
  int32: {
    expected: 'a 32-bit integer',
    accepts: value => typeof value === 'number' && (value | 0) === value,
  },
  int64: {
    expected: 'a safe integer',
    accepts: value => Number.isSafeInteger(value),
  },
  float: {
    expected: 'a number of 32-bit range',
    accepts: value => typeof value === 'number' && Number.isFinite(Math.fround(value)),
    // Rounded here, so that the bounds hold for the written values. `+ 0` removes the sign of zero, which the writer's
    // dictionary does not tell apart.
    store: value => Math.fround(value as number) + 0,
  },
  boolean: {
    expected: 'true or false',
    accepts: value => typeof value === 'boolean',
  },
};

type WriterValue = Value | bigint | Uint8Array;

/** A column of a row group, in the form that the writer takes. */
interface ColumnData {
  name: string;
  readonly data: WriterValue[];
  /** Unset where a dictionary may save bytes: then the writer decides. */
  encoding: 'PLAIN' | undefined;
}

/**
 * The values of a column in the given order of rows. They are made when the writer reads them, because it reads one
 * column at a time.
 */
export function columnData({ name, type }: Column, values: Value[], order: number[]): ColumnData {
  const packs = type === 'utf8' && !mayRepeat(values as (string | null)[], order);
  return {
    name,
    get data() {
      if (packs) return ordered(values, order, textPacker());
      return ordered(values, order, type === 'int64' ? BigInt : value => value);
    },
    encoding: packs ? 'PLAIN' : undefined,
  };
}

function ordered(values: Value[], order: number[], convert: (value: never) => WriterValue): WriterValue[] {
  return order.map(row => (values[row] === null ? null : convert(values[row] as never)));
}

const SAMPLE_VALUES = 1000;
const SAMPLE_DISTINCT_MAX = 0.9;
/** Parquet writes the length of a text before it. */
const LENGTH_BYTES = 4;

/**
 * Whether texts repeat so often that the writer may use a dictionary. Sample and limit are those of the writer. The
 * writer gets strings only then, because it would hash each byte array in JavaScript.
 */
function mayRepeat(values: (string | null)[], order: number[]): boolean {
  const size = Math.min(order.length, SAMPLE_VALUES);
  const seen = new Set<string>();
  let distinct = 0;
  let total = 0;
  for (let i = 0; i < size; i++) {
    const text = values[order[size === 1 ? 0 : Math.floor((i * (order.length - 1)) / (size - 1))]!]!;
    if (text === null) continue;
    const bytes = text.length + LENGTH_BYTES;
    total += bytes;
    if (seen.has(text)) continue;
    seen.add(text);
    distinct += bytes;
  }
  return total > 0 && distinct / total <= SAMPLE_DISTINCT_MAX;
}

const SLAB_BYTES = 64 * 1024;
/** UTF-16 units. A longer text gets its own buffer. */
const SLAB_TEXT_MAX = 4 * 1024;
const UNIT_BYTES_MAX = 3;
const encoder = new TextEncoder();

/** Encodes texts as UTF-8, many in one buffer, because a buffer for each costs more time and memory than its bytes. */
function textPacker(): (text: string) => Uint8Array {
  let slab = Buffer.alloc(0);
  let end = 0;
  return text => {
    if (text.length > SLAB_TEXT_MAX) return encoder.encode(text);
    if (end + text.length * UNIT_BYTES_MAX > slab.length) {
      slab = Buffer.from(new ArrayBuffer(SLAB_BYTES));
      end = 0;
    }
    const start = end;
    end += slab.write(text, start);
    return new Uint8Array(slab.buffer, start, end - start);
  };
}
