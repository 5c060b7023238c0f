import { CursorError } from '../errors.ts';

/** How the cursors of a lane are ordered and read; both are pure. */
export interface CursorForm {
  /** Order of two cursors; negative when `a` is earlier. */
  compare(a: string, b: string): number;
  /** The cursor in its one form. Throws `CursorError` for any other text. */
  parse(cursor: string): string;
}

/** The form of cursors that are whole numbers from 0, as sequences of a feed and counts of visits are. */
export function countCursor({ subject, expected }: { subject: string; expected: string }): CursorForm {
  return {
    compare: (a, b) => Number(a) - Number(b),
    parse(cursor) {
      const count = /^\d+$/.test(cursor) ? Number(cursor) : Number.NaN;
      if (!Number.isSafeInteger(count)) throw new CursorError(`${subject}: expected ${expected}, got ${cursor}`);
      return String(count);
    },
  };
}
