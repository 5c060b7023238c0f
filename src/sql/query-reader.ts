import { READS } from './expression-reader.ts';
import { TableReader } from './table-reader.ts';
import type { WrittenName } from './with-names.ts';

const QUERY_STARTS = ['select', 'with', 'from', 'values'];
const SET_OPERATIONS = ['union', 'intersect', 'except'];
const MODIFIERS = ['order', 'limit', 'offset', 'fetch'];
/** The parts of a SELECT that hold expressions only. */
const CLAUSES = ['where', 'having', 'qualify'];
/** Reads queries and the tables that they name. What it does not know it refuses. */
export class QueryReader extends TableReader {
  /** Whether the outermost query has a LIMIT or FETCH. */
  hasLimit = false;

  // VALUES without a list is the name of a table.
  protected startsQuery(): boolean {
    const word = this.tokens.word();
    return QUERY_STARTS.includes(word) && (word !== 'values' || this.tokens.isMark('(', 1));
  }

  query(): void {
    if (!this.tokens.skipWords('with')) {
      this.#part();
      this.rest();
      return;
    }
    this.withNames.within(() => {
      this.#withClause();
      this.#part();
      this.rest();
    });
  }

  protected goesOn(): boolean {
    const word = this.tokens.word();
    return SET_OPERATIONS.includes(word) || MODIFIERS.includes(word);
  }

  protected rest(): void {
    while (this.#setOperation() !== null) this.#part();
    this.#modifiers();
  }

  /** Reads UNION, INTERSECT or EXCEPT with the words that belong to it; null where none comes next. */
  #setOperation(): string | null {
    const tokens = this.tokens;
    const word = tokens.word();
    if (!SET_OPERATIONS.includes(word)) return null;
    tokens.step++;
    if (!tokens.skipWords('all')) tokens.skipWords('distinct');
    tokens.skipWords('by', 'name');
    return word;
  }

  #modifiers(): void {
    const tokens = this.tokens;
    while (MODIFIERS.includes(tokens.word())) {
      this.hasLimit ||= this.depth === 0 && ['limit', 'fetch'].includes(tokens.word());
      tokens.step++;
      this.expression();
    }
  }

  /** Reads one operand of set operations: a query in parentheses, VALUES, or a SELECT. */
  #part(): void {
    const tokens = this.tokens;
    if (tokens.isMark('(')) {
      this.enclosed(() => this.query());
    } else if (!this.startsQuery() || tokens.word() === 'with') {
      throw this.refusal('one that only reads', READS);
    } else if (tokens.skipWords('values')) {
      do {
        if (!tokens.isMark('(')) throw this.refusal('a row in parentheses', READS, 'VALUES');
        this.group();
      } while (tokens.skip(','));
    } else {
      this.#select();
    }
  }

  /** Reads a SELECT, whose FROM may come first, up to what follows its clauses. */
  #select(): void {
    const tokens = this.tokens;
    const seen = new Set<string>();
    for (let word = tokens.word(); this.#startsClause(word); word = tokens.word()) {
      if (seen.has(word)) throw this.refusal('each clause once', READS);
      seen.add(word);
      tokens.step++;
      if (word === 'from') this.tables();
      else if (word === 'window') this.#windows();
      else if (word === 'using') this.sample();
      else this.expression({ aliases: word === 'select' });
    }
  }

  #startsClause(word: string): boolean {
    const next = this.tokens.word(1);
    if (word === 'group') return next === 'by';
    if (word === 'using') return next === 'sample';
    return word === 'select' || word === 'from' || word === 'window' || CLAUSES.includes(word);
  }

  #windows(): void {
    do {
      this.newName('WINDOW');
      if (!this.tokens.skipWords('as') || !this.tokens.isMark('(')) throw this.refusal('AS (…)', READS, 'WINDOW');
      this.group();
    } while (this.tokens.skip(','));
  }

  /** Reads the list of a WITH. Each name is known after its query, and a recursive one where its UNION allows it. */
  #withClause(): void {
    const tokens = this.tokens;
    const recursive = tokens.skipWords('recursive');
    do {
      const name = this.newName('WITH');
      if (tokens.isMark('(')) this.columnNames();
      if (recursive && tokens.skipWords('using', 'key')) this.columnNames();
      if (!tokens.skipWords('as')) throw this.refusal('AS', READS, 'WITH');
      if (!tokens.skipWords('not', 'materialized')) tokens.skipWords('materialized');
      if (!tokens.isMark('(')) throw this.refusal('a query in parentheses', READS, 'WITH');
      this.enclosed(() => {
        if (recursive && tokens.word() !== 'with') this.#recursiveQuery(name);
        else this.query();
      });
      this.withNames.define(name);
    } while (tokens.skip(','));
  }

  /** Reads a query that may name itself: in the second part of its UNION, when it has no third one. */
  #recursiveQuery(name: WrittenName): void {
    this.#part();
    const operation = this.#setOperation();
    if (operation === 'union') {
      this.withNames.within(() => {
        this.withNames.define(name);
        this.#part();
        if (this.withNames.isUsed && SET_OPERATIONS.includes(this.tokens.word())) {
          const hint = 'Engines differ in which part is recursive: put the others in parentheses.';
          throw this.refusal(`one UNION in the query of ${JSON.stringify(name.folded)}`, hint, 'WITH RECURSIVE');
        }
      });
    } else if (operation !== null) {
      this.#part();
    }
    this.rest();
  }
}
