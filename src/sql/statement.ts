import { type Meaning, meaningOfName, meaningOfPlace, type Names } from './names.ts';
import { SqlError } from './sql-error.ts';
import { TokenPath } from './token-path.ts';
import { nameValue, stringValue, type Token } from './tokens.ts';

/** A place where a query names a table of the lake. `first` and `last` are indexes of tokens. */
export interface Reference extends Meaning {
  first: number;
  last: number;
  /** Written as `r2_sql('…')`. */
  byPlace: boolean;
  /** The query gives it a name of its own. */
  aliased: boolean;
}

/** `DATE_ADD(…, INTERVAL …)`, by indexes of tokens. */
export interface DateAdd {
  name: number;
  comma: number;
}

/** One statement that only reads. `description`: DESCRIBE, SHOW and SUMMARIZE. */
export interface Statement {
  kind: 'query' | 'explanation' | 'description';
  tokens: Token[];
  references: Reference[];
  dateAdds: DateAdd[];
  /** Whether the query itself says how many rows it wants at most. */
  hasLimit: boolean;
  /** Index of the last token that is not the end mark, a space or a comment. */
  last: number;
}

const QUERY_STARTS = ['select', 'with', 'from', 'values'];
const DESCRIPTIONS = ['describe', 'desc', 'summarize', 'show'];
const SHOWN = ['tables', 'schemas', 'databases', 'namespaces', 'all'];
/** Behind these, commas separate no tables any more. All are reserved: a word that could be a name would hide a table. */
const AFTER_FROM = 'select where group having qualify window order limit offset fetch union intersect except'.split(
  ' ',
);
const JOINS = 'join inner left right full cross natural on using asof positional semi anti'.split(' ');
/** What may follow a table without being its other name. */
const AFTER_TABLE = [...AFTER_FROM, ...JOINS, 'tablesample', 'pivot', 'unpivot', 'for'];
/** Functions in whose parentheses FROM is a word of their own. */
const FROM_FUNCTIONS = ['extract', 'substring', 'trim', 'overlay'];
/** What makes rows of its arguments alone; any other function in the place of a table could read something. */
const ROW_FUNCTIONS = ['unnest', 'generate_series', 'range', 'json_each', 'json_tree'];
const DEPTH_MAX = 200;

const READS = 'Write a query that reads: SELECT …, or WITH … SELECT …';

/**
 * Reads a text as one statement that only reads, and finds the tables it names. Throws `SqlError` with the place for
 * anything else: several statements, one that writes, an unknown table, a file, or a function that could read one.
 * What else may be wrong with the query is for the engine to say.
 */
export function readStatement(text: string, names: Names): Statement {
  return new StatementReader(text, names).read();
}

class StatementReader {
  readonly #names: Names;
  readonly #path: TokenPath;
  readonly #references: Reference[] = [];
  readonly #dateAdds: DateAdd[] = [];
  /** Names that WITH gave, those of the innermost parentheses last. */
  readonly #given: Set<string>[] = [];
  #hasLimit = false;
  #depth = 0;

  constructor(text: string, names: Names) {
    this.#names = names;
    this.#path = new TokenPath(text);
  }

  read(): Statement {
    const path = this.#path;
    while (path.skip(';'));
    if (path.peek() === undefined)
      throw new SqlError('query: expected a statement, got none', { at: null, hint: READS });
    const kind = this.#statement();
    const last = path.index(-1)!;
    while (path.skip(';'));
    if (path.isMark(')')) throw this.#wrong('query: expected no ) without its (, got one', 'Take it out.');
    if (path.peek() !== undefined) {
      throw this.#wrong(`query: expected one statement, got another at ${path.here.found}`, 'Send one at a time.');
    }
    return {
      kind,
      tokens: path.tokens,
      references: this.#references,
      dateAdds: this.#dateAdds,
      hasLimit: this.#hasLimit,
      last,
    };
  }

