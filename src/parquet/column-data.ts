import type { Column, ColumnType } from '../../schemas/column.ts';
import type { Value } from '../../schemas/table.ts';

/** How values of a column type are checked, and what is kept of them while their row group is open. */
interface Coder {
  expected: string;
  accepts(value: Value): boolean;
  store?(value: Value): Value;
}

export const CODERS: Record<ColumnType, Coder> = {
  utf8: {
    expected: 'text',
    accepts: value => typeof value === 'string',
    // UTF-8 has no half of a surrogate pair; replaced here, order, bounds and bytes speak of the same text.
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
    // Rounded here, so that the bounds hold for what is written. Zero has one sign: the writer's dictionary knows one.
    store: value => Math.fround(value as number) + 0,
  },
  boolean: {
    expected: 'true or false',
    accepts: value => typeof value === 'boolean',
  },
};

type Written = Value | bigint | Uint8Array;

/** A column of a row group as the writer takes it. */
interface ColumnData {
  name: string;
  readonly data: Written[];
  /** Unset where a dictionary may pay: the writer decides then. */
  encoding: 'PLAIN' | undefined;
}

/** The values of a column in that order. They are made when the writer asks for them: it takes one column at a time. */
export function columnData({ name, type }: Column, values: Value[], order: number[]): ColumnData {
  const packs = type === 'utf8' && !mayRepeat(values as (string | null)[], order);
  return {
    name,
    get data() {
      if (packs) return sorted(values, order, textPacker());
      return sorted(values, order, type === 'int64' ? BigInt : value => value);
    },
    encoding: packs ? 'PLAIN' : undefined,
  };
}

function sorted(values: Value[], order: number[], write: (value: never) => Written): Written[] {
  return order.map(row => (values[row] === null ? null : write(values[row] as never)));
}

const SAMPLE_VALUES = 1000;
const SAMPLE_DISTINCT_MAX = 0.9;
/** What a text's length takes beside it. */
const LENGTH_BYTES = 4;

/**
 * Whether texts repeat enough for the writer to try a dictionary. The same sample and limit as the writer's own, which
 * takes strings only where this is so: of bytes it would hash each in JavaScript.
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
/** UTF-16 units; a longer text gets a buffer of its own. */
const SLAB_TEXT_MAX = 4 * 1024;
const UNIT_BYTES_MAX = 3;
const encoder = new TextEncoder();

/** Makes texts UTF-8, many to a buffer: a buffer for each would cost more than its bytes, in time and in memory. */
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
