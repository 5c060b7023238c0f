import { ExpressionReader, READS } from './expression-reader.ts';
import { ROW_FUNCTIONS } from './functions.ts';
import { type Names, type ResolvedTable, resolveName, resolvePath } from './names.ts';
import { SqlError } from './sql-error.ts';
import type { TokenReader } from './token-reader.ts';
import { stringValue } from './tokens.ts';
import { WithNames } from './with-names.ts';
import { isJoinType, isReserved } from './words.ts';

/** A reference of a query to a table of the lake. `first` and `last` are indexes of its tokens. */
export interface Reference extends ResolvedTable {
  first: number;
  last: number;
  /** The query writes it as `r2_sql('…')`. */
  byPath: boolean;
  /** The query gives it an alias. */
  aliased: boolean;
}

const DESCRIPTIONS = ['describe', 'desc', 'summarize', 'show'];
/** What SHOW lists without naming a table. */
const SHOWN = [['tables'], ['all', 'tables'], ['schemas'], ['databases'], ['namespaces']];
/** Words of a sample besides its numbers and parentheses. */
const SAMPLE_WORDS = ['reservoir', 'system', 'bernoulli', 'percent', 'rows', 'repeatable'];

/** Reads the lists of tables behind FROM, and the tables that DESCRIBE, SHOW and SUMMARIZE name. */
export abstract class TableReader extends ExpressionReader {
  readonly references: Reference[] = [];
  protected readonly withNames = new WithNames();
  readonly #names: Names;

  constructor(tokens: TokenReader, names: Names) {
    super(tokens);
    this.#names = names;
  }

  /** Whether DESCRIBE, SHOW or SUMMARIZE comes next. */
  startsDescription(): boolean {
    return DESCRIPTIONS.includes(this.tokens.word());
  }

  /** Reads DESCRIBE, SHOW or SUMMARIZE of a table or query. */
  description(): void {
    const tokens = this.tokens;
    const shows = tokens.word() === 'show';
    tokens.step++;
    if (shows && SHOWN.some(words => tokens.skipWords(...words))) return;
    if (this.startsQuery() || tokens.isMark('(')) this.query();
    else this.#tableName();
  }

  protected columnNames(): void {
    this.enclosed(() => {
      do this.newName('query');
      while (this.tokens.skip(','));
    });
  }

  /** Reads a list of tables with their joins. */
  protected tables(): void {
    do {
      this.#table();
      this.#joins();
    } while (this.tokens.skip(','));
  }

  #joins(): void {
    const tokens = this.tokens;
    for (;;) {
      const { step } = tokens;
      while (isJoinType(tokens.word())) tokens.step++;
      if (!tokens.skipWords('join')) {
        if (tokens.step > step) throw this.refusal('JOIN', READS);
        return;
      }
      this.#table();
      if (tokens.skipWords('on')) {
        this.expression({ join: true });
      } else if (tokens.word() === 'using' && tokens.isMark('(', 1)) {
        tokens.step++;
        this.columnNames();
      }
    }
  }

  /** Reads a table, or a subquery or function instead of one, with its alias. Gives whether it is only a query. */
  #table(): boolean {
    const tokens = this.tokens;
    tokens.skipWords('lateral');
    let isQuery = false;
    let reference: Reference | null = null;
    if (tokens.isMark('(')) isQuery = this.enclosed(() => this.#tablesInParentheses());
    else reference = this.#tableName();
    const aliased = this.#alias();
    if (reference !== null) reference.aliased = aliased;
    if (tokens.skipWords('tablesample')) this.sample();
    return isQuery && !aliased;
  }

  #tablesInParentheses(): boolean {
    if (this.startsDescription()) {
      this.description();
      return false;
    }
    if (this.startsQuery()) {
      this.query();
      return true;
    }
    const isQuery = this.#table();
    if (isQuery && this.goesOn()) {
      this.rest();
      return true;
    }
    const { step } = this.tokens;
    this.#joins();
    return isQuery && this.tokens.step === step;
  }

  /** Reads the alias of a table and of its columns. Gives whether it has one. */
  #alias(): boolean {
    const tokens = this.tokens;
    const word = tokens.word();
    const isImplicit = tokens.name() !== null && !isReserved(word) && !isJoinType(word);
    if (!tokens.skipWords('as') && !isImplicit) return false;
    this.newName('AS');
    if (tokens.isMark('(')) this.columnNames();
    return true;
  }

  /** Reads the name of a table, or a call of a function instead of one. Null for what is no table of the lake. */
  #tableName(): Reference | null {
    const tokens = this.tokens;
    const { at, found } = tokens.here;
    const [folded, exact] = [tokens.name(), tokens.exactName()];
    if (folded === null || exact === null || isReserved(tokens.word())) {
      throw new SqlError(`query: expected a table, got ${found}`, { at, hint: 'Files cannot be read.' });
    }
    const first = tokens.index()!;
    const parts = [folded];
    tokens.step++;
    while (tokens.skip('.')) parts.push(this.newName('query').folded);
    if (tokens.isMark('(')) return this.#rowFunction({ first, parts, at });
    if (parts.length === 1 && this.withNames.has({ folded, exact, at })) return null;
    return this.#reference(first, { ...resolveName(this.#names, parts, at), byPath: false });
  }

  #rowFunction({ first, parts, at }: { first: number; parts: string[]; at: number }): Reference | null {
    const tokens = this.tokens;
    const name = parts.join('.');
    if (ROW_FUNCTIONS.includes(name)) {
      this.group(first);
      tokens.skipWords('with', 'ordinality');
      return null;
    }
    if (name !== 'r2_sql') {
      const hint = `Instead of a table only r2_sql, ${ROW_FUNCTIONS.join(', ')} can be called, because queries read the lake only.`;
      throw new SqlError(`query: expected a table of the lake, got the function ${JSON.stringify(name)}`, { at, hint });
    }
    tokens.step++;
    const argument = tokens.peek();
    const tablePath = argument === undefined ? null : stringValue(argument);
    if (argument === undefined || tablePath === null || !tokens.isMark(')', 1)) {
      const hint = `Write r2_sql('${this.#names.bucket}/<prefix>/partitions.parquet').`;
      throw this.refusal('one path in single quotes', hint, 'r2_sql');
    }
    tokens.step += 2;
    return this.#reference(first, { ...resolvePath(this.#names, tablePath, argument.at), byPath: true });
  }

  #reference(first: number, table: ResolvedTable & { byPath: boolean }): Reference {
    const reference = { ...table, first, last: this.tokens.index(-1)!, aliased: false };
    this.references.push(reference);
    return reference;
  }

  /** Reads what follows TABLESAMPLE or USING: a number with its unit, or a method with its arguments. */
  protected sample(): void {
    const tokens = this.tokens;
    tokens.skipWords('sample');
    for (;;) {
      const isPart = tokens.peek()?.kind === 'number' || tokens.isMark('%') || SAMPLE_WORDS.includes(tokens.word());
      if (isPart) tokens.step++;
      else if (tokens.isMark('(')) this.group();
      else return;
    }
  }
}
