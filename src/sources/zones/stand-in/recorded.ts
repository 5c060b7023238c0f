import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { As } from './resolver.ts';
import type { Zone } from './zones.ts';

/** The folder of made-up zones; its README describes the files. */
export const ZONES_RECORDINGS = path.resolve(import.meta.dirname, '../../../../test/fixtures/zones');

/** The zones of the next month come after so many days. */
export const LATER_DAYS = 30;

/** A domain of the folder. Its zone is the text of `file`; without a file it has none. */
export interface RecordedDomain extends Pick<Zone, 'signed' | 'rotate'> {
  domain: string;
  /** Below the folder; the same text may serve several domains. */
  file?: string;
  /** Whether only one resolver answers in this way, or both. */
  answers?: { resolver: 'first' | 'fallback' | 'both'; as: As }[];
  note: string;
}

/** The folder's index. `later` has the domains that are others in the next month. */
export interface RecordedZones {
  domains: RecordedDomain[];
  /** Domains with the zone of `plain.txt`, for the demo. */
  plain: string[];
  later: RecordedDomain[];
}

/** Reads the folder's index. Throws if it is missing or no JSON. */
export function readRecordedZones(folder: string): RecordedZones {
  return JSON.parse(readFileSync(path.join(folder, 'zones.json'), 'utf8')) as RecordedZones;
}

/** The zone of a domain of the folder; null when it has none. */
export function zoneOf(folder: string, { domain, file, signed, rotate }: RecordedDomain): Zone | null {
  if (file === undefined) return null;
  const place = path.join(folder, file);
  if (!existsSync(place)) throw new Error(`zone ${domain}: expected a file ${file}, got none`);
  return { records: readFileSync(place, 'utf8'), signed, rotate };
}
