import { type ColumnType, TYPE_FACTS } from './column.ts';
import type { Table, Value } from './table.ts';

/** The schema with which a Cloudflare Pipelines stream is created. */
export interface StreamSchema {
  fields: { name: string; type: string; required: boolean }[];
}

/**
 * One row in the form that a stream takes: values by column name, lineage included, without the columns that are null.
 */
export type StreamRecord = Record<string, string | number | boolean>;

/** The stream schema of a table, lineage included. */
export function streamSchema(table: Table): StreamSchema {
  return {
    fields: table.columns.map(({ name, type, required }) => ({ name, type: TYPE_FACTS[type].stream, required })),
  };
}

/**
 * The record of a row, given as values in the order of `table.columns`. Throws an `Error` for a value of a wrong type,
 * because a stream accepts such a record and drops it silently.
 */
export function streamRecord(table: Table, values: Value[]): StreamRecord {
  const record: StreamRecord = {};
  for (const [index, { name, type, required }] of table.columns.entries()) {
    const value = values[index] ?? null;
    if (value === null && !required) continue;
    if (value === null || !FITS[type](value))
      throw new Error(`${table.name} record: expected ${type} in ${name}, got ${value === null ? 'null' : 'another'}`);
    record[name] = value;
  }
  return record;
}

const FITS: Record<ColumnType, (value: string | number | boolean) => boolean> = {
  utf8: value => typeof value === 'string',
  int32: value => Number.isInteger(value) && Number(value) === (Number(value) | 0),
  int64: value => Number.isSafeInteger(value),
  // JSON has finite numbers only.
  float: value => Number.isFinite(value),
  boolean: value => typeof value === 'boolean',
};
