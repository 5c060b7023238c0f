import type { DateAdd } from './expression-reader.ts';
import { READS } from './expression-reader.ts';
import type { Names } from './names.ts';
import { QueryReader } from './query-reader.ts';
import { SqlError } from './sql-error.ts';
import type { Reference } from './table-reader.ts';
import { TokenReader } from './token-reader.ts';
import { checkTokens } from './token-rules.ts';
import type { Token } from './tokens.ts';

export type { DateAdd, Reference };

/** One statement that only reads. `explanation`: EXPLAIN. `description`: DESCRIBE, SHOW and SUMMARIZE. */
export interface Statement {
  kind: 'query' | 'explanation' | 'description';
  tokens: Token[];
  references: Reference[];
  dateAdds: DateAdd[];
  /** Whether the outermost query has a LIMIT or FETCH. */
  hasLimit: boolean;
  /** Index of the first token behind EXPLAIN and its options, and of the last one before the semicolon. */
  first: number;
  last: number;
}

/**
 * Parses a text as one statement that only reads, and finds the tables that it names. Throws `SqlError` for anything
 * that it does not know: several statements, a statement that writes, an unknown table, a file, a function that could
 * read one, a character that engines read differently. Of expressions it checks only that they name no table: the
 * engine that runs the query checks the rest.
 */
export function readStatement(text: string, names: Names): Statement {
  const tokens = new TokenReader(text);
  checkTokens(tokens.all);
  while (tokens.skip(';'));
  if (tokens.peek() === undefined)
    throw new SqlError('query: expected a statement, got none', { at: null, hint: READS });
  const reader = new QueryReader(tokens, names);
  const { kind, first } = read(reader, tokens);
  const last = tokens.index(-1)!;
  while (tokens.skip(';'));
  const { at, found } = tokens.here;
  if (tokens.isMark(')')) {
    throw new SqlError('query: expected no ) without its (, got one', { at, hint: 'Remove it.' });
  }
  if (tokens.peek() !== undefined) {
    throw new SqlError(`query: expected one statement, got another at ${found}`, { at, hint: 'Send one at a time.' });
  }
  const { references, dateAdds, hasLimit } = reader;
  return { kind, tokens: tokens.all, references, dateAdds, hasLimit, first, last };
}

function read(reader: QueryReader, tokens: TokenReader): Pick<Statement, 'kind' | 'first'> {
  const isExplained = tokens.skipWords('explain');
  if (isExplained) {
    tokens.skipWords('analyze');
    tokens.skipWords('format', 'json');
  }
  const first = tokens.index() ?? tokens.all.length;
  if (!isExplained && reader.startsDescription()) {
    reader.description();
    return { kind: 'description', first };
  }
  reader.query();
  return { kind: isExplained ? 'explanation' : 'query', first };
}
