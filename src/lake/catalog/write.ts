import type { Table } from '../../../schemas/table.ts';
import { isoTime } from '../../time.ts';
import { parseDataFileKey, schemaKey, segmentKeys } from '../object-keys.ts';
import {
  type CatalogFile,
  type CatalogRoot,
  FORMAT_VERSION,
  type KeyIndex,
  type Segment,
  type TableSchema,
} from './forms.ts';
import type { RowFactsJson } from './row-facts.ts';

/** A settled data file. `facts` is null when they are unknown. */
export interface SettledFile {
  key: string;
  first_lsn: number;
  last_lsn: number;
  rows: number;
  bytes: number;
  etag: string;
  /** The cursor with which its last rows were accepted. */
  cursor: string;
  settled_ms: number;
  facts: RowFactsJson | null;
}

/** The facts about a segment that a root holds. */
export interface NamedSegment {
  first_lsn: number;
  last_lsn: number;
  number: number;
  files: number;
  rows: number;
  bytes: number;
  settled_ms: number;
}

/** The JSON of `catalog/schemas/<table>.json`. */
export function schemaOf({ name, prefix, description, version, key, columns }: Table): TableSchema {
  return {
    format_version: FORMAT_VERSION,
    table: name,
    prefix,
    description,
    schema_version: version,
    key,
    columns: columns.map(column => ({
      name: column.name,
      type: column.type,
      required: column.required,
      description: column.description,
      field_id: column.fieldId,
    })),
  };
}

/**
 * The JSON of the segment of these files, in LSN order. `cursorFrom`: the cursor before their rows; null when unknown.
 */
export function segmentOf(
  table: Pick<Table, 'name'>,
  { files, cursorFrom }: { files: SettledFile[]; cursorFrom: string | null },
): Segment {
  return {
    ...headOf(table, files),
    files: files.map((file, index) => catalogFile(file, files[index - 1]?.cursor ?? cursorFrom)),
  };
}

/** The JSON of the index of these files, in LSN order. */
export function indexOf(table: Pick<Table, 'name'>, files: SettledFile[]): KeyIndex {
  return {
    ...headOf(table, files),
    files: files.map(({ key, first_lsn, last_lsn, facts }) => {
      const { min, max, filter } = facts ?? { min: null, max: null, filter: null };
      return { key, first_lsn, last_lsn, min, max, filter };
    }),
  };
}

/** The JSON of the root that names these segments, in LSN order. */
export function rootOf(
  { name }: Pick<Table, 'name'>,
  { snapshot, segments }: { snapshot: number; segments: NamedSegment[] },
): CatalogRoot {
  const sum = (fact: 'files' | 'rows' | 'bytes') => segments.reduce((total, segment) => total + segment[fact], 0);
  const last = segments.at(-1)!;
  return {
    format_version: FORMAT_VERSION,
    table: name,
    schema: schemaKey(name),
    snapshot,
    as_of: isoTime(last.settled_ms),
    totals: { files: sum('files'), rows: sum('rows'), bytes: sum('bytes'), last_lsn: last.last_lsn },
    segments: segments.map(({ first_lsn, last_lsn, number, files, rows, bytes }) => {
      const { segment, index } = segmentKeys(name, { firstLsn: first_lsn, lastLsn: last_lsn, number });
      return { key: segment, index, files, rows, bytes, first_lsn, last_lsn };
    }),
  };
}

function headOf({ name }: Pick<Table, 'name'>, files: SettledFile[]) {
  const [first, last] = [files[0]!, files.at(-1)!];
  const range = { first_lsn: first.first_lsn, last_lsn: last.last_lsn };
  return { format_version: FORMAT_VERSION, table: name, ...range } as const;
}

function catalogFile(file: SettledFile, cursorFrom: string | null): CatalogFile {
  const { key, rows, bytes, etag, first_lsn, last_lsn, cursor, settled_ms, facts } = file;
  const name = parseDataFileKey(key);
  if (!name) throw new Error(`catalog: expected the key of a data file, got ${key}`);
  return {
    key,
    year: name.year,
    month: name.month,
    rows,
    bytes,
    etag,
    first_lsn,
    last_lsn,
    cursor_from: cursorFrom,
    cursor_to: cursor,
    settled_at: isoTime(settled_ms),
    columns: facts?.columns ?? null,
  };
}
