import type { SourceStatus } from '../contract/source.ts';

const CALL_MS_MAX = 10_000;

/** The status of every source, from a worker's API. Where READ_TOKEN is set, that needs a token. */
export async function fetchStatuses(url: string, token?: string): Promise<SourceStatus[]> {
  return (await fetchJson<{ sources: SourceStatus[] }>(`${url}/v1/sources`, tokenOf(token))).sources;
}

/** The status of one source, from a worker's API. Where READ_TOKEN is set, that needs a token. */
export async function fetchStatus(url: string, source: string, token?: string): Promise<SourceStatus> {
  return fetchJson<SourceStatus>(`${url}/v1/sources/${source}`, tokenOf(token));
}

/** A status as one line: state, changes, rows, files, lag (of an agenda, due keys), rows a second. */
export function statusLine(status: SourceStatus): string {
  const { source, state, balance, tables, lag, rate, agenda } = status;
  const { rows, files } = tableSums(status);
  const parts = [
    `${source}  ${state.padEnd('catching-up'.length)}`,
    `${count(balance.changes)} changes`,
    `${count(rows)} rows`,
    `${count(files)} ${Object.keys(tables).length === 0 ? '' : 'files'}`.trimEnd(),
    agenda
      ? `${count(agenda.due)} of ${count(agenda.keys)} keys due`
      : `lag ${lag.changes === null ? '?' : count(lag.changes)} changes, ${lag.seconds === null ? '?' : count(lag.seconds)} s`,
    `${count(rate.rows_per_second_1m ?? 0)} rows/s`,
    ...(balance.parked > 0 ? [`${count(balance.parked)} parked`] : []),
  ];
  return parts.join('  ');
}

/** Rows and files of all tables of a source. */
export function tableSums({ tables }: SourceStatus): { rows: number; files: number } {
  const facts = Object.values(tables);
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  return { rows: sum(facts.map(({ rows }) => rows)), files: sum(facts.map(({ files }) => files)) };
}

/** A number with separators between thousands and at most one decimal. */
export function count(value: number): string {
  return value.toLocaleString('en', { maximumFractionDigits: 1 });
}

/** The JSON of a worker's API. Throws unless it answers with a status of 200 to 299. */
export async function fetchJson<T>(url: string, init: RequestInit = {}): Promise<T> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(CALL_MS_MAX) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url}: expected status 200, got ${response.status}: ${text.slice(0, 500)}`);
  return JSON.parse(text) as T;
}

function tokenOf(token: string | undefined): RequestInit {
  return token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } };
}
