import type { Downloads } from './recordings.ts';

/** The periods and their first and last days: fixed, so that the answers are the same every day. */
const PERIODS = {
  'last-month': { start: '2026-10-25', end: '2026-11-23' },
  'last-year': { start: '2025-11-24', end: '2026-11-23' },
} as const;
const NAMES_MAX = 128;

export type Period = keyof typeof PERIODS;

/** Answers `/downloads/point/<period>/<names>`; `names` is decoded: one name, or unscoped names separated by commas. */
export function downloadsAnswer(
  period: string,
  names: string,
  countsOf: (name: string) => Downloads | undefined,
): { status: number; body: string } {
  if (!isPeriod(period)) return refusal(400, 'Invalid period specified');
  const list = names.split(',');
  const point = (name: string) => {
    const downloads = countsOf(name)?.[period] ?? null;
    return downloads === null ? null : { downloads, ...PERIODS[period], package: name };
  };
  if (list.length === 1) {
    const found = point(names);
    return found ? { status: 200, body: JSON.stringify(found) } : refusal(404, `package ${names} not found`);
  }
  const packages = list.filter(name => name !== '');
  if (packages.length > NAMES_MAX) return refusal(400, `too many packages, at most ${NAMES_MAX}`);
  if (packages.some(name => name.startsWith('@')))
    return refusal(400, 'bulk lookups not yet supported for scoped packages');
  // `fromEntries` makes own properties, also for `__proto__`.
  return { status: 200, body: JSON.stringify(Object.fromEntries(packages.map(name => [name, point(name)]))) };
}

function isPeriod(text: string): text is Period {
  return Object.hasOwn(PERIODS, text);
}

function refusal(status: number, error: string): { status: number; body: string } {
  return { status, body: JSON.stringify({ error }) };
}
