import { currentColumns, type Meaning } from './names.ts';
import type { Reference, Statement } from './statement.ts';

/** A query in the words of the engine that runs it. */
export interface Rewritten {
  text: string;
  /** The index in the user's text of what is at an index of `text`: where it was put in, that of what it stands for. */
  originOf(at: number): number;
}

/** Tokens that are replaced by a text. `first` and `last` are their indexes. */
interface Edit {
  first: number;
  last: number;
  text: string;
}

/** For an engine that has each table under its own name in the schema `main`: only `r2_sql('…')` is unknown there. */
export function forLocalEngine({ tokens, references }: Statement): Rewritten {
  const edits = references
    .filter(reference => reference.byPlace)
    .map(({ first, last, table }) => ({ first, last, text: `main.${table.name}` }));
  return replaced(tokens, edits);
}

/**
 * For R2 SQL, where a table of the catalog holds every row with its lineage: current rows are chosen by a window over
 * the key. A query that names no limit gets `rowsMax`, since the service takes 500 then and does not say so.
 */
export function forR2Sql(
  { kind, tokens, references, dateAdds, hasLimit, last }: Statement,
  { namespace, rowsMax }: { namespace: string; rowsMax: number },
): Rewritten {
  const edits: Edit[] = references.map(reference => ({ ...reference, text: r2Table(reference, namespace) }));
  for (const { name, comma } of dateAdds) {
    // The service has no such function; the sum means the same everywhere.
    edits.push({ first: name, last: name, text: '' }, { first: comma, last: comma, text: ' +' });
  }
  if (kind === 'query' && !hasLimit) edits.push({ first: last + 1, last, text: ` LIMIT ${rowsMax}` });
  return replaced(tokens, edits);
}

function r2Table({ table, rows, aliased, byPlace, first, last }: Reference, namespace: string): string {
  const whole = `${namespace}.${table.name}`;
  // Named as the catalog names it, or with another name behind it: it is called that already.
  const isWhole = rows === 'history' && !byPlace && first !== last;
  const alias = aliased || isWhole ? '' : ` AS ${nameOf({ table, rows })}`;
  if (rows === 'history') return whole + alias;
  const columns = currentColumns(table).map(quoted).join(', ');
  const key = table.key.map(quoted).join(', ');
  const newest = `row_number() OVER (PARTITION BY ${key} ORDER BY _lsn DESC) = 1`;
  return `(SELECT ${columns} FROM ${whole} QUALIFY ${newest} AND _op <> 'delete')${alias}`;
}

function nameOf({ table, rows }: Meaning): string {
  return rows === 'current' ? table.name : `${table.name}_history`;
}

function replaced(tokens: Statement['tokens'], edits: Edit[]): Rewritten {
  const inOrder = [...edits].sort((a, b) => a.first - b.first || a.last - b.last);
  /** Pieces of the new text with the old index each begins at; a copied one moves with the index. */
  const pieces: { at: number; origin: number; copied: boolean }[] = [];
  let text = '';
  let next = 0;
  const copyTo = (end: number) => {
    if (next < end) pieces.push({ at: text.length, origin: tokens[next]!.at, copied: true });
    for (; next < end; next++) text += tokens[next]!.text;
  };
  for (const edit of inOrder) {
    copyTo(edit.first);
    pieces.push({
      at: text.length,
      origin: next > edit.last ? endOf(tokens[edit.last]!) : tokens[edit.first]!.at,
      copied: false,
    });
    text += edit.text;
    next = edit.last + 1;
  }
  copyTo(tokens.length);
  return {
    text,
    originOf(at) {
      const piece = pieces.findLast(candidate => candidate.at <= at);
      return piece === undefined ? at : piece.origin + (piece.copied ? at - piece.at : 0);
    },
  };
}

function endOf({ at, text }: Statement['tokens'][number]): number {
  return at + text.length;
}

function quoted(name: string): string {
  return `"${name}"`;
}
