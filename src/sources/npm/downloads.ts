import { z } from 'zod';
import { ChangeError, StepError } from '../../errors.ts';
import type { SourceContext } from '../source.ts';
import { isObject, type JsonObject } from '../upstream/json.ts';
import type { DownloadCounts } from './packument.ts';

/** The API takes this many unscoped names at once, and scoped ones only singly (a scoped name is a 400 for all). */
const NAMES_MAX = 128;

/** Scoped names asked for in a slice: two requests each, at two a second, hold a slice up by 5 s. The others get null. */
const SCOPED_MAX = 5;

/** Download counts of a slice's packages, as a list: a package may be called `__proto__`. */
export type Downloads = [name: string, month: number | null, year: number | null][];

/** The unscoped names, in lists for one request each. */
export function chunksOf(names: string[]): string[][] {
  // A comma separates names, so a name that holds one cannot be asked for.
  const unscoped = names.filter(
    name => !name.startsWith('@') && !name.includes(',') && name.isWellFormed() && name !== '',
  );
  const chunks: string[][] = [];
  for (let at = 0; at < unscoped.length; at += NAMES_MAX) chunks.push(unscoped.slice(at, at + NAMES_MAX));
  return chunks;
}

/** The scoped names that are asked for. */
export function scopedOf(names: string[]): string[] {
  return names.filter(name => /^@[^,]+\/[^,]+$/.test(name) && name.isWellFormed()).slice(0, SCOPED_MAX);
}

/**
 * The counts of the last month and the last year. What is not known, or was not answered, is null; once the API asks
 * for less, or is out of reach, nothing more is asked.
 */
export async function fetchDownloads(
  names: string[],
  { url, fetchJson }: { url: string; fetchJson: SourceContext<unknown>['fetchJson'] },
): Promise<Downloads> {
  const counts = new Map<string, DownloadCounts>();
  let refused = false;
  const ask = async (period: keyof DownloadCounts, asked: string[]) => {
    if (refused) return;
    try {
      const path = asked.map(name => encodeURIComponent(name)).join(',');
      // A leading comma makes the answer to one name have the form of the others.
      const list = asked.length === 1 && !asked[0]!.startsWith('@') ? `,${path}` : path.replace(/^%40/, '@');
      const { json } = await fetchJson(`${url}/downloads/point/last-${period}/${list}`, {
        subject: 'npm downloads',
        shape: answerShape,
      });
      for (const name of asked) {
        const known = counts.get(name) ?? { month: null, year: null };
        counts.set(name, { ...known, [period]: countIn(json, name) });
      }
    } catch (error) {
      refused = isRefusal(error);
    }
  };
  for (const asked of [...chunksOf(names), ...scopedOf(names).map(name => [name])]) {
    await ask('month', asked);
    await ask('year', asked);
  }
  return [...counts].map(([name, { month, year }]) => [name, month, year]);
}

/** The counts of one package among those prepared for its slice. */
export function countsFor(downloads: Downloads | null, name: string): DownloadCounts | null {
  const found = downloads?.find(([counted]) => counted === name);
  return found ? { month: found[1], year: found[2] } : null;
}

// The reference is kept: a copy would lose a package called `__proto__`.
const answerShape = z.custom<JsonObject>(isObject, 'an object');

/** One name answers with its point, several with a point each by name. */
function countIn(answer: JsonObject, name: string): number | null {
  const point = name.startsWith('@') ? answer : Object.hasOwn(answer, name) ? answer[name] : null;
  const count = isObject(point) ? point.downloads : null;
  return typeof count === 'number' && Number.isSafeInteger(count) && count >= 0 ? count : null;
}

/** Whether asking on is of no use: throttled, out of reach, or the call's time is up. Faults of ours are thrown. */
function isRefusal(error: unknown): boolean {
  if (error instanceof ChangeError) {
    return error.status === 429 || error.status === 503 || error.reason === 'unreachable' || error.reason === 'timeout';
  }
  if (error instanceof StepError && error.kind === 'deadline') return true;
  throw error;
}
