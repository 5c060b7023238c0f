import { SqlError } from './sql-error.ts';

/** `word`: a keyword or an unquoted name. `quoted`: a name in quotes. `mark`: an operator or punctuation. */
export type TokenKind = 'space' | 'comment' | 'word' | 'quoted' | 'string' | 'number' | 'parameter' | 'mark';

/** A piece of a text. All tokens joined are the text. `at` is the index in it. */
export interface Token {
  kind: TokenKind;
  text: string;
  at: number;
}

/** The forms of a token, tried in this order. A token that begins with `open` needs a delimiter at its end. */
const FORMS: readonly { kind: TokenKind; pattern: RegExp; open?: string }[] = [
  { kind: 'space', pattern: /\s+/y },
  { kind: 'comment', pattern: /--[^\n\r]*/y },
  { kind: 'string', pattern: /'[^']*(?:''[^']*)*'(?!')/y, open: "'" },
  // In a string with the prefix E a backslash escapes the next character, a quote too.
  { kind: 'string', pattern: /[eE]'[^'\\]*(?:(?:''|\\[\s\S])[^'\\]*)*'(?!')/y, open: "E'" },
  { kind: 'quoted', pattern: /"[^"]*(?:""[^"]*)*"(?!")/y, open: '"' },
  { kind: 'quoted', pattern: /`[^`]*(?:``[^`]*)*`(?!`)/y, open: '`' },
  { kind: 'number', pattern: /0[xX][\da-fA-F_]+|(?:\d[\d_]*(?:\.(?!\.)[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?/y },
  // A name may have any character beyond ASCII.
  { kind: 'word', pattern: /(?:[A-Za-z_]|(?!\s)[\u0080-\uffff])(?:[\w$]|(?!\s)[\u0080-\uffff])*/y },
  { kind: 'parameter', pattern: /\$\w+(?![\w$])|\?/y },
  { kind: 'mark', pattern: /->>|<=>|::|->|=>|<=|>=|<>|!=|:=|\|\||[\s\S]/y },
];

const DOLLAR_TAG = /\$(?:(?:[A-Za-z_]|(?!\s)[\u0080-\uffff])(?:\w|(?!\s)[\u0080-\uffff])*)?\$/y;

/** Cuts a text into tokens. Throws `SqlError` for a string, a quoted name or a comment without an end. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const token = blockComment(text, at) ?? dollarQuoted(text, at) ?? otherToken(text, at);
    tokens.push(token);
    at += token.text.length;
  }
  return tokens;
}

/** Whether a token is part of the statement: no space and no comment. */
export function isSignificant({ kind }: Token): boolean {
  return kind !== 'space' && kind !== 'comment';
}

/** The value of a string in single quotes without escapes; null for any other token. */
export function stringValue({ kind, text }: Token): string | null {
  return kind === 'string' && text.startsWith("'") ? text.slice(1, -1).replaceAll("''", "'") : null;
}

/** The name of a token in lower case and without quotes; null when it is no name. The lake's names ignore case. */
export function nameValue(token: Token): string | null {
  const name = exactName(token);
  return name === null ? null : asciiLowerCase(name);
}

/** The name of a token as an engine reads it that takes the case in quotes literally; null when it is no name. */
export function exactName({ kind, text }: Token): string | null {
  if (kind === 'word') return asciiLowerCase(text);
  if (kind !== 'quoted') return null;
  const quote = text[0]!;
  return text.slice(1, -1).replaceAll(quote + quote, quote);
}

/** The text with A to Z in lower case. Engines fold no other letter, and the Kelvin sign would become a `k`. */
export function asciiLowerCase(text: string): string {
  return text.replace(/[A-Z]/g, letter => letter.toLowerCase());
}

function otherToken(text: string, at: number): Token {
  for (const { kind, pattern, open } of FORMS) {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) return { kind, text: found, at };
    if (open !== undefined && text.slice(at, at + open.length).toUpperCase() === open) throw unended(at, open);
  }
  throw new SqlError('query: expected SQL, got another character', { at, hint: 'Remove this character.' });
}

/** A block comment, which may contain other block comments. */
function blockComment(text: string, at: number): Token | null {
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

/** A string between two equal dollar tags, without escapes. */
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
