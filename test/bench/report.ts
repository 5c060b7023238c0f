/** One line of the bench's table. */
export interface Figure {
  what: string;
  figure: string;
  /** What it was taken from: how many rows, rounds, samples. */
  basis: string;
}

/** The figures as one Markdown table. */
export function markdownTable(figures: Figure[]): string {
  const lines = figures.map(({ what, figure, basis }) => `| ${what} | ${figure} | ${basis} |`);
  return ['| what | figure | basis |', '|---|---|---|', ...lines, ''].join('\n');
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A number with so many digits after the point, and thousands apart. */
export function digits(value: number, after = 0): string {
  return value.toLocaleString('en', { minimumFractionDigits: after, maximumFractionDigits: after });
}

export function mebibytes(bytes: number): string {
  return `${digits(bytes / 2 ** 20, 1)} MiB`;
}
