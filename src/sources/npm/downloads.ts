import { z } from 'zod';
import { ChangeError, StepError } from '../../errors.ts';
import { KiB } from '../../limits.ts';
import type { SourceContext } from '../source.ts';
import { isObject, type JsonObject } from '../upstream/json.ts';
import type { DownloadCounts } from './packument.ts';

/** Unscoped names of one request. The API takes a scoped name only by itself, and answers 400 to a list that has one. */
const NAMES_MAX = 128;

/** The counts of 128 names, each up to 214 characters and twice in the answer. */
const COUNTS_BYTES_MAX = 128 * KiB;

/** Scoped names counted in one slice; the others get null. Two requests for each, at two a second, delay a slice by 5 s. */
const SCOPED_MAX = 5;

/** Requests of one slice that may fail: enough to find two names that fail, each alone, among 128. More are the API's. */
const FAILURES_MAX = 16;

/** Download counts of a slice's packages. A list instead of an object, because a package may be called `__proto__`. */
export type Downloads = [name: string, month: number | null, year: number | null][];

/** The unscoped names, in one list for each request. */
export function unscopedListsOf(names: string[]): string[][] {
  // The API separates names by commas, so it has no form for a name with a comma.
  const unscoped = names.filter(
    name => !name.startsWith('@') && !name.includes(',') && name.isWellFormed() && name !== '',
  );
  const lists: string[][] = [];
  for (let from = 0; from < unscoped.length; from += NAMES_MAX) lists.push(unscoped.slice(from, from + NAMES_MAX));
  return lists;
}

/** The scoped names that are counted, with a request for each. */
export function scopedOf(names: string[]): string[] {
  return names.filter(name => /^@[^,]+\/[^,]+$/.test(name) && name.isWellFormed()).slice(0, SCOPED_MAX);
}

/**
 * Fetches the counts of the last month and the last year. A count is null when the API does not know it or did not
 * answer. A list that fails is asked for again in two halves, down to the one name that fails. The first answer that asks
 * for fewer requests, or none at all, ends the requests.
 */
export async function fetchDownloads(
  names: string[],
  { url, fetchJson }: { url: string; fetchJson: SourceContext<unknown>['fetchJson'] },
): Promise<Downloads> {
  const counts = new Map<string, DownloadCounts>();
  let isRefused = false;
  let failures = 0;
  const fetchCounts = async (period: keyof DownloadCounts, list: string[]) => {
    if (isRefused) return;
    try {
      const encoded = list.map(name => encodeURIComponent(name)).join(',');
      // A leading comma gives the answer to a single name the form of an answer to several.
      const path = list.length === 1 && !list[0]!.startsWith('@') ? `,${encoded}` : encoded.replace(/^%40/, '@');
      const { json } = await fetchJson(`${url}/downloads/point/last-${period}/${path}`, {
        subject: 'npm downloads',
        shape: answerShape,
        bytesMax: COUNTS_BYTES_MAX,
      });
      for (const name of list) {
        const known = counts.get(name) ?? { month: null, year: null };
        counts.set(name, { ...known, [period]: countIn(json, name) });
      }
    } catch (error) {
      failures += 1;
      isRefused = isRefusal(error) || failures >= FAILURES_MAX;
      if (list.length === 1) return;
      const half = Math.ceil(list.length / 2);
      await fetchCounts(period, list.slice(0, half));
      await fetchCounts(period, list.slice(half));
    }
  };
  for (const list of [...unscopedListsOf(names), ...scopedOf(names).map(name => [name])]) {
    await fetchCounts('month', list);
    await fetchCounts('year', list);
  }
  return [...counts].map(([name, { month, year }]) => [name, month, year]);
}

/** The counts of one package, from those that were fetched for its slice. */
export function countsFor(downloads: Downloads | null, name: string): DownloadCounts | null {
  const found = downloads?.find(([countedName]) => countedName === name);
  return found ? { month: found[1], year: found[2] } : null;
}

// Zod's own object shapes copy the answer, and a copy loses a package called `__proto__`.
const answerShape = z.custom<JsonObject>(isObject, 'an object');

/** The answer to a scoped name is its point; the answer to a list has a point for each name. */
function countIn(answer: JsonObject, name: string): number | null {
  const point = name.startsWith('@') ? answer : Object.hasOwn(answer, name) ? answer[name] : null;
  const count = isObject(point) ? point.downloads : null;
  return typeof count === 'number' && Number.isSafeInteger(count) && count >= 0 ? count : null;
}

/** Whether more requests are useless: the API throttles us or is unreachable, or our time is up. Rethrows our own faults. */
function isRefusal(error: unknown): boolean {
  if (error instanceof ChangeError) {
    return error.status === 429 || error.status === 503 || error.reason === 'unreachable' || error.reason === 'timeout';
  }
  if (error instanceof StepError && error.kind === 'deadline') return true;
  throw error;
}