  #statement(): Statement['kind'] {
    const word = this.#path.word();
    if (DESCRIPTIONS.includes(word)) {
      this.#description();
      return 'description';
    }
    if (word !== 'explain') {
      this.#query();
      return 'query';
    }
    this.#path.skipWords('explain', 'analyze', 'format', 'json');
    this.#query();
    return 'explanation';
  }

  #description(): void {
    const path = this.#path;
    const shows = path.word() === 'show';
    path.step++;
    if (this.#startsQuery() || path.isMark('(')) this.#query();
    else if (!shows || !SHOWN.includes(path.word())) this.#table();
    else while (path.word() !== '') path.step++;
  }

  /** A query from its first word to a closing parenthesis, an end mark or the end. */
  #query(): void {
    const path = this.#path;
    if (path.isMark('(')) this.#group('query');
    else if (!this.#startsQuery()) {
      throw this.#wrong(`query: expected one that only reads, got ${path.here.found}`, READS);
    }
    if (path.word() === 'with') {
      path.step++;
      this.#given.push(new Set());
      this.#withs();
      this.#query();
      this.#given.pop();
      return;
    }
    this.#body({ inFrom: false });
  }

  /** VALUES is the name of a table where no list follows. */
  #startsQuery(): boolean {
    const word = this.#path.word();
    return QUERY_STARTS.includes(word) && (word !== 'values' || this.#path.isMark('(', 1));
  }

  /** Everything between parentheses: a query, what stands for a table, or values; `call` is the function they are of. */
  #group(place: 'query' | 'table' | 'value', call?: number): void {
    const path = this.#path;
    const { at } = path.here;
    if (++this.#depth > DEPTH_MAX) {
      const message = `query: expected at most ${DEPTH_MAX} parentheses in each other, got more`;
      throw this.#wrong(message, 'Give inner queries names: WITH … AS (…).');
    }
    path.step++;
    const word = path.word();
    if (place === 'table' && DESCRIPTIONS.includes(word)) this.#description();
    else if (place === 'query' || word === 'with' || (place === 'table' && this.#startsQuery())) this.#query();
    else {
      if (place === 'table') this.#table();
      this.#body({ inFrom: place === 'table', ...(call !== undefined && { call }) });
    }
    if (!path.skip(')')) {
      throw new SqlError('query: expected ) for this (, got none', { at, hint: 'Add the missing ).' });
    }
    this.#depth--;
  }

  /** Walks to the end of the group. `inFrom`: whether a comma comes before a table. */
  #body({ inFrom, call }: { inFrom: boolean; call?: number }): void {
    const path = this.#path;
    const name = call === undefined ? null : nameValue(path.tokens[call]!);
    const commas: number[] = [];
    let isQuery = false;
    for (
      let token = path.peek();
      token !== undefined && token.text !== ')' && token.text !== ';';
      token = path.peek()
    ) {
      if (token.text === '(') {
        this.#group('value', path.name(-1) === null ? undefined : path.index(-1));
        continue;
      }
      // Behind a dot or AS every word is a name.
      const word = path.isMark('.', -1) || path.word(-1) === 'as' ? '' : path.word();
      if (word === 'into') throw this.#wrong('query: expected one that only reads, got "INTO"', READS);
      if (token.text === ',') commas.push(path.index()!);
      const lists = word === 'from' && this.#isClause({ name, isQuery });
      path.step++;
      if (lists || word === 'join' || (inFrom && token.text === ',')) this.#table();
      inFrom = lists || (inFrom && !AFTER_FROM.includes(word));
      isQuery ||= QUERY_STARTS.includes(word);
      this.#hasLimit ||= this.#depth === 0 && (word === 'limit' || word === 'fetch');
    }
    if (name === 'date_add' && commas.length === 1) this.#noteDateAdd(call!, commas[0]!);
  }

  /** The names that WITH gives; each is known behind its query, and inside it only when it says RECURSIVE. */
  #withs(): void {
    const path = this.#path;
    const given = this.#given.at(-1)!;
    const recursive = path.word() === 'recursive';
    path.skipWords('recursive');
    do {
      const name = path.name();
      if (name === null) throw this.#wrong(`WITH: expected a name, got ${path.here.found}`, READS);
      path.step++;
      if (recursive) given.add(name);
      // Column names, and how rows replace each other.
      while (path.peek() !== undefined && path.word() !== 'as') {
        if (path.isMark('(')) this.#group('value');
        else path.step++;
      }
      path.skipWords('as', 'not', 'materialized');
      if (!path.isMark('(')) throw this.#wrong(`WITH: expected a query in parentheses, got ${path.here.found}`, READS);
      this.#group('query');
      given.add(name);
    } while (path.skip(','));
  }

  /** What stands in the place of a table. */
  #table(): void {
    const path = this.#path;
    path.skipWords('lateral');
    if (path.isMark('(')) this.#group('table');
    else this.#named();
  }

  /** A table by its name, or a function in its place. */
  #named(): void {
    const path = this.#path;
    const { at, found } = path.here;
    const name = path.name();
    if (name === null)
      throw this.#wrong(`query: expected a table, got ${found}`, 'Files cannot be read by their name.');
    const first = path.index()!;
    const parts = [name];
    path.step++;
    while (path.skip('.')) {
      parts.push(path.name() ?? '');
      path.step++;
    }
    if (path.isMark('(')) this.#rowFunction({ first, parts, at });
    else if (parts.length > 1 || !this.#given.some(names => names.has(name)))
      this.#refer(first, { ...meaningOfName(this.#names, parts, at), byPlace: false });
  }

  #rowFunction({ first, parts, at }: { first: number; parts: string[]; at: number }): void {
    const path = this.#path;
    const name = parts.join('.');
    if (ROW_FUNCTIONS.includes(name)) {
      this.#group('value', first);
      return;
    }
    if (name !== 'r2_sql') {
      const hint = `In the place of a table only r2_sql, ${ROW_FUNCTIONS.join(', ')} can be called: nothing but the lake is read.`;
      throw new SqlError(`query: expected a table of the lake, got the function ${JSON.stringify(name)}`, { at, hint });
    }
    path.step++;
    const place = path.peek();
    const value = place === undefined ? null : stringValue(place);
    if (place === undefined || value === null || !path.isMark(')', 1)) {
      const hint = `Write r2_sql('${this.#names.bucket}/<prefix>/partitions.parquet').`;
      throw this.#wrong(`r2_sql: expected one place in single quotes, got ${path.here.found}`, hint);
    }
    path.step += 2;
    this.#refer(first, { ...meaningOfPlace(this.#names, value, place.at), byPlace: true });
  }

  #refer(first: number, meaning: Meaning & { byPlace: boolean }): void {
    const path = this.#path;
    const word = path.word();
    const aliased = path.peek()?.kind === 'quoted' || (word !== '' && !AFTER_TABLE.includes(word));
    this.#references.push({ ...meaning, first, last: path.index(-1)!, aliased });
  }

  #noteDateAdd(name: number, comma: number): void {
    const next = this.#path.tokens.slice(comma + 1).find(token => token.kind !== 'space' && token.kind !== 'comment');
    if (next !== undefined && nameValue(next) === 'interval') this.#dateAdds.push({ name, comma });
  }

  /** Whether the FROM that comes begins a list of tables. */
  #isClause({ name, isQuery }: { name: string | null; isQuery: boolean }): boolean {
    if (name !== null && FROM_FUNCTIONS.includes(name) && !isQuery) return false;
    return this.#path.word(-1) !== 'distinct' || !['is', 'not'].includes(this.#path.word(-2));
  }

  #wrong(message: string, hint: string): SqlError {
    return new SqlError(message, { at: this.#path.here.at, hint });
  }
}
