import { cutTo, widthOf } from '../../sql/text-width.ts';
import { plainText } from '../program.ts';
import type { Answer } from './tables.ts';

/** The parts of an answer that are printed. */
export type PrintableAnswer = Omit<Answer, 'types'>;

/** Cells wider than this are cut in the aligned form. */
const CELL_WIDTH_MAX = 60;

/** A JSON array of objects, one a row. Characters that could control a terminal are escaped, so no value changes. */
export function asJson({ columns, rows }: Answer): string {
  const objects = rows.map(row => Object.fromEntries(columns.map((column, i) => [column, row[i]])));
  return `[${objects.map(object => `\n  ${escaped(JSON.stringify(object), INVISIBLE)}`).join(',')}\n]\n`;
}

/**
 * CSV: a line of column names, then a line a row. Null is an empty field, an empty text two quotes. CSV has no escapes,
 * so a control character besides tabs and line ends becomes the text that JSON has for it, such as `\\u001b`.
 */
export function asCsv({ columns, rows }: Answer): string {
  const line = (values: unknown[]) => `${values.map(csvValue).join(',')}\n`;
  return [columns, ...rows].map(line).join('');
}

/** Aligned columns, numbers to the right, and the number of rows. */
export function asTable({ columns, numeric, rows }: PrintableAnswer): string {
  const cells = rows.map(row => row.map(cellText));
  const heads = columns.map(cellText);
  const widths = heads.map((head, i) => cells.reduce((width, row) => Math.max(width, widthOf(row[i]!)), widthOf(head)));
  const line = (texts: string[]) =>
    texts
      .map((text, i) => pad(text, widths[i]!, numeric[i]!))
      .join('  ')
      .trimEnd();
  const rule = widths.map(width => '-'.repeat(width)).join('  ');
  const count = rows.length === 1 ? '(1 row)' : `(${rows.length} rows)`;
  return [line(heads), rule, ...cells.map(line), count, ''].join('\n');
}

function csvValue(value: unknown): string {
  if (value === null || value === undefined) return '';
  const text = escaped(typeof value === 'object' ? JSON.stringify(value) : String(value), CONTROL);
  return text === '' || /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Characters that move a terminal's cursor or the direction of its text, and others without a shape. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
/** Control characters, but for tabs and the ends of lines. */
const CONTROL = /(?![\t\n]|\r\n)\p{Cc}/gu;

/** The text with each character of a pattern as JSON escapes it. */
function escaped(text: string, pattern: RegExp): string {
  return text.replace(pattern, found => {
    const units = Array.from({ length: found.length }, (_, i) => found.charCodeAt(i).toString(16).padStart(4, '0'));
    return units.map(unit => `\\u${unit}`).join('');
  });
}

function cellText(value: unknown): string {
  if (value === null) return 'NULL';
  return cutTo(plainText(typeof value === 'object' ? JSON.stringify(value) : String(value)), CELL_WIDTH_MAX);
}

function pad(text: string, width: number, right: boolean): string {
  const space = ' '.repeat(width - widthOf(text));
  return right ? space + text : text + space;
}
