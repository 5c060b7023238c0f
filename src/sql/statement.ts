import { type Names, type ResolvedTable, resolveName, resolvePath } from './names.ts';
import { SqlError } from './sql-error.ts';
import { TokenReader } from './token-reader.ts';
import { nameValue, stringValue, type Token } from './tokens.ts';

/** A reference of a query to a table of the lake. `first` and `last` are indexes of its tokens. */
export interface Reference extends ResolvedTable {
  first: number;
  last: number;
  /** The query writes it as `r2_sql('…')`. */
  byPath: boolean;
  /** The query gives it an alias. */
  aliased: boolean;
}

/** `DATE_ADD(…, INTERVAL …)`: the indexes of its name and of its comma among the tokens. */
export interface DateAdd {
  name: number;
  comma: number;
}

/** One statement that only reads. `explanation`: EXPLAIN. `description`: DESCRIBE, SHOW and SUMMARIZE. */
export interface Statement {
  kind: 'query' | 'explanation' | 'description';
  tokens: Token[];
  references: Reference[];
  dateAdds: DateAdd[];
  /** Whether the outermost query has a LIMIT or FETCH. */
  hasLimit: boolean;
  /** Index of the last token before the semicolon, without spaces and comments. */
  last: number;
}

const QUERY_STARTS = ['select', 'with', 'from', 'values'];
const DESCRIPTIONS = ['describe', 'desc', 'summarize', 'show'];
const SHOWN = ['tables', 'schemas', 'databases', 'namespaces', 'all'];
/**
 * The words that end a list of tables. All of them are reserved, because a word that can be the name of a table would
 * hide the tables after it.
 */
const AFTER_FROM = 'select where group having qualify window order limit offset fetch union intersect except'.split(
  ' ',
);
const JOINS = 'join inner left right full cross natural on using asof positional semi anti'.split(' ');
/** The words after a table that are not its alias. */
const AFTER_TABLE = [...AFTER_FROM, ...JOINS, 'tablesample', 'pivot', 'unpivot', 'for'];
/** Functions that have a FROM of their own in their parentheses. */
const FROM_FUNCTIONS = ['extract', 'substring', 'trim', 'overlay'];
/** Functions that make rows of their arguments only. Any other function instead of a table could read something. */
const ROW_FUNCTIONS = ['unnest', 'generate_series', 'range', 'json_each', 'json_tree'];
const DEPTH_MAX = 200;

const READS = 'Write a query that reads: SELECT …, or WITH … SELECT …';

/**
 * Parses a text as one statement that only reads, and finds the tables that it names. Throws `SqlError` for anything
 * else: several statements, a statement that writes, an unknown table, a file, or a function that could read one. It
 * does not check anything else: the engine that runs the query does.
 */
export function readStatement(text: string, names: Names): Statement {
  return new StatementReader(text, names).read();
}

class StatementReader {
  readonly #names: Names;
  readonly #tokens: TokenReader;
  readonly #references: Reference[] = [];
  readonly #dateAdds: DateAdd[] = [];
  /** The names that WITH defines, those of the innermost parentheses last. */
  readonly #withNames: Set<string>[] = [];
  #hasLimit = false;
  #depth = 0;

  constructor(text: string, names: Names) {
    this.#names = names;
    this.#tokens = new TokenReader(text);
  }

  read(): Statement {
    const tokens = this.#tokens;
    while (tokens.skip(';'));
    if (tokens.peek() === undefined)
      throw new SqlError('query: expected a statement, got none', { at: null, hint: READS });
    const kind = this.#statement();
    const last = tokens.index(-1)!;
    while (tokens.skip(';'));
    if (tokens.isMark(')')) throw this.#error('query: expected no ) without its (, got one', 'Remove it.');
    if (tokens.peek() !== undefined) {
      throw this.#error(`query: expected one statement, got another at ${tokens.here.found}`, 'Send one at a time.');
    }
    return {
      kind,
      tokens: tokens.all,
      references: this.#references,
      dateAdds: this.#dateAdds,
      hasLimit: this.#hasLimit,
      last,
    };
  }

