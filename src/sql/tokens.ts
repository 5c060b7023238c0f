import { SqlError } from './sql-error.ts';

/** `word`: a keyword or a plain name. `quoted`: a name in quotes. `mark`: an operator or punctuation. */
export type TokenKind = 'space' | 'comment' | 'word' | 'quoted' | 'string' | 'number' | 'parameter' | 'mark';

/** A piece of a text; all of them joined are the text. `at` is its index there. */
export interface Token {
  kind: TokenKind;
  text: string;
  at: number;
}

/** What begins at a place, tried in this order; `open` ends at a delimiter that may be missing. */
const FORMS: readonly { kind: TokenKind; pattern: RegExp; open?: string }[] = [
  { kind: 'space', pattern: /\s+/y },
  { kind: 'comment', pattern: /--[^\n\r]*/y },
  { kind: 'string', pattern: /'[^']*(?:''[^']*)*'(?!')/y, open: "'" },
  // With an E in front a backslash escapes, a quote included.
  { kind: 'string', pattern: /[eE]'[^'\\]*(?:(?:''|\\[\s\S])[^'\\]*)*'(?!')/y, open: "E'" },
  { kind: 'quoted', pattern: /"[^"]*(?:""[^"]*)*"(?!")/y, open: '"' },
  { kind: 'quoted', pattern: /`[^`]*(?:``[^`]*)*`(?!`)/y, open: '`' },
  { kind: 'number', pattern: /0[xX][\da-fA-F_]+|(?:\d[\d_]*(?:\.(?!\.)[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?/y },
  // Every character beyond ASCII may be in a name.
  { kind: 'word', pattern: /(?:[A-Za-z_]|(?!\s)[\u0080-\uffff])(?:[\w$]|(?!\s)[\u0080-\uffff])*/y },
  { kind: 'parameter', pattern: /\$\w+(?![\w$])|\?/y },
  { kind: 'mark', pattern: /->>|<=>|::|->|=>|<=|>=|<>|!=|:=|\|\||[\s\S]/y },
];

const DOLLAR_TAG = /\$(?:(?:[A-Za-z_]|(?!\s)[\u0080-\uffff])(?:\w|(?!\s)[\u0080-\uffff])*)?\$/y;

/** Cuts a text into tokens. Throws `SqlError` where a string, a quoted name or a comment does not end. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const token = nested(text, at) ?? dollarQuoted(text, at) ?? plain(text, at);
    tokens.push(token);
    at += token.text.length;
  }
  return tokens;
}

/** Whether a token means something to the query. */
export function isSignificant({ kind }: Token): boolean {
  return kind !== 'space' && kind !== 'comment';
}

/** The value of a token that is a plain string; null of any other. */
export function stringValue({ kind, text }: Token): string | null {
  return kind === 'string' && text.startsWith("'") ? text.slice(1, -1).replaceAll("''", "'") : null;
}

/** The name a token gives, quotes taken off; null when it is none. Names of the lake are the same in either case. */
export function nameValue({ kind, text }: Token): string | null {
  if (kind === 'word') return text.toLowerCase();
  if (kind !== 'quoted') return null;
  const quote = text[0]!;
  return text
    .slice(1, -1)
    .replaceAll(quote + quote, quote)
    .toLowerCase();
}

function plain(text: string, at: number): Token {
  for (const { kind, pattern, open } of FORMS) {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) return { kind, text: found, at };
    if (open !== undefined && text.slice(at, at + open.length).toUpperCase() === open) throw unended(at, open);
  }
  throw new SqlError('query: expected SQL, got something else', { at, hint: 'Take this character out.' });
}

/** A block comment, which may hold others. */
function nested(text: string, at: number): Token | null {
  if (!text.startsWith('/*', at)) return null;
  const bound = /\/\*|\*\//g;
  bound.lastIndex = at;
  let depth = 0;
  for (let match = bound.exec(text); match !== null; match = bound.exec(text)) {
    depth += match[0] === '/*' ? 1 : -1;
    if (depth === 0) return { kind: 'comment', text: text.slice(at, bound.lastIndex), at };
  }
  throw unended(at, '/*');
}

/** A string between two equal dollar tags, in which nothing is escaped. */
function dollarQuoted(text: string, at: number): Token | null {
  DOLLAR_TAG.lastIndex = at;
  const tag = DOLLAR_TAG.exec(text)?.[0];
  if (tag === undefined) return null;
  const end = text.indexOf(tag, at + tag.length);
  if (end === -1) throw unended(at, tag);
  return { kind: 'string', text: text.slice(at, end + tag.length), at };
}

function unended(at: number, open: string): SqlError {
  const close = open === '/*' ? '*/' : open.replace(/^E/, '');
  return new SqlError(`query: expected ${close} to end what ${open} begins here, got the end of the query`, {
    at,
    hint: `Add the missing ${close}.`,
  });
}
