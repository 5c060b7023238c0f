import type { Table, Value } from '../../../schemas/table.ts';
import { compareText, textAfter } from '../../../schemas/text_order.ts';
import type { Bounds } from './forms.ts';
import { FILTER_KEYS_MAX, filterOf, keyText } from './key-filter.ts';

/** Bounds are cut to so many UTF-16 units: nearly all keys stay whole. */
const BOUND_LENGTH_MAX = 64;

/** What the catalog says of the rows of one data file. Plain JSON, kept with the file. */
export interface RowFactsJson {
  /** Of the key columns and `updated_at`. */
  columns: Record<string, Bounds>;
  /** Bounds of the keys. */
  min: string | null;
  max: string | null;
  filter: string | null;
}

/** Gathers what the catalog says of a file's rows while they pass: a function of the rows, in whatever order. */
export class RowFacts {
  readonly #columns: { name: string; at: number; range: TextRange }[];
  readonly #keyAt: number[];
  readonly #keyRange = new TextRange();
  /** Null once there are more than a filter takes. */
  #keys: Set<string> | null = new Set();

  constructor({ columns, key }: Table) {
    const wanted = columns.map(({ name }, at) => ({ name, at, range: new TextRange() }));
    this.#columns = wanted.filter(({ name }) => key.includes(name) || name === 'updated_at');
    this.#keyAt = key.map(name => columns.findIndex(column => column.name === name));
  }

  /** Takes a row: values in the order of the table's columns. */
  add(values: Value[]): void {
    for (const { at, range } of this.#columns) range.add(values[at] as string | null);
    const key = keyText(this.#keyAt.map(at => values[at] as string));
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

/** A short text that no text from this one on is before. */
export function lowerBound(text: string): string {
  return cut(text);
}

/** A short text that no text up to this one is after; null where there is none. */
export function upperBound(text: string): string | null {
  const short = cut(text);
  return short === text ? text : textAfter(short);
}

/** The text's beginning, never with half of a surrogate pair at its end. */
function cut(text: string): string {
  const short = text.slice(0, BOUND_LENGTH_MAX);
  return short.isWellFormed() ? short : short.slice(0, -1);
}
