import type { ColumnType } from '../../../schemas/column.ts';
import { textAfter } from '../../../schemas/text_order.ts';
import type { ColumnBound } from '../../ports/data-file.ts';

/** Bounds of text are cut to 16 code points, as every Iceberg writer does by default (`truncate(16)`). */
export const BOUND_CODE_POINTS = 16;
const decoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });

/**
 * A lower bound in the binary form of the Iceberg spec, Appendix D: Binary single-value serialization. Null where the
 * value cannot be a bound of its type; without a bound a reader skips no rows.
 */
export function lowerBound(type: ColumnType, value: ColumnBound): Uint8Array | null {
  return type === 'utf8' ? cutText(value, prefix => prefix) : singleValue(type, value);
}

/** An upper bound. Text that is cut is incremented, so that it is above the whole. Null where no text is above it. */
export function upperBound(type: ColumnType, value: ColumnBound): Uint8Array | null {
  return type === 'utf8' ? cutText(value, textAfter) : singleValue(type, value);
}

function cutText(value: ColumnBound, close: (prefix: string) => string | null): Uint8Array | null {
  const text = decoded(value);
  if (text === null) return null;
  const characters = Array.from(text);
  if (characters.length <= BOUND_CODE_POINTS) return value as Uint8Array;
  const bound = close(characters.slice(0, BOUND_CODE_POINTS).join(''));
  return bound === null ? null : new TextEncoder().encode(bound);
}

/** The text of UTF-8 bytes; null when they are not valid UTF-8, because half a character cannot be a bound. */
function decoded(value: ColumnBound): string | null {
  if (!(value instanceof Uint8Array)) return null;
  try {
    return decoder.decode(value);
  } catch {
    return null;
  }
}

function singleValue(type: ColumnType, value: ColumnBound): Uint8Array | null {
  if (type === 'boolean') return typeof value === 'boolean' ? Uint8Array.of(value ? 1 : 0) : null;
  const view = new DataView(new ArrayBuffer(type === 'int64' ? 8 : 4));
  if (type === 'int64' && typeof value === 'bigint') view.setBigInt64(0, value, true);
  else if (type === 'int32' && typeof value === 'number') view.setInt32(0, value, true);
  // Spec, Entries in Manifests: NaNs are not permitted as bounds.
  else if (type === 'float' && typeof value === 'number' && !Number.isNaN(value)) view.setFloat32(0, value, true);
  else return null;
  return new Uint8Array(view.buffer);
}
