/** A size a bench has. `tiny` shows that the bench works, not what it measures. */
export type Size = 'full' | 'tiny';

/** One row of the table of figures. */
export interface Figure {
  /** The same for each size. */
  what: string;
  figure: string;
  /** What it was taken from: how many rows, rounds, samples. */
  basis: string;
}

/** One topic that is measured. */
export interface Bench {
  name: string;
  /** Measures, and gives each figure as soon as it has it. */
  run(size: Size): AsyncIterable<Figure>;
}

/** The head of the Markdown table whose rows `tableRow` gives. */
export const TABLE_HEAD = '| what | figure | basis |\n|---|---|---|\n';

export function tableRow({ what, figure, basis }: Figure): string {
  return `| ${what} | ${figure} | ${basis} |\n`;
}

export function median(values: number[]): number {
  if (values.length === 0) throw new Error('median: expected values, got none');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A number with so many digits after the point, and thousands apart. Throws for what is no finite number. */
export function digits(value: number, after = 0): string {
  if (!Number.isFinite(value)) throw new Error(`figure: expected a finite number, got ${value}`);
  return value.toLocaleString('en', { minimumFractionDigits: after, maximumFractionDigits: after });
}

export function mebibytes(bytes: number): string {
  return `${digits(bytes / 2 ** 20, 1)} MiB`;
}
