import { currentColumns, type ResolvedTable } from './names.ts';
import type { Reference, Statement } from './statement.ts';

/** A query in the dialect of the engine that runs it. */
export interface Rewritten {
  text: string;
  /** The index in the user's text for an index in `text`. For an inserted text it is the index of the replaced one. */
  originOf(at: number): number;
}

/** Replaces the tokens from index `first` to `last` by a text. With `last` before `first` it only inserts the text. */
interface Edit {
  first: number;
  last: number;
  text: string;
}

/** For an engine that has each table under its name in the schema `main`. Only `r2_sql('…')` is unknown there. */
export function forLocalEngine({ tokens, references }: Statement): Rewritten {
  const edits = references
    .filter(reference => reference.byPath)
    .map(({ first, last, table }) => ({ first, last, text: `main.${table.name}` }));
  return replaced(tokens, edits);
}

/**
 * For R2 SQL, where a table of the catalog has every row with lineage: a window over the key selects the current rows.
 * A query without a limit gets the limit `rowsMax`, because the service limits it to 500 rows and does not say so.
 */
export function forR2Sql(
  { kind, tokens, references, dateAdds, hasLimit, last }: Statement,
  { namespace, rowsMax }: { namespace: string; rowsMax: number },
): Rewritten {
  const edits: Edit[] = references.map(reference => ({ ...reference, text: r2Table(reference, namespace) }));
  for (const { name, comma } of dateAdds) {
    // The service has no DATE_ADD; a sum means the same in every engine.
    edits.push({ first: name, last: name, text: '' }, { first: comma, last: comma, text: ' +' });
  }
  if (kind === 'query' && !hasLimit) edits.push({ first: last + 1, last, text: ` LIMIT ${rowsMax}` });
  return replaced(tokens, edits);
}

function r2Table({ table, rows, aliased, byPath, first, last }: Reference, namespace: string): string {
  const qualified = `${namespace}.${table.name}`;
  // An alias keeps the name that other parts of the query use. `<namespace>.<table>` has that name in the catalog too.
  const isQualified = rows === 'history' && !byPath && first !== last;
  const alias = aliased || isQualified ? '' : ` AS ${nameOf({ table, rows })}`;
  if (rows === 'history') return qualified + alias;
  const columns = currentColumns(table).map(quoted).join(', ');
  const key = table.key.map(quoted).join(', ');
  const newest = `row_number() OVER (PARTITION BY ${key} ORDER BY _lsn DESC) = 1`;
  return `(SELECT ${columns} FROM ${qualified} QUALIFY ${newest} AND _op <> 'delete')${alias}`;
}

/** The name under which the local engine has a table. */
export function nameOf({ table, rows }: ResolvedTable): string {
  return rows === 'current' ? table.name : `${table.name}_history`;
}

function replaced(tokens: Statement['tokens'], edits: Edit[]): Rewritten {
  const inOrder = [...edits].sort((a, b) => a.first - b.first || a.last - b.last);
  /** Pieces of the new text: where each begins in it, and where in the old one. */
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
    next = edit.last + 1;
    // A quote or parenthesis that separated two words may be gone: `r2_sql('…')x` must not become one name.
    const before = joinsWords(text, edit.text) ? ' ' : '';
    const after = joinsWords(edit.text, tokens[next]?.text ?? '') ? ' ' : '';
    text += before + edit.text + after;
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

function joinsWords(left: string, right: string): boolean {
  return /\w$/.test(left) && /^\w/.test(right);
}

function endOf({ at, text }: Statement['tokens'][number]): number {
  return at + text.length;
}

function quoted(name: string): string {
  return `"${name}"`;
}
