import { widthOf } from './text-width.ts';

/**
 * A query is wrong. `at` is the index of the error in the text of the user, null when it is unknown. `hint` says what
 * to do.
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

/** A position in a text: line and column count from 1, and a column is one character. */
export interface Position {
  line: number;
  column: number;
}

/** UTF-16 units of a long line that are shown before the caret, and after it. */
const SHOWN_LENGTH_MAX = 60;

/** The position of an index in a text. */
export function positionOf(text: string, at: number): Position {
  const before = text.slice(0, at);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: [...before.slice(lineStart)].length + 1 };
}

/** The index of a position in a text; null when the text has no such position. */
export function indexOfPosition(text: string, { line, column }: Position): number | null {
  const lines = text.split('\n');
  const found = lines[line - 1];
  if (found === undefined || column < 1) return null;
  const before = [...found].slice(0, column - 1).join('').length;
  return lines.slice(0, line - 1).reduce((sum, earlier) => sum + earlier.length + 1, 0) + before;
}

/**
 * The message, and below it, when the index is known, the line of the query with a caret. An engine's message can hold
 * values of rows, so both have no character that controls a terminal.
 */
export function explain(error: SqlError, text: string): string {
  const message = error.message.split('\n').map(printable).join('\n');
  if (error.at === null) return message;
  const at = Math.min(error.at, text.length);
  const { line, column } = positionOf(text, at);
  const lineStart = text.lastIndexOf('\n', at - 1) + 1;
  const lineEnd = text.indexOf('\n', at);
  const fullLine = text.slice(lineStart, lineEnd === -1 ? undefined : lineEnd);
  const cutBefore = Math.max(0, at - lineStart - SHOWN_LENGTH_MAX);
  const cutAfter = Math.min(fullLine.length, at - lineStart + SHOWN_LENGTH_MAX);
  const [head, tail] = [cutBefore > 0 ? '…' : '', cutAfter < fullLine.length ? '…' : ''];
  const before = head + printable(fullLine.slice(cutBefore, at - lineStart));
  const shown = before + printable(fullLine.slice(at - lineStart, cutAfter)) + tail;
  const label = `line ${line}: `;
  const caret = ' '.repeat(widthOf(label + before));
  return `${message}\n${label}${shown}\n${caret}^ column ${column}`;
}

/** Replaces tabs, which would move the caret, and other control characters, which would move the terminal's cursor. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ');
}
