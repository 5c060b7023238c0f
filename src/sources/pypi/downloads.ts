import { ChangeError } from '../../errors.ts';
import { MiB, SECOND } from '../../limits.ts';
import type { Body, SourceContext } from '../source.ts';
import { isObject } from '../upstream/json.ts';
import { isProjectKey } from './project-name.ts';
import type { PypiSettings } from './settings.ts';

/** Downloads of one project. */
export interface Downloads {
  /** In the 30 days that end with the newest day of the table; null where not known. */
  month: number | null;
  /** Of all days of the table; null where not known. */
  total: number | null;
}

/** The counts of a slice's projects. A list, because it goes through JSON and a name may be any word. */
export type SliceDownloads = [key: string, month: number | null, total: number | null][];

/** One line for each project of a slice, of about 100 bytes. */
const ANSWER_BYTES_MAX = 1 * MiB;

/** One line. Of a longer one the tree could fill memory. */
const LINE_LENGTH_MAX = 2000;

/** The time for an answer. A slice waits for it, and a row without counts is better than a late one. */
const ANSWER_MS_MAX = 10 * SECOND;

const TABLE = 'pypi.pypi_downloads_per_day';

/** Days of a month in `downloads_last_month`. */
const MONTH_DAYS = 30;

/** Whole numbers that a column can have. */
const COUNT = /^\d{1,16}$/;

/**
 * The counts of some projects, in one query. A project that the answer does not name has none: the table is a copy that
 * is behind at times, and an answer may be cut without an error, so what is missing is not zero.
 */
export async function fetchDownloads(
  keys: string[],
  { settings, fetchRaw }: SourceContext<PypiSettings>,
): Promise<SliceDownloads> {
  if (keys.length === 0) return [];
  const subject = 'pypi downloads';
  const { value } = await fetchRaw(settings.downloadsUrl, {
    subject,
    post: { body: queryOf(keys), contentType: 'text/plain; charset=utf-8' },
    timeoutMs: ANSWER_MS_MAX,
    bytesMax: ANSWER_BYTES_MAX,
    read: ({ bytes }: Body) => readCounts(subject, bytes),
  });
  const asked = new Set(keys);
  return value.filter(([key]) => asked.has(key));
}

/** The counts of one project, from those of its slice. */
export function downloadsFor(prepared: SliceDownloads | null, key: string): Downloads | null {
  const found = prepared?.find(([counted]) => counted === key);
  return found ? { month: found[1], total: found[2] } : null;
}

/**
 * The query, as text. The names go into it as they are, because no form of a key has a quote. The table may have several
 * rows of one day, so counts are summed; the month ends with the table's newest day, because the table is late at times.
 */
export function queryOf(keys: string[]): string {
  const names = keys.filter(isProjectKey).map(key => `'${key}'`);
  const day = `(SELECT max(date) FROM ${TABLE})`;
  return [
    `SELECT project AS project, toString(${day}) AS day,`,
    `toString(sumIf(count, date > ${day} - ${MONTH_DAYS})) AS month, toString(sum(count)) AS total`,
    `FROM ${TABLE} WHERE project IN (${names.join(',')}) GROUP BY project FORMAT JSONEachRow`,
  ].join('\n');
}

/** The lines of an answer. Throws for a line that is no row: an error in the middle of an answer comes as text. */
function readCounts(subject: string, bytes: Uint8Array): SliceDownloads {
  const lines = new TextDecoder()
    .decode(bytes)
    .split('\n')
    .filter(line => line.trim() !== '');
  return lines.map((line, index) => {
    const row = line.length > LINE_LENGTH_MAX ? null : parsed(line);
    if (isObject(row) && typeof row.project === 'string') return [row.project, countOf(row.month), countOf(row.total)];
    throw new ChangeError(
      'wrong-shape',
      `${subject}: expected lines[${index}] to be a row with the text project, got ${isObject(row) ? 'another row' : 'other text'}`,
    );
  });
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** A count, which the query asks for as text, because JSON numbers are rounded. */
function countOf(value: unknown): number | null {
  const count = typeof value === 'string' && COUNT.test(value) ? Number(value) : Number.NaN;
  return Number.isSafeInteger(count) ? count : null;
}
