import { TABLES } from '../../schemas/index.ts';
import type { Table } from '../../schemas/table.ts';
import { r2SqlPath } from '../../src/sql/names.ts';
import { NAMES } from './names.ts';
import { pick } from './random.ts';

/** Parentheses in parentheses that a generated query has at most. */
const DEPTH_MAX = 3;

/** A table of a generated query: the name of its columns' prefix, and its columns of text and of numbers. */
interface Source {
  name: string;
  texts: string[];
  numbers: string[];
}

/** Writes random statements that only read the lake, with whatever DuckDB knows for that. */
export class StatementWriter {
  readonly #random: () => number;
  #depth = 0;
  #count = 0;
  /** The names that WITHs around the current place define, with their columns. */
  #with: Source[] = [];

  constructor(random: () => number) {
    this.#random = random;
  }

  statement(): string {
    this.#depth = 0;
    this.#with = [];
    const query = this.query();
    return this.#one<string>([
      () => query,
      () => `${query};`,
      () => `-- a comment: FROM secret\n${query} /* FROM 'x' */`,
      () => `EXPLAIN ${query}`,
      () => `DESCRIBE ${query}`,
      () => `SUMMARIZE ${this.#lakeTable().text}`,
      () => query.replaceAll(' ', '\n'),
    ]);
  }

  query(): string {
    const before = this.#with;
    const list = this.#chance(0.25) ? this.#withClause() : '';
    const text = list + this.#body() + this.#modifiers();
    this.#with = before;
    return text;
  }

  #withClause(): string {
    const isRecursive = this.#chance(0.3);
    const items = this.#some(1, 3, () => {
      const name = this.#name();
      if (isRecursive && this.#chance(0.6)) {
        const body = `SELECT 1 AS n UNION ${this.#maybe('ALL')} SELECT n + 1 FROM ${name} WHERE n < ${this.#number()}`;
        this.#with = [...this.#with, { name, texts: [], numbers: ['n'] }];
        return `${name}(n) AS (${body})`;
      }
      const text = this.#inside(() => this.#columnsQuery());
      this.#with = [...this.#with, { name, texts: ['t'], numbers: ['n'] }];
      return `${name}${this.#maybe('(t, n)')} AS ${this.#maybe('NOT')} MATERIALIZED (${text})`.replace(
        / AS {2}MATERIALIZED/,
        pick(this.#random, [' AS', ' AS MATERIALIZED']),
      );
    });
    return `WITH ${isRecursive ? 'RECURSIVE ' : ''}${items.join(', ')} `;
  }

  /** A query of a text `t` and a number `n`. */
  #columnsQuery(): string {
    const { text, source } = this.#from();
    return `SELECT ${this.#text(source)} AS t, ${this.#numeric(source)} AS n FROM ${text}${this.#where(source)}`;
  }

  #body(): string {
    if (this.#chance(0.3) && this.#depth < DEPTH_MAX) {
      const operation = pick(this.#random, ['UNION', 'UNION ALL', 'UNION ALL BY NAME', 'EXCEPT', 'INTERSECT']);
      const part = () => this.#inside(() => this.#columnsQuery());
      const parts = this.#some(2, 3, () => (this.#chance(0.3) ? `(${part()})` : part()));
      return parts.join(` ${operation} `);
    }
    if (this.#chance(0.05)) return `VALUES (${this.#number()}, 'FROM x'), (${this.#number()}, NULL)`;
    return this.#select();
  }

  #select(): string {
    const { text, source } = this.#from();
    const columns = this.#one<string>([
      () => this.#some(1, 4, () => this.#expression(source) + this.#alias()).join(', '),
      () => `DISTINCT ${this.#text(source)}, *`,
      () => `DISTINCT ON (${this.#text(source)}) ${this.#numeric(source)}`,
      () => `${source.name}.*`,
      () => '* EXCLUDE (name)',
      () => `* REPLACE (${this.#numeric(source)} AS n)`,
      () => "COLUMNS(c -> c LIKE 'n%')",
    ]);
    const where = this.#where(source);
    const tail = this.#one<string>([
      () => '',
      () => '',
      () => ` GROUP BY ${this.#text(source)} HAVING count(*) > ${this.#number()}`,
      () => ' GROUP BY ALL',
      () => ` GROUP BY ROLLUP (${this.#text(source)}, ${this.#text(source)})`,
      () => ` GROUP BY GROUPING SETS ((${this.#text(source)}), ())`,
      () => ` WINDOW w AS (PARTITION BY ${this.#text(source)} ORDER BY ${this.#numeric(source)})`,
      () =>
        ` QUALIFY row_number() OVER (PARTITION BY ${this.#text(source)} ORDER BY ${this.#numeric(source)} DESC) = 1`,
      () => ` USING SAMPLE ${this.#number()} PERCENT (bernoulli)`,
    ]);
    if (this.#chance(0.1)) return `FROM ${text}${where}`;
    return this.#chance(0.1)
      ? `FROM ${text} SELECT ${columns}${where}${tail}`
      : `SELECT ${columns} FROM ${text}${where}${tail}`;
  }

  #modifiers(): string {
    const order = this.#chance(0.3)
      ? pick(this.#random, [
          ' ORDER BY 1',
          ' ORDER BY 1 DESC NULLS LAST',
          ' ORDER BY ALL',
          ' ORDER BY 1 ASC, 1 COLLATE NOCASE',
        ])
      : '';
    const limit = this.#chance(0.3)
      ? pick(this.#random, [
          ' LIMIT 10',
          ' LIMIT 10 OFFSET 3',
          ' FETCH FIRST 3 ROWS ONLY',
          ' LIMIT 10%',
          ' OFFSET 2',
          ' LIMIT (SELECT 3)',
        ])
      : '';
    return order + limit;
  }

  /** Tables with their joins, and one of them, whose columns the query uses. */
  #from(): { text: string; source: Source } {
    const { text, source } = this.#table();
    const joins = this.#some(0, 2, () => this.#join(source));
    return { text: [text, ...joins].join(''), source };
  }

  #join(left: Source): string {
    const { text, source } = this.#table();
    const on = `${this.#text(left)} = ${this.#text(source)}`;
    return this.#one<string>([
      () => `, ${text}`,
      () => ` CROSS JOIN ${text}`,
      () => ` POSITIONAL JOIN ${text}`,
      () => ` NATURAL JOIN ${text}`,
      () =>
        ` ${pick(this.#random, ['', 'INNER', 'LEFT', 'RIGHT OUTER', 'FULL', 'SEMI', 'ANTI'])} JOIN ${text} ON ${on}`,
      () => ` JOIN ${text} ON ${on} AND ${this.#condition(source)}`,
      () => ` LEFT JOIN ${text} USING (name)`,
      () => ` ASOF JOIN ${text} ON ${this.#numeric(left)} >= ${this.#numeric(source)}`,
      () => `, LATERAL (SELECT ${this.#expression(left)} AS n) ${this.#name()}`,
      () => `, unnest(string_split(${this.#text(left)}, ',')) ${this.#name()}(x)`,
      () => `, json_each(${this.#text(left)}) AS ${this.#name()}`,
    ]);
  }

  #table(): { text: string; source: Source } {
    const alias = this.#name();
    const aliased = { name: alias, texts: ['t'], numbers: ['n'] };
    if (this.#with.length > 0 && this.#chance(0.4)) {
      const source = pick(this.#random, this.#with);
      return { text: `${source.name} AS ${alias}`, source: { ...source, name: alias } };
    }
    if (this.#depth < DEPTH_MAX && this.#chance(0.25)) {
      const inner = this.#inside(() => this.#columnsQuery());
      const text = this.#one<string>([
        () => `(${inner})`,
        () => `((${inner}) UNION ALL ${inner} ORDER BY 1)`,
        () => `(VALUES ('a', 1), ('b', 2))`,
        () => `(WITH ${this.#name()} AS (${inner}) ${inner})`,
      ]);
      return { text: `${text} ${this.#maybe('AS')} ${alias}(t, n)`, source: aliased };
    }
    if (this.#chance(0.1)) {
      const call = pick(this.#random, ['range(3)', 'generate_series(1, 3)', 'unnest([1, 2, 3])', 'range(0, 10, 2)']);
      return { text: `${call} ${alias}(n)`, source: { name: alias, texts: [], numbers: ['n'] } };
    }
    const { text, source } = this.#lakeTable();
    const [sample, asAlias] = [this.#chance(0.05) ? ' TABLESAMPLE reservoir(10 ROWS)' : '', this.#chance(0.7)];
    return asAlias
      ? { text: `${text} ${this.#maybe('AS')} ${alias}${sample}`, source: { ...source, name: alias } }
      : { text: text + sample, source };
  }

  #lakeTable(): { text: string; source: Source } {
    const table = pick(this.#random, TABLES);
    const history = `${table.name}_history`;
    const [text, name] = pick(this.#random, [
      [table.name, table.name],
      [table.name.toUpperCase(), table.name],
      [`"${table.name}"`, table.name],
      [history, history],
      [`${NAMES.namespace}.${table.name}`, table.name],
      [`r2_sql('${r2SqlPath(NAMES.bucket, table)}')`, table.name],
    ] as const);
    return { text, source: sourceOf(name, table) };
  }

  #where(source: Source): string {
    return this.#chance(0.5)
      ? ` WHERE ${this.#some(1, 2, () => this.#condition(source)).join(pick(this.#random, [' AND ', ' OR ']))}`
      : '';
  }

  #condition(source: Source): string {
    const subquery = () => this.#subquery(() => this.#columnOf());
    return this.#one<string>([
      () => `${this.#text(source)} LIKE '%@x.com'`,
      () => `${this.#text(source)} IN ('a', 'FROM b')`,
      () => `${this.#text(source)} IN (${subquery()})`,
      () => `${this.#numeric(source)} = ANY (SELECT 1)`,
      () => `NOT EXISTS (${subquery()})`,
      () => `EXISTS (FROM ${this.#lakeTable().text})`,
      () => `${this.#numeric(source)} BETWEEN ${this.#number()} AND ${this.#number()}`,
      () => `${this.#text(source)} IS NOT DISTINCT FROM ${this.#text(source)}`,
      () => `${this.#text(source)} IS NOT NULL`,
      () => `(${this.#numeric(source)}, ${this.#text(source)}) > (${this.#number()}, 'a')`,
      () => `regexp_matches(${this.#text(source)}, '^a')`,
      () => `regexp_like(${this.#text(source)}, '^a')`,
      () => `${this.#text(source)} SIMILAR TO 'a.*' ESCAPE '\\'`.replace(" ESCAPE '\\'", ''),
      () => `${this.#text(source)} NOT ILIKE 'a\\_%' ESCAPE '\\'`,
      () => `CAST(${this.#text(source)} AS DATE) BETWEEN CURRENT_DATE AND DATE_ADD(CURRENT_DATE, INTERVAL 30 DAY)`,
    ]);
  }

  #columnOf(): string {
    const { text, source } = this.#from();
    return `SELECT ${this.#text(source)} FROM ${text}`;
  }

  /** A query in a deeper level; a plain one where the level is the last. */
  #subquery(write: () => string): string {
    return this.#depth < DEPTH_MAX ? this.#inside(write) : 'SELECT NULL';
  }

  #expression(source: Source): string {
    return this.#chance(0.5) ? this.#text(source) : this.#numeric(source);
  }

  #text(source: Source): string {
    const column =
      source.texts.length > 0
        ? this.#column(source, source.texts)
        : `CAST(${this.#column(source, source.numbers)} AS VARCHAR)`;
    if (this.#chance(0.6)) return column;
    return this.#one<string>([
      () => `lower(${column})`,
      () => `upper(trim(both ' ' FROM ${column}))`,
      () => `substring(${column} FROM 2 FOR 3)`,
      () => `coalesce(${column}, 'none; FROM x')`,
      () => `CASE WHEN ${column} = 'a' THEN 'b' ELSE ${column} END`,
      () => `${column} || '''s'`,
      () => `json_extract_string(${column}, '$.name')`,
      () => `json_get_str(${column}, 'name')`,
      () => `${column}::VARCHAR`,
      () => `TRY_CAST(${column} AS VARCHAR)`,
      () => `string_split(${column}, ',')[1]`,
      () => `list_transform(string_split(${column}, ','), x -> upper(x))[1]`,
      () => `[y FOR y IN string_split(${column}, ',') IF y <> 'a'][1]`,
      () => `regexp_replace(${column}, 'a(.)', '\\1')`,
      () => `{'a': ${column}, 'b': 1}.a`,
      () => `concat_ws('-', ${column}, $$FROM "x"$$)`,
      () => `left(${column}, 2)`,
      () => `array_to_string([${column}, 'JOIN x'], ' ')`,
      () => `strftime(TRY_CAST(${column} AS TIMESTAMP WITH TIME ZONE), '%Y')`,
    ]);
  }

  #numeric(source: Source): string {
    const column =
      source.numbers.length > 0
        ? this.#column(source, source.numbers)
        : `length(${this.#column(source, source.texts)})`;
    if (this.#chance(0.5)) return column;
    return this.#one<string>([
      () => `${column} + ${this.#number()}`,
      () => `-${column} * 2 % 3`,
      () => `(${column} - 1) / 2.5e0`,
      () => `round(${column}, 2)`,
      () => `extract(year FROM DATE '2026-01-01')`,
      () => `date_diff('day', DATE '2026-01-01', CURRENT_DATE)`,
      () => `(SELECT count(*) FROM ${this.#lakeTable().text})`,
      () => `(SELECT max(n) FROM (${this.#subquery(() => this.#columnsQuery())}) q(t, n))`,
      () => `row_number() OVER (PARTITION BY ${column} ORDER BY ${column} DESC)`,
      () => `sum(${column}) OVER (ORDER BY ${column} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)`,
      () => `lag(${column}, 1) OVER (ORDER BY ${column})`,
      () => `CASE ${column} WHEN 1 THEN 2 ELSE 3 END`,
      () => `greatest(${column}, 1_000)`,
      () => 'unnest([1, 2])',
      () => `approx_count_distinct(${column})`,
      () => `approx_distinct(${column})`,
      () => `first_value(${column}) OVER w`,
      () => `count(DISTINCT ${column}) FILTER (WHERE ${column} > 1)`,
      () => `list_sum([x * 2 FOR x IN [1, 2, 3]])`,
    ]);
  }

  #column(source: Source, columns: readonly string[]): string {
    const column = pick(this.#random, columns);
    return pick(this.#random, [column, `"${column}"`, `${source.name}.${column}`]);
  }

  #alias(): string {
    return pick(this.#random, ['', '', ' AS a', ' b', ' AS "from"', ' AS values']);
  }

  #name(): string {
    return `q${this.#count++}`;
  }

  #number(): number {
    return Math.floor(this.#random() * 100);
  }

  #maybe(text: string): string {
    return this.#chance(0.5) ? text : '';
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #some<T>(min: number, max: number, write: () => T): T[] {
    return Array.from({ length: min + Math.floor(this.#random() * (max - min + 1)) }, write);
  }

  #one<T>(writers: (() => T)[]): T {
    return pick(this.#random, writers)();
  }

  #inside<T>(write: () => T): T {
    this.#depth++;
    const result = write();
    this.#depth--;
    return result;
  }
}

function sourceOf(name: string, { columns }: Table): Source {
  const own = columns.filter(column => !column.name.startsWith('_'));
  const named = (types: string[]) => own.filter(column => types.includes(column.type)).map(column => column.name);
  return { name, texts: named(['utf8']), numbers: named(['int32', 'int64', 'float']) };
}
