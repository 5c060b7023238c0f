import { keyText, type Table, type Value } from '../../../schemas/table.ts';
import { compareText, textAfter } from '../../../schemas/text_order.ts';
import type { Bounds } from './forms.ts';
import { FILTER_KEYS_MAX, filterOf } from './key-filter.ts';

/** Bounds are cut to this many UTF-16 units; nearly all keys are shorter. */
const BOUND_LENGTH_MAX = 64;

/** The catalog's facts about the rows of one data file, as plain JSON. */
export interface RowFactsJson {
  /** Bounds of the key columns and of `updated_at`. */
  columns: Record<string, Bounds>;
  /** Bounds of the keys; null when unknown. */
  min: string | null;
  max: string | null;
  /** Bloom filter of the keys as base64; null when there is none. */
  filter: string | null;
}

/** Collects the catalog's facts about the rows of a data file. The order of the rows makes no difference. */
export class RowFacts {
  readonly #columns: { name: string; index: number; range: TextRange }[];
  readonly #keyIndexes: number[];
  readonly #keyRange = new TextRange();
  /** Null once there are more keys than a filter takes. */
  #keys: Set<string> | null = new Set();

  constructor({ columns, key }: Table) {
    const wanted = columns.map(({ name }, index) => ({ name, index, range: new TextRange() }));
    this.#columns = wanted.filter(({ name }) => key.includes(name) || name === 'updated_at');
    this.#keyIndexes = key.map(name => columns.findIndex(column => column.name === name));
  }

  /** Adds a row: values in the order of the table's columns. */
  add(values: Value[]): void {
    for (const { index, range } of this.#columns) range.add(values[index] as string | null);
    const key = keyText(this.#keyIndexes.map(index => values[index] as string));
    this.#keyRange.add(key);
    this.#keys?.add(key);
    if (this.#keys && this.#keys.size > FILTER_KEYS_MAX) this.#keys = null;
  }

  toJSON(): RowFactsJson {
    const { min, max } = this.#keyRange.bounds;
    return {
      columns: Object.fromEntries(this.#columns.map(({ name, range }) => [name, range.bounds])),
      min,
      max,
      filter: this.#keys && filterOf(this.#keys),
    };
  }
}

class TextRange {
  #min: string | null = null;
  #max: string | null = null;
  #nulls = 0;

  add(value: string | null): void {
    if (value === null) this.#nulls += 1;
    else {
      if (this.#min === null || compareText(value, this.#min) < 0) this.#min = value;
      if (this.#max === null || compareText(value, this.#max) > 0) this.#max = value;
    }
  }

  get bounds(): Bounds {
    return { min: this.#min && lowerBound(this.#min), max: this.#max && upperBound(this.#max), nulls: this.#nulls };
  }
}

/** A short text that sorts before the text, or is the text. */
export function lowerBound(text: string): string {
  return cut(text);
}

/** A short text that sorts after the text, or is the text; null when there is no such text. */
export function upperBound(text: string): string | null {
  const short = cut(text);
  return short === text ? text : textAfter(short);
}

/** The beginning of the text, without half of a surrogate pair at its end. */
function cut(text: string): string {
  const short = text.slice(0, BOUND_LENGTH_MAX);
  return short.isWellFormed() ? short : short.slice(0, -1);
}
