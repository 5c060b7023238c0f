import { SqlError } from './sql-error.ts';
import type { Token } from './tokens.ts';

// A text that two engines cut into different tokens could hide a table from the reader in what another engine takes for
// a string or a comment. So everything that engines are known to cut differently is refused.

interface Rule {
  /** Whether the rule refuses the token `at` an index of the list. */
  refuses(token: Token, before: Token | undefined): boolean;
  expected: string;
  hint: string;
}

const NUL = /\0/;
const ASCII = /^[\x20-\x7e]*$/;
const MARKS = /^[-+*/%^&|~<>=!:.,;()[\]{}]+$/;
const ESCAPED = /^[eE]'/;
/** Prefixes that change how some engines read a string. */
const PREFIX = /^[a-z]$/i;

const RULES: readonly Rule[] = [
  {
    refuses: ({ text }) => NUL.test(text),
    expected: 'no NUL',
    hint: 'Remove this character.',
  },
  {
    refuses: ({ text }) => !text.isWellFormed(),
    expected: 'well-formed Unicode',
    hint: 'Remove the half of a character.',
  },
  {
    refuses: ({ kind, text }) => kind === 'space' && !/^(?:[ \t\n]|\r\n)*$/.test(text),
    expected: 'spaces, tabs and line ends between words',
    // A carriage return alone ends a comment for some engines only.
    hint: 'Other characters are not a space or the end of a line for every engine.',
  },
  {
    refuses: ({ kind, text }) => kind === 'comment' && text.startsWith('/*') && /\/\*|^!/.test(inner(text)),
    expected: 'a comment without another comment in it',
    hint: 'Engines differ in where such a comment ends.',
  },
  {
    refuses: ({ kind, text }) => (kind === 'word' || kind === 'mark') && !ASCII.test(text),
    expected: 'only ASCII outside quotes',
    hint: 'Put a name with other characters in double quotes.',
  },
  {
    refuses: ({ kind, text }) => kind === 'word' && text.includes('$'),
    expected: 'a name without $',
    hint: 'Put such a name in double quotes.',
  },
  {
    refuses: ({ kind, text }) => kind === 'quoted' && text.startsWith('`'),
    expected: 'double quotes around a name',
    hint: 'A backtick is an operator for some engines.',
  },
  {
    refuses: ({ kind }) => kind === 'parameter',
    expected: 'no parameters',
    hint: 'Write the value into the query.',
  },
  {
    refuses: ({ kind, text }) => kind === 'mark' && !MARKS.test(text),
    expected: 'an operator of SQL',
    hint: 'Remove this character, or write a function instead of the operator.',
  },
  {
    refuses: ({ kind }, before) => kind === 'word' && before?.kind === 'number',
    expected: 'a space between a number and a word',
    hint: 'Add a space.',
  },
  {
    refuses: ({ kind, text }) => kind === 'string' && ESCAPED.test(text) && text.includes("\\'"),
    expected: 'a string that ends at the same quote with and without escapes',
    hint: "Write two single quotes instead of \\'.",
  },
  {
    refuses: ({ kind, text }) => kind === 'string' && text.startsWith('$') && !ASCII.test(text.split('$')[1]!),
    expected: 'only ASCII between the signs of a dollar-quoted string',
    hint: 'Write the string in single quotes.',
  },
  {
    refuses: ({ kind }, before) => kind === 'string' && before?.kind === 'word' && PREFIX.test(before.text),
    expected: 'a string without a prefix',
    hint: "Write the string in single quotes, with a space before it; only E'…' may have its prefix.",
  },
];

/** Throws `SqlError` for the first token that engines could read differently. */
export function checkTokens(tokens: readonly Token[]): void {
  let before: Token | undefined;
  let lastSignificant: Token | undefined;
  for (const token of tokens) {
    const rule = RULES.find(candidate => candidate.refuses(token, before));
    if (rule !== undefined) {
      const found = JSON.stringify(token.text.slice(0, 40));
      throw new SqlError(`query: expected ${rule.expected}, got ${found}`, { at: token.at, hint: rule.hint });
    }
    before = token;
    if (token.kind === 'space' || token.kind === 'comment') continue;
    // Two strings in a row are one string for some engines, and the first one's prefix then counts for the second.
    if (token.kind === 'string' && lastSignificant?.kind === 'string') {
      const hint = 'Join two strings with ||.';
      throw new SqlError('query: expected an operator between two strings, got none', { at: token.at, hint });
    }
    lastSignificant = token;
  }
}

/** A block comment without its ends. */
function inner(comment: string): string {
  return comment.slice(2, -2);
}
