import { AS_FUNCTIONS, FROM_FUNCTIONS, isRefusedFunction } from './functions.ts';
import { SqlError } from './sql-error.ts';
import type { TokenReader } from './token-reader.ts';
import { nameValue, type Token } from './tokens.ts';
import { endsExpression, isJoinType, isNeverInExpressions, isReserved } from './words.ts';

/** `DATE_ADD(…, INTERVAL …)`: the indexes of its name and of its comma among the tokens. */
export interface DateAdd {
  name: number;
  comma: number;
}

/** Where an expression is, which decides what it may have. */
interface Place {
  /** AS gives names, as in the list of a SELECT. */
  aliases?: boolean;
  /** It is in parentheses or brackets. */
  nested?: boolean;
  /** It is the ON of a join: a comma, the next join, or the SELECT of a query that begins with FROM ends it. */
  join?: boolean;
}

/** Parentheses in parentheses; each takes a few calls of the reader's own stack. */
const DEPTH_MAX = 200;
const CLOSING: Record<string, string> = { '(': ')', '[': ']', '{': '}' };
/** Words in a row that would end or refuse an expression one by one. */
const STANDARD = [
  ['with', 'time', 'zone'],
  ['with', 'ties'],
  ['within', 'group'],
];
const ENDS = [')', ']', '}', ';'];

/** What to do about a statement that does more than read. */
export const READS = 'Write a query that reads: SELECT …, or WITH … SELECT …';
const QUOTE = 'Put a name in double quotes.';

/**
 * Reads expressions. It checks nothing of them but the words and parentheses with which a table, a query, or a function
 * that reads something else could begin.
 */
export abstract class ExpressionReader {
  protected readonly tokens: TokenReader;
  /** How many parentheses and brackets are open. */
  protected depth = 0;
  readonly dateAdds: DateAdd[] = [];

  constructor(tokens: TokenReader) {
    this.tokens = tokens;
  }

  /** Whether a query comes next. */
  protected abstract startsQuery(): boolean;
  /** Reads a query up to a closing parenthesis, a semicolon or the end. */
  protected abstract query(): void;
  /** Whether what comes next makes a query in parentheses the first part of a longer one. */
  protected abstract goesOn(): boolean;
  /** Reads the rest of a query whose first part is read. */
  protected abstract rest(): void;

