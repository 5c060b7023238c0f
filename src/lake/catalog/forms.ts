import { z } from 'zod';

/** Raised when a reader of the form before would misread the new one. Fields that are added do not raise it. */
export const FORMAT_VERSION = 1;

const formatVersion = z
  .literal(FORMAT_VERSION)
  .describe('Raised when a reader of this form would misread the next one.');
const tableName = z.string().min(1).describe('The table, e.g. `npm_package`.');
const objectKey = z.string().min(1).max(1024);
const count = z.int().min(0);
const firstLsn = z.int().min(1).describe('LSN of the first row.');
const lastLsn = z.int().min(1).describe('LSN of the last row.');
const time = z.iso.datetime({ precision: 3 });

/** `catalog/schemas/<table>.json`: what a table's columns are. */
export const schemaForm = z
  .object({
    format_version: formatVersion,
    table: tableName,
    prefix: z.string().min(1).describe('Where the table is in the lake, e.g. `npm/metadata`.'),
    description: z.string(),
    schema_version: z.int().min(1).describe('Counts up when columns are appended.'),
    key: z.array(z.string()).min(1).describe('The columns that tell one thing from another.'),
    columns: z
      .array(
        z.object({
          name: z.string().min(1),
          type: z.enum(['utf8', 'int32', 'int64', 'float', 'boolean']),
          required: z.boolean(),
          description: z.string(),
          field_id: z.int().min(1).describe('Permanent; the same in the data files.'),
        }),
      )
      .min(1),
  })
  .describe('The columns of one table of the lake.');

const segmentEntry = z.object({
  key: objectKey.describe('The segment: never written over, and kept for an hour after no root names it any more.'),
  index: objectKey.describe('The index of the same files: where a key can be.'),
  files: z.int().min(1),
  rows: z.int().min(1),
  bytes: count,
  first_lsn: firstLsn,
  last_lsn: lastLsn,
});

/** `catalog/partitions/<table>.json`: the one object of a table that changes, and the only way in. */
export const rootForm = z
  .object({
    format_version: formatVersion,
    table: tableName,
    schema: objectKey.describe("The table's schema."),
    snapshot: z.int().min(1).describe('Counts up with each root written; never down.'),
    as_of: time.describe('When the newest file was settled.'),
    totals: z.object({
      files: count,
      rows: count,
      bytes: count,
      last_lsn: lastLsn.describe('Every LSN from 1 to this is in exactly one of the files.'),
    }),
    segments: z.array(segmentEntry).min(1).describe('In LSN order, without a gap.'),
  })
  .describe('The live data files of one table at one moment, in segments.');

const bounds = z
  .object({
    min: z.string().nullable().describe('No value is before this, by UTF-8 bytes; null where all are null.'),
    max: z.string().nullable().describe('No value is after this, by UTF-8 bytes; null where all are null, or unknown.'),
    nulls: count,
  })
  .describe('Bounds of a text column. Long values are cut, so a bound need not be a value of the column.');

/** A segment: at most some hundred live data files of a table. */
export const segmentForm = z
  .object({
    format_version: formatVersion,
    table: tableName,
    first_lsn: firstLsn,
    last_lsn: lastLsn,
    files: z
      .array(
        z.object({
          key: objectKey,
          year: z.int().describe('Partition: the year its rows were accepted in, UTC.'),
          month: z.int().min(1).max(12),
          rows: z.int().min(1),
          bytes: count,
          etag: z.string().min(1),
          first_lsn: firstLsn,
          last_lsn: lastLsn,
          cursor_from: z
            .string()
            .nullable()
            .describe('Its rows were accepted after this place of the feed; null: unknown.'),
          cursor_to: z.string().describe('And up to this.'),
          settled_at: time.describe('When its rows became durable.'),
          columns: z
            .record(z.string(), bounds)
            .nullable()
            .describe('The key columns and `updated_at`; null where not known.'),
        }),
      )
      .min(1),
  })
  .describe('Live data files of one table, in LSN order without a gap.');

/** An index: which of a segment's files can hold a key. */
export const indexForm = z
  .object({
    format_version: formatVersion,
    table: tableName,
    first_lsn: firstLsn,
    last_lsn: lastLsn,
    files: z
      .array(
        z.object({
          key: objectKey,
          first_lsn: firstLsn,
          last_lsn: lastLsn,
          min: z.string().nullable().describe('No key of the file is before this, by UTF-8 bytes; null: unknown.'),
          max: z.string().nullable().describe('No key of the file is after this, by UTF-8 bytes; null: unknown.'),
          filter: z
            .base64()
            .nullable()
            .describe(
              'Bloom filter of the keys: a key may be there only if all its six bits are set, the first six big-endian 32-bit words of its SHA-256, each modulo the number of bits; bit n is 1 << (n % 8) of byte n / 8. Null: none.',
            ),
        }),
      )
      .min(1),
  })
  .describe(
    'Where a key can be. A key is the value of the only key column, else the JSON array of the values of all, without spaces.',
  );

export type TableSchema = z.output<typeof schemaForm>;
export type CatalogRoot = z.output<typeof rootForm>;
export type SegmentEntry = CatalogRoot['segments'][number];
export type Segment = z.output<typeof segmentForm>;
export type CatalogFile = Segment['files'][number];
export type KeyIndex = z.output<typeof indexForm>;
export type Bounds = z.output<typeof bounds>;

/** Every form of the catalog, by the name its JSON Schema is published under. */
export const FORMS = {
  schema: schemaForm,
  root: rootForm,
  segment: segmentForm,
  index: indexForm,
};
