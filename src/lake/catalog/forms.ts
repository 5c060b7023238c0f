import { z } from 'zod';

/** Raised when readers of the present form would misread the next one. An added field does not raise it. */
export const FORMAT_VERSION = 1;

const formatVersion = z
  .literal(FORMAT_VERSION)
  .describe('Raised when readers of this form would misread the next one.');
const tableName = z.string().min(1).describe('The table, e.g. `npm_package`.');
const objectKey = z.string().min(1).max(1024);
const count = z.int().min(0);
const firstLsn = z.int().min(1).describe('LSN of the first row.');
const lastLsn = z.int().min(1).describe('LSN of the last row.');
const time = z.iso.datetime({ precision: 3 });

/** `catalog/schemas/<table>.json`: the columns of a table. */
export const schemaForm = z
  .object({
    format_version: formatVersion,
    table: tableName,
    prefix: z.string().min(1).describe('The prefix of the table in the lake, e.g. `npm/metadata`.'),
    description: z.string(),
    schema_version: z.int().min(1).describe('Counts up when columns are appended.'),
    key: z.array(z.string()).min(1).describe('The columns that identify one item.'),
    columns: z
      .array(
        z.object({
          name: z.string().min(1),
          type: z.enum(['utf8', 'int32', 'int64', 'float', 'boolean']),
          required: z.boolean(),
          description: z.string(),
          field_id: z.int().min(1).describe('Never changes; the data files have the same.'),
        }),
      )
      .min(1),
  })
  .describe('The columns of one table of the lake.');

const segmentEntry = z.object({
  key: objectKey.describe(
    'The key of the segment. It is never overwritten, and stays for an hour after the last root that names it.',
  ),
  index: objectKey.describe('The key of the index of the same files.'),
  files: z.int().min(1),
  rows: z.int().min(1),
  bytes: count,
  first_lsn: firstLsn,
  last_lsn: lastLsn,
});

/** `catalog/partitions/<table>.json`: the only object of a table that changes. Every reader begins there. */
export const rootForm = z
  .object({
    format_version: formatVersion,
    table: tableName,
    schema: objectKey.describe("The key of the table's schema."),
    snapshot: z.int().min(1).describe('Rises with each root that is written.'),
    as_of: time.describe('When the newest file was settled.'),
    totals: z.object({
      files: count,
      rows: count,
      bytes: count,
      last_lsn: lastLsn.describe('Each LSN from 1 to this one is in exactly one of the files.'),
    }),
    segments: z.array(segmentEntry).min(1).describe('In LSN order, without gaps.'),
  })
  .describe('The live data files of one table at one moment, in segments.');

const bounds = z
  .object({
    min: z.string().nullable().describe('No value sorts before this, by UTF-8 bytes; null when all values are null.'),
    max: z
      .string()
      .nullable()
      .describe('No value sorts after this, by UTF-8 bytes; null when all values are null, or when it is unknown.'),
    nulls: count,
  })
  .describe('Bounds of a text column. Long values are cut, so a bound may be no value of the column.');

/** A segment: up to `LIMITS.catalogSegmentFilesMax` live data files of a table. */
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
          year: z.int().describe('Partition: year and month (UTC) in which the rows were accepted.'),
          month: z.int().min(1).max(12),
          rows: z.int().min(1),
          bytes: count,
          etag: z.string().min(1),
          first_lsn: firstLsn,
          last_lsn: lastLsn,
          cursor_from: z.string().nullable().describe('The cursor before the first row; null when it is unknown.'),
          cursor_to: z.string().describe('The cursor after the last row.'),
          settled_at: time.describe('When its rows became durable.'),
          columns: z
            .record(z.string(), bounds)
            .nullable()
            .describe('Bounds of the key columns and of `updated_at`; null when they are unknown.'),
        }),
      )
      .min(1),
  })
  .describe('Live data files of one table, in LSN order without gaps.');

/** An index: which files of a segment can have a key. */
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
          min: z
            .string()
            .nullable()
            .describe('No key of the file sorts before this, by UTF-8 bytes; null when it is unknown.'),
          max: z
            .string()
            .nullable()
            .describe('No key of the file sorts after this, by UTF-8 bytes; null when it is unknown.'),
          filter: z
            .base64()
            .nullable()
            .describe(
              'Bloom filter of the keys. A key can be in the file only if all its six bits are set: they are the first six big-endian 32-bit words of the SHA-256 of the key, each modulo the number of bits. Bit n is 1 << (n % 8) of byte n / 8. Null when there is no filter.',
            ),
        }),
      )
      .min(1),
  })
  .describe(
    'Which files can have a key. A key is the value of the only key column, or the JSON array of the values of all key columns, without spaces.',
  );

export type TableSchema = z.output<typeof schemaForm>;
export type CatalogRoot = z.output<typeof rootForm>;
export type Segment = z.output<typeof segmentForm>;
export type CatalogFile = Segment['files'][number];
export type KeyIndex = z.output<typeof indexForm>;
export type Bounds = z.output<typeof bounds>;

/** Every form of the catalog, by the name of its JSON Schema in `schemas/catalog`. */
export const FORMS = {
  schema: schemaForm,
  root: rootForm,
  segment: segmentForm,
  index: indexForm,
};
