import { keyText } from '../../../schemas/table.ts';
import { compareText } from '../../../schemas/text_order.ts';
import { type CatalogFile, type CatalogRoot, type KeyIndex, rootForm, type Segment, segmentForm } from './forms.ts';
import { mayHold } from './key-filter.ts';

/** Reads a root from its JSON. Throws `SyntaxError`, or zod's error for another form or a later format version. */
export function readRoot(text: string): CatalogRoot {
  return rootForm.parse(JSON.parse(text));
}

/** Reads a segment from its JSON. Throws as `readRoot` does. */
export function readSegment(text: string): Segment {
  return segmentForm.parse(JSON.parse(text));
}

/**
 * The live data files of a table in LSN order. `segments` are those that the root names, in its order. The files have
 * each LSN from 1 to the root's last exactly once. Throws an `Error` when the segments are not those of the root.
 */
export function filesOf(root: CatalogRoot, segments: readonly Segment[]): CatalogFile[] {
  const wrong = (subject: string, expected: string | number, actual: string | number): Error =>
    new Error(`catalog of ${root.table}, snapshot ${root.snapshot}: ${subject}: expected ${expected}, got ${actual}`);
  if (segments.length !== root.segments.length) throw wrong('segments', root.segments.length, segments.length);
  const files: CatalogFile[] = [];
  let next = 1;
  for (const [index, segment] of segments.entries()) {
    const named = root.segments[index]!;
    if (segment.table !== root.table) throw wrong(`table of ${named.key}`, root.table, segment.table);
    if (segment.files.length !== named.files) throw wrong(`files of ${named.key}`, named.files, segment.files.length);
    for (const file of segment.files) {
      const { key, first_lsn, last_lsn, rows } = file;
      if (first_lsn !== next) throw wrong(`first LSN of ${key}`, next, first_lsn);
      if (rows !== last_lsn - first_lsn + 1) throw wrong(`rows of ${key}`, last_lsn - first_lsn + 1, rows);
      next = last_lsn + 1;
      files.push(file);
    }
    if (named.last_lsn !== next - 1) throw wrong(`last LSN of ${named.key}`, named.last_lsn, next - 1);
  }
  const { totals } = root;
  if (totals.last_lsn !== next - 1) throw wrong('last LSN', totals.last_lsn, next - 1);
  if (totals.files !== files.length) throw wrong('files', totals.files, files.length);
  return files;
}

/**
 * The keys of the data files that can have rows of an item, in LSN order: all that have them, and about one in fifty of
 * the other small files. `key`: the values of the table's key columns, in order.
 */
export function filesHolding(indexes: readonly KeyIndex[], key: readonly string[]): string[] {
  const text = keyText(key);
  return indexes
    .flatMap(({ files }) => files)
    .filter(({ min, max, filter }) => {
      if (min !== null && compareText(text, min) < 0) return false;
      if (max !== null && compareText(text, max) > 0) return false;
      return filter === null || mayHold(filter, text);
    })
    .map(file => file.key);
}