  /** Reads up to the end of an expression, or of a list of them. Gives the indexes of its commas. */
  protected expression(place: Place = {}): number[] {
    const tokens = this.tokens;
    const commas: number[] = [];
    for (let token = tokens.peek(); token !== undefined; token = tokens.peek()) {
      if (token.kind === 'mark') {
        if (ENDS.includes(token.text) || (place.join && token.text === ',')) break;
        if (token.text === ',') commas.push(tokens.index()!);
        this.#mark(token);
        continue;
      }
      const word = tokens.word();
      if (STANDARD.some(words => tokens.skipWords(...words))) continue;
      const endsJoin = place.join && (word === 'select' || (isJoinType(word) && !tokens.isMark('(', 1)));
      if (endsJoin || (endsExpression(word) && !this.#isDistinctFrom())) break;
      if (isNeverInExpressions(word) || (word === 'for' && !place.nested)) {
        throw word === 'into' ? this.refusal('one that only reads', READS) : this.refusal('an expression', QUOTE);
      }
      tokens.step++;
      if (word === 'as') this.#alias(place);
    }
    return commas;
  }

  /** Reads a pair of parentheses and the values or the query between them. Gives whether they hold only a query. */
  protected group(call?: number): boolean {
    return this.enclosed(() => {
      const tokens = this.tokens;
      if (this.startsQuery()) {
        this.query();
        return true;
      }
      // Parentheses that hold a query can be the first part of a longer query.
      if (tokens.isMark('(') && this.group()) {
        if (tokens.isMark(')')) return true;
        if (this.goesOn()) {
          this.rest();
          return true;
        }
      }
      this.#values(call);
      return false;
    });
  }

  /** Reads an opening mark, what `read` reads, and the closing mark. */
  protected enclosed<T>(read: () => T): T {
    const tokens = this.tokens;
    const { at } = tokens.here;
    const open = tokens.peek()!.text;
    const close = CLOSING[open]!;
    if (++this.depth > DEPTH_MAX) {
      const hint = 'Give inner queries names: WITH … AS (…).';
      throw new SqlError(`query: expected at most ${DEPTH_MAX} nested parentheses, got more`, { at, hint });
    }
    tokens.step++;
    const result = read();
    if (!tokens.skip(close)) {
      if (tokens.peek() !== undefined) throw this.refusal(close, `It ends the ${open} at character ${at + 1}.`);
      throw new SqlError(`query: expected ${close} for this ${open}, got none`, {
        at,
        hint: `Add the missing ${close}.`,
      });
    }
    this.depth--;
    return result;
  }

  /** Reads a name that is not a keyword, or a name in double quotes. */
  protected newName(subject: string): { folded: string; exact: string; at: number } {
    const tokens = this.tokens;
    const [folded, exact] = [tokens.name(), tokens.exactName()];
    if (folded === null || exact === null || isReserved(tokens.word())) throw this.refusal('a name', QUOTE, subject);
    const { at } = tokens.here;
    tokens.step++;
    return { folded, exact, at };
  }

  protected refusal(expected: string, hint: string, subject = 'query'): SqlError {
    const { at, found } = this.tokens.here;
    return new SqlError(`${subject}: expected ${expected}, got ${found}`, { at, hint });
  }

  /** Reads a mark with what belongs to it. */
  #mark({ text }: Token): void {
    const tokens = this.tokens;
    if (text === '(') {
      this.group(this.#called());
    } else if (text in CLOSING) {
      this.enclosed(() => this.expression({ nested: true }));
    } else {
      tokens.step++;
      // Behind a dot engines take any word for a name; here only what is a name everywhere.
      if (text === '.' && !tokens.skip('*')) this.newName('query');
    }
  }

  /** The index of the function whose parentheses come next. Throws `SqlError` for one that a query may not call. */
  #called(): number | undefined {
    const tokens = this.tokens;
    const name = tokens.name(-1);
    if (name === null) return undefined;
    if (isRefusedFunction(name)) {
      const hint = 'Queries read the lake only: no settings, files, or state of the engine.';
      const at = tokens.peek(-1)!.at;
      throw new SqlError(`query: expected a function of values, got ${JSON.stringify(name)}`, { at, hint });
    }
    return tokens.index(-1);
  }

  /** Reads the values between the parentheses of a call, of a window, or around an expression. */
  #values(call: number | undefined): void {
    const tokens = this.tokens;
    const name = call === undefined ? '' : nameValue(tokens.all[call]!)!;
    const place = { nested: true, aliases: AS_FUNCTIONS.includes(name) };
    const commas = this.expression(place);
    let takesFrom = FROM_FUNCTIONS.includes(name);
    // ORDER BY and WHERE of aggregates and windows, and FROM of a few functions, name no tables.
    while (['order', 'where'].includes(tokens.word()) || (takesFrom && tokens.word() === 'from')) {
      takesFrom &&= tokens.word() !== 'from';
      tokens.step++;
      commas.push(...this.expression(place));
    }
    if (name === 'date_add' && commas.length === 1) this.#addDateAdd(call!, commas[0]!);
  }

  /** Reads the name behind an AS. */
  #alias({ aliases = false }: Place): void {
    const tokens = this.tokens;
    if (!aliases) {
      tokens.step--;
      throw this.refusal('an expression', QUOTE);
    }
    if (tokens.peek()?.kind === 'string') tokens.step++;
    else this.newName('AS');
  }

  /** Whether the next word is the FROM of IS [NOT] DISTINCT FROM. */
  #isDistinctFrom(): boolean {
    const tokens = this.tokens;
    return tokens.word() === 'from' && tokens.word(-1) === 'distinct' && ['is', 'not'].includes(tokens.word(-2));
  }

  #addDateAdd(name: number, comma: number): void {
    const next = this.tokens.all.slice(comma + 1).find(token => token.kind !== 'space' && token.kind !== 'comment');
    if (next !== undefined && nameValue(next) === 'interval') this.dateAdds.push({ name, comma });
  }
}