  #statement(): Statement['kind'] {
    const word = this.#tokens.word();
    if (DESCRIPTIONS.includes(word)) {
      this.#description();
      return 'description';
    }
    if (word !== 'explain') {
      this.#query();
      return 'query';
    }
    this.#tokens.skipWords('explain', 'analyze', 'format', 'json');
    this.#query();
    return 'explanation';
  }

  #description(): void {
    const tokens = this.#tokens;
    const shows = tokens.word() === 'show';
    tokens.step++;
    if (this.#startsQuery() || tokens.isMark('(')) this.#query();
    else if (!shows || !SHOWN.includes(tokens.word())) this.#table();
    else while (tokens.word() !== '') tokens.step++;
  }

  /** Reads a query up to a closing parenthesis, a semicolon or the end. */
  #query(): void {
    const tokens = this.#tokens;
    if (tokens.isMark('(')) this.#group('query');
    else if (!this.#startsQuery()) {
      throw this.#error(`query: expected one that only reads, got ${tokens.here.found}`, READS);
    }
    if (tokens.word() === 'with') {
      tokens.step++;
      this.#withNames.push(new Set());
      this.#withClause();
      this.#query();
      this.#withNames.pop();
      return;
    }
    this.#body({ inFrom: false });
  }

  /** Whether a query comes next. VALUES without a list is the name of a table. */
  #startsQuery(): boolean {
    const word = this.#tokens.word();
    return QUERY_STARTS.includes(word) && (word !== 'values' || this.#tokens.isMark('(', 1));
  }

  /** Reads a pair of parentheses and all between them. `call`: the index of the function whose arguments they hold. */
  #group(expected: 'query' | 'table' | 'value', call?: number): void {
    const tokens = this.#tokens;
    const { at } = tokens.here;
    if (++this.#depth > DEPTH_MAX) {
      const message = `query: expected at most ${DEPTH_MAX} nested parentheses, got more`;
      throw this.#error(message, 'Give inner queries names: WITH … AS (…).');
    }
    tokens.step++;
    const word = tokens.word();
    if (expected === 'table' && DESCRIPTIONS.includes(word)) this.#description();
    else if (expected === 'query' || word === 'with' || (expected === 'table' && this.#startsQuery())) this.#query();
    else {
      if (expected === 'table') this.#table();
      this.#body({ inFrom: expected === 'table', ...(call !== undefined && { call }) });
    }
    if (!tokens.skip(')')) {
      throw new SqlError('query: expected ) for this (, got none', { at, hint: 'Add the missing ).' });
    }
    this.#depth--;
  }

  /** Reads up to the end of the group. `inFrom`: whether a comma separates tables. */
  #body({ inFrom, call }: { inFrom: boolean; call?: number }): void {
    const tokens = this.#tokens;
    const name = call === undefined ? null : nameValue(tokens.all[call]!);
    const commas: number[] = [];
    let isQuery = false;
    for (
      let token = tokens.peek();
      token !== undefined && token.text !== ')' && token.text !== ';';
      token = tokens.peek()
    ) {
      if (token.text === '(') {
        this.#group('value', tokens.name(-1) === null ? undefined : tokens.index(-1));
        continue;
      }
      // After a dot or AS each word is a name.
      const word = tokens.isMark('.', -1) || tokens.word(-1) === 'as' ? '' : tokens.word();
      if (word === 'into') throw this.#error('query: expected one that only reads, got "INTO"', READS);
      if (token.text === ',') commas.push(tokens.index()!);
      const listsTables = word === 'from' && this.#isTableList({ name, isQuery });
      tokens.step++;
      if (listsTables || word === 'join' || (inFrom && token.text === ',')) this.#table();
      inFrom = listsTables || (inFrom && !AFTER_FROM.includes(word));
      isQuery ||= QUERY_STARTS.includes(word);
      this.#hasLimit ||= this.#depth === 0 && (word === 'limit' || word === 'fetch');
    }
    if (name === 'date_add' && commas.length === 1) this.#addDateAdd(call!, commas[0]!);
  }

  /** Reads the list of a WITH. Each name is known after its query, and with RECURSIVE also in it. */
  #withClause(): void {
    const tokens = this.#tokens;
    const names = this.#withNames.at(-1)!;
    const recursive = tokens.word() === 'recursive';
    tokens.skipWords('recursive');
    do {
      const name = tokens.name();
      if (name === null) throw this.#error(`WITH: expected a name, got ${tokens.here.found}`, READS);
      tokens.step++;
      if (recursive) names.add(name);
      // Skip column names, and USING KEY of a recursive query.
      while (tokens.peek() !== undefined && tokens.word() !== 'as') {
        if (tokens.isMark('(')) this.#group('value');
        else tokens.step++;
      }
      tokens.skipWords('as', 'not', 'materialized');
      if (!tokens.isMark('('))
        throw this.#error(`WITH: expected a query in parentheses, got ${tokens.here.found}`, READS);
      this.#group('query');
      names.add(name);
    } while (tokens.skip(','));
  }

  /** Reads a table, or a subquery or function instead of one. */
  #table(): void {
    const tokens = this.#tokens;
    tokens.skipWords('lateral');
    if (tokens.isMark('(')) this.#group('table');
    else this.#tableName();
  }

  /** Reads the name of a table, or a call of a function instead of one. */
  #tableName(): void {
    const tokens = this.#tokens;
    const { at, found } = tokens.here;
    const name = tokens.name();
    if (name === null) throw this.#error(`query: expected a table, got ${found}`, 'Files cannot be read.');
    const first = tokens.index()!;
    const parts = [name];
    tokens.step++;
    while (tokens.skip('.')) {
      parts.push(tokens.name() ?? '');
      tokens.step++;
    }
    if (tokens.isMark('(')) this.#rowFunction({ first, parts, at });
    else if (parts.length > 1 || !this.#withNames.some(names => names.has(name)))
      this.#addReference(first, { ...resolveName(this.#names, parts, at), byPath: false });
  }

  #rowFunction({ first, parts, at }: { first: number; parts: string[]; at: number }): void {
    const tokens = this.#tokens;
    const name = parts.join('.');
    if (ROW_FUNCTIONS.includes(name)) {
      this.#group('value', first);
      return;
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
      throw this.#error(`r2_sql: expected one path in single quotes, got ${tokens.here.found}`, hint);
    }
    tokens.step += 2;
    this.#addReference(first, { ...resolvePath(this.#names, tablePath, argument.at), byPath: true });
  }

  #addReference(first: number, table: ResolvedTable & { byPath: boolean }): void {
    const tokens = this.#tokens;
    const word = tokens.word();
    const aliased = tokens.peek()?.kind === 'quoted' || (word !== '' && !AFTER_TABLE.includes(word));
    this.#references.push({ ...table, first, last: tokens.index(-1)!, aliased });
  }

  #addDateAdd(name: number, comma: number): void {
    const next = this.#tokens.all.slice(comma + 1).find(token => token.kind !== 'space' && token.kind !== 'comment');
    if (next !== undefined && nameValue(next) === 'interval') this.#dateAdds.push({ name, comma });
  }

  /** Whether the next FROM begins a list of tables. */
  #isTableList({ name, isQuery }: { name: string | null; isQuery: boolean }): boolean {
    if (name !== null && FROM_FUNCTIONS.includes(name) && !isQuery) return false;
    return this.#tokens.word(-1) !== 'distinct' || !['is', 'not'].includes(this.#tokens.word(-2));
  }

  #error(message: string, hint: string): SqlError {
    return new SqlError(message, { at: this.#tokens.here.at, hint });
  }
}
