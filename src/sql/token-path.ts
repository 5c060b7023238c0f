import { isSignificant, nameValue, type Token, tokenize } from './tokens.ts';

/** Walks the tokens of a text that mean something, one after the other. */
export class TokenPath {
  readonly tokens: Token[];
  readonly #end: number;
  /** Indexes of the tokens walked over. */
  readonly #path: number[];
  /** How many have been passed. */
  step = 0;

  constructor(text: string) {
    this.tokens = tokenize(text);
    this.#path = [...this.tokens.keys()].filter(index => isSignificant(this.tokens[index]!));
    this.#end = text.length;
  }

  /** The token that comes, or one so many before or behind it. */
  peek(distance = 0): Token | undefined {
    return this.tokens[this.index(distance) ?? -1];
  }

  /** The index of such a token among all tokens. */
  index(distance = 0): number | undefined {
    return this.#path[this.step + distance];
  }

  /** The keyword that comes, in lower case, which a plain name may be too; empty when something else does. */
  word(distance = 0): string {
    const token = this.peek(distance);
    return token?.kind === 'word' ? token.text.toLowerCase() : '';
  }

  isMark(text: string, distance = 0): boolean {
    const token = this.peek(distance);
    return token?.kind === 'mark' && token.text === text;
  }

  /** The name that comes, without its quotes; null when something else does. */
  name(distance = 0): string | null {
    const token = this.peek(distance);
    return token === undefined ? null : nameValue(token);
  }

  /** Passes the token that comes if it is this mark. */
  skip(mark: string): boolean {
    const found = this.isMark(mark);
    if (found) this.step++;
    return found;
  }

  /** Passes the words that come and are among these. */
  skipWords(...words: string[]): void {
    while (words.includes(this.word())) this.step++;
  }

  /** Where the token that comes is in the text, and a piece of it for a message. */
  get here(): { at: number; found: string } {
    const token = this.peek();
    return token === undefined
      ? { at: this.#end, found: 'the end of the query' }
      : { at: token.at, found: JSON.stringify(token.text.slice(0, 40)) };
  }
}
