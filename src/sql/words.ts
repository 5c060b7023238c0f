// The words of SQL that decide where a query names tables.

/**
 * Keywords that no engine takes as a bare name. The reader refuses them as names everywhere, because engines differ in
 * whether `AS from` or `x.table` is a name: in double quotes each of them is one.
 */
const RESERVED = new Set(
  (
    'all analyse analyze and any array as asc asymmetric both case cast check collate column constraint create default ' +
    'deferrable desc describe distinct do else end except false fetch for foreign from group having in initially ' +
    'intersect into lambda lateral leading limit not null offset on only or order pivot pivot_longer pivot_wider placing ' +
    'primary qualify references returning select show some summarize symmetric table then to trailing true union unique ' +
    'unpivot using variadic when where window with is join tablesample apply straight_join match_recognize'
  ).split(' '),
);

/** Words that end an expression, because a clause, a join or another operand of a set operation begins with them. */
const EXPRESSION_ENDS = new Set(
  'from where group having qualify window order limit offset fetch union intersect except join using'.split(' '),
);

/** Words that name tables or begin a statement where the reader does not expect one. No expression has them. */
const NEVER_IN_EXPRESSIONS = new Set(
  (
    'select into table lateral with pivot unpivot pivot_wider pivot_longer describe summarize show tablesample apply ' +
    'straight_join match_recognize'
  ).split(' '),
);

/** The words between two tables of a join, before JOIN. */
const JOIN_TYPES = new Set('inner left right full outer cross natural asof positional semi anti'.split(' '));

/** What a text of SQL needs to know of a word, given in lower case. */
export const isReserved = (word: string): boolean => RESERVED.has(word);
export const endsExpression = (word: string): boolean => EXPRESSION_ENDS.has(word);
export const isNeverInExpressions = (word: string): boolean => NEVER_IN_EXPRESSIONS.has(word);
export const isJoinType = (word: string): boolean => JOIN_TYPES.has(word);
