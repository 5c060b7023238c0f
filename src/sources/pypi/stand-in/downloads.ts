import { createHash } from 'node:crypto';
import type { Answer } from '../../stand-in/faults.ts';
import type { Downloads, RecordedDownloads } from './recordings.ts';

/** The days of `Downloads.month`. */
const MONTH_DAYS = 30;
const DAY_MS = 86_400_000;

/** Downloads of the fixture's projects, and computed ones of made-up projects. */
export interface DownloadsTable {
  /** The newest day of the table. */
  day: string;
  /** Null where the table has no row of the project. */
  countsOf(key: string): Downloads | null;
}

export function makeDownloads({ day, projects }: RecordedDownloads, madeUp: Set<string>): DownloadsTable {
  return {
    day,
    countsOf(key) {
      if (Object.hasOwn(projects, key)) return projects[key]!;
      return madeUp.has(key) ? madeUpDownloads(key) : null;
    },
  };
}

/** Two of three made-up projects have downloads. */
function madeUpDownloads(key: string): Downloads | null {
  const hash = createHash('md5').update(key).digest().readUInt32BE(0);
  return hash % 3 === 0 ? null : { month: hash % 50_000, total: (hash % 50_000) * 11 };
}

/** One column of the answer: its name, and its value for a project. */
interface Column {
  alias: string;
  value(project: string, days: Map<string, number>): string;
}

/**
 * Answers a SELECT over the table of downloads by day, as the public data set's database does: one line of JSON a project,
 * whole numbers as text, and no line for a project that has no downloads. It reads only what such a query needs, and
 * refuses anything else with status 400.
 */
export function downloadsAnswer(
  sql: string,
  { day, countsOf, format }: DownloadsTable & { format: string | null },
): Answer {
  const read = readQuery(sql, day);
  if (typeof read === 'string') return refusal(read);
  if ((read.format ?? format) !== 'JSONEachRow') return refusal('expected FORMAT JSONEachRow');
  const lines = read.projects.flatMap(project => {
    const counts = countsOf(project);
    if (counts === null) return [];
    const days = daysOf(counts, day);
    return JSON.stringify(Object.fromEntries(read.columns.map(({ alias, value }) => [alias, value(project, days)])));
  });
  const body = lines.map(line => `${line}\n`).join('');
  return { headers: { 'content-type': 'application/x-ndjson; charset=UTF-8' }, body };
}

