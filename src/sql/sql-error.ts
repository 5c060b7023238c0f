import { widthOf } from './text-width.ts';

/**
 * What is wrong with a query, and where: `at` is an index into the text the user wrote, null where no place is known.
 * The message says what; `hint` says what to do.
 */
export class SqlError extends Error {
  override readonly name = 'SqlError';
  readonly at: number | null;
  readonly hint: string;

  constructor(message: string, { at, hint }: { at: number | null; hint: string }) {
    super(message);
    this.at = at;
    this.hint = hint;
  }
}

/** A place in a text as people count: lines and columns from 1, a column being a character. */
export interface Place {
  line: number;
  column: number;
}

/** What of a long line is shown to each side of a place. */
const SHOWN_LENGTH_MAX = 60;

/** The place of an index in a text. */
export function placeOf(text: string, at: number): Place {
  const before = text.slice(0, at);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: [...before.slice(lineStart)].length + 1 };
}

/** The index of a place in a text; null where the text has no such place. */
export function indexOfPlace(text: string, { line, column }: Place): number | null {
  const lines = text.split('\n');
  const found = lines[line - 1];
  if (found === undefined || column < 1) return null;
  const before = [...found].slice(0, column - 1).join('').length;
  return lines.slice(0, line - 1).reduce((sum, earlier) => sum + earlier.length + 1, 0) + before;
}

/** The message, and below it the line of the query with a caret under the place, where one is known. */
export function explain(error: SqlError, text: string): string {
  if (error.at === null) return error.message;
  const at = Math.min(error.at, text.length);
  const { line, column } = placeOf(text, at);
  const lineStart = text.lastIndexOf('\n', at - 1) + 1;
  const lineEnd = text.indexOf('\n', at);
  const whole = text.slice(lineStart, lineEnd === -1 ? undefined : lineEnd);
  const cutBefore = Math.max(0, at - lineStart - SHOWN_LENGTH_MAX);
  const cutAfter = Math.min(whole.length, at - lineStart + SHOWN_LENGTH_MAX);
  const [head, tail] = [cutBefore > 0 ? '…' : '', cutAfter < whole.length ? '…' : ''];
  const before = head + plain(whole.slice(cutBefore, at - lineStart));
  const shown = before + plain(whole.slice(at - lineStart, cutAfter)) + tail;
  const label = `line ${line}: `;
  const caret = ' '.repeat(widthOf(label + before));
  return `${error.message}\n${label}${shown}\n${caret}^ column ${column}`;
}

/** A tab would move the caret, and other control characters the terminal's cursor. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, ' ');
}
