import { asciiLowerCase, exactName, isSignificant, nameValue, type Token, tokenize } from './tokens.ts';

/**
 * Reads the significant tokens of a text one after the other. A `distance` counts from the next significant token: 0 is
 * that one, 1 the one after it, -1 the one before.
 */
export class TokenReader {
  /** All tokens, spaces and comments included. */
  readonly all: Token[];
  readonly #end: number;
  /** Indexes of the significant tokens. */
  readonly #indexes: number[];
  /** How many significant tokens have been read. */
  step = 0;

  constructor(text: string) {
    this.all = tokenize(text);
    this.#indexes = [...this.all.keys()].filter(index => isSignificant(this.all[index]!));
    this.#end = text.length;
  }

  /** The next token; undefined at the end. */
  peek(distance = 0): Token | undefined {
    return this.all[this.index(distance) ?? -1];
  }

  /** The index of the next token in `all`; undefined at the end. */
  index(distance = 0): number | undefined {
    return this.#indexes[this.step + distance];
  }

  /** The next token in lower case when it is a keyword or an unquoted name; empty for any other. */
  word(distance = 0): string {
    const token = this.peek(distance);
    return token?.kind === 'word' ? asciiLowerCase(token.text) : '';
  }

  /** Whether the next token is this mark. */
  isMark(text: string, distance = 0): boolean {
    const token = this.peek(distance);
    return token?.kind === 'mark' && token.text === text;
  }

  /** The next token as a name without its quotes; null when it is no name. */
  name(distance = 0): string | null {
    const token = this.peek(distance);
    return token === undefined ? null : nameValue(token);
  }

  /** The next token as a name without its quotes, with the case that it has in quotes; null when it is no name. */
  exactName(distance = 0): string | null {
    const token = this.peek(distance);
    return token === undefined ? null : exactName(token);
  }

  /** Reads the next token if it is this mark. Returns whether it was. */
  skip(mark: string): boolean {
    const found = this.isMark(mark);
    if (found) this.step++;
    return found;
  }

  /** Reads the next tokens if they are these words. Returns whether they were. */
  skipWords(...words: string[]): boolean {
    const found = words.every((word, distance) => this.word(distance) === word);
    if (found) this.step += words.length;
    return found;
  }

  /** The index of the next token in the text, and its beginning for a message. */
  get here(): { at: number; found: string } {
    const token = this.peek();
    return token === undefined
      ? { at: this.#end, found: 'the end of the query' }
      : { at: token.at, found: JSON.stringify(token.text.slice(0, 40)) };
  }
}