/** A string is the reason for a refusal. */
function readQuery(
  sql: string,
  day: string,
): { columns: Column[]; projects: string[]; format: string | null } | string {
  const text = sql.replace(/\s+/g, ' ').trim().replace(/;$/, '');
  const names = named(text);
  const list = /\bproject IN \(([^()]*)\)/i.exec(text)?.[1];
  if (list === undefined) return 'expected `project IN (…)`';
  if (!/^ ?('[^']*'( ?, ?'[^']*')*) ?$/.test(list)) return 'expected the projects of the list in single quotes';
  if (!/\bFROM pypi\.pypi_downloads_per_day\b/i.test(text)) return 'expected a table of downloads by day';
  if (!/\bGROUP BY project\b/i.test(text)) return 'expected GROUP BY project';
  // A window that ends today misses days, because the table is days behind at times.
  if (/\b(today|now|yesterday)\s*\(/i.test(text)) return 'expected windows that end with max(date)';
  const columns: Column[] = [];
  for (const part of partsOf(selectList(text))) {
    const column = readColumn(part, { day, names });
    if (typeof column === 'string') return column;
    columns.push(column);
  }
  if (columns.length === 0) return 'expected SELECT and columns';
  const format = /\bFORMAT (\w+)$/i.exec(text)?.[1] ?? null;
  return { columns, projects: [...new Set([...list.matchAll(/'([^']*)'/g)].map(found => found[1]!))], format };
}

/** Reads one expression of the SELECT list. */
function readColumn(part: string, { day, names }: { day: string; names: Map<string, string> }): Column | string {
  const [, source = part, alias = part] = /^(.*) AS (\w+)$/i.exec(part) ?? [];
  const expression = resolved(source, names);
  if (/^project$/i.test(expression)) return { alias, value: project => project };
  const condition = conditionOf(expression);
  if (condition !== null) {
    const window = windowOf(condition, day);
    if (window === null) return `expected a window of days before max(date), got ${condition}`;
    return { alias, value: (_, days) => sum(days, date => date >= window.first && date <= window.last) };
  }
  if (/\bsum\( ?count ?\)/i.test(expression)) return { alias, value: (_, days) => sum(days, () => true) };
  if (/\bmax\( ?date ?\)/i.test(expression)) return { alias, value: () => day };
  return `expected a known expression, got ${expression}`;
}

/** The condition of `sumIf(count, …)`; null for another expression. */
function conditionOf(expression: string): string | null {
  const start = /\bsumIf\( ?count ?, ?/i.exec(expression);
  if (!start) return null;
  const rest = expression.slice(start.index + start[0].length);
  return rest.slice(0, closing(rest));
}

/** The days of `date > max(date) - 30` and its like. */
function windowOf(condition: string, day: string): { first: string; last: string } | null {
  const [, operator, bound] = /^ ?date ?(>=|>) ?(.+)$/i.exec(condition) ?? [];
  if (operator === undefined || !/\bmax\( ?date ?\)/i.test(bound!)) return null;
  const back =
    /- ?(?:INTERVAL )?'?(\d+)'?(?: DAYS?)?\)* ?$/i.exec(bound!) ??
    /\bsubtractDays\(.*, ?(\d+) ?\)/i.exec(bound!) ??
    /\btoIntervalDay\( ?(\d+) ?\)/i.exec(bound!);
  if (!back) return null;
  const first = Number(back[1]) - (operator === '>' ? 1 : 0);
  return { first: dayBefore(day, first), last: day };
}

/** Downloads by day: the first and the last day of the month have some, and so has the day before that month. */
function daysOf({ month, total }: Downloads, day: string): Map<string, number> {
  const last = Math.min(1, month);
  return new Map([
    [dayBefore(day, MONTH_DAYS), total - month],
    [dayBefore(day, MONTH_DAYS - 1), month - last],
    [day, last],
  ]);
}

function sum(days: Map<string, number>, isIn: (date: string) => boolean): string {
  let total = 0;
  for (const [date, count] of days) if (isIn(date)) total += count;
  return String(total);
}

/** Names that `WITH <expression> AS <name>` gives, and their expressions. */
function named(text: string): Map<string, string> {
  const names = new Map<string, string>();
  const start = /^WITH /i.exec(text);
  const clause = start ? text.slice(start[0].length, outerSelect(text)?.start) : '';
  for (const part of partsOf(clause)) {
    const [, expression, name] = /^(.*) AS (\w+)$/i.exec(part) ?? [];
    if (name !== undefined) names.set(name, expression!);
  }
  return names;
}

function resolved(expression: string, names: Map<string, string>): string {
  return expression.replace(/\b\w+\b/g, word => names.get(word) ?? word).trim();
}

/** The text between the outer SELECT and its FROM. */
function selectList(text: string): string {
  const outer = outerSelect(text);
  return outer ? text.slice(outer.listStart, outer.listEnd).trim() : '';
}

/** Where the SELECT outside parentheses begins, and its list. */
function outerSelect(text: string): { start: number; listStart: number; listEnd: number } | null {
  let depth = 0;
  const masked = Array.from(text, char => {
    if (char === ')') depth -= 1;
    const isOutside = depth === 0;
    if (char === '(') depth += 1;
    return isOutside ? char : '_';
  }).join('');
  const select = /\bSELECT /i.exec(masked);
  const from = /\bFROM\b/i.exec(masked);
  if (!select || !from) return null;
  return { start: select.index, listStart: select.index + select[0].length, listEnd: from.index };
}

/** The parts of a list between its commas outside parentheses. */
function partsOf(list: string): string[] {
  const parts: string[] = [];
  let part = '';
  let depth = 0;
  for (const char of list) {
    if (char === '(') depth += 1;
    if (char === ')') depth -= 1;
    if (char === ',' && depth === 0) {
      parts.push(part.trim());
      part = '';
    } else part += char;
  }
  if (part.trim() !== '') parts.push(part.trim());
  return parts;
}

/** Where the parenthesis closes that was opened before the text. */
function closing(text: string): number {
  let depth = 1;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '(') depth += 1;
    if (text[i] === ')') depth -= 1;
    if (depth === 0) return i;
  }
  return text.length;
}

function dayBefore(day: string, days: number): string {
  return new Date(Date.parse(day) - days * DAY_MS).toISOString().slice(0, 10);
}

function refusal(reason: string): Answer {
  const body = `Code: 62. DB::Exception: Syntax error: ${reason}. (SYNTAX_ERROR)\n`;
  return { status: 400, headers: { 'content-type': 'text/plain; charset=UTF-8' }, body };
}
