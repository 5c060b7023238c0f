import { isObject, type JsonObject, Unread } from '../upstream/json.ts';

/** When files were uploaded: the first and the newest, in milliseconds since 1970. */
export interface Uploads {
  firstMs: number | null;
  lastMs: number | null;
}

/** The uploads of all releases together, and those of one. Of a large document each release is parsed by itself. */
export function uploadsOf(releases: JsonObject, version: string | null): { all: Uploads; one: Uploads } {
  const all: Uploads = { firstMs: null, lastMs: null };
  let one: Uploads = { firstMs: null, lastMs: null };
  for (const [name, files] of Object.entries(releases)) {
    const uploads = uploadsIn(files instanceof Unread ? files.read() : files);
    if (name === version) one = uploads;
    for (const atMs of [uploads.firstMs, uploads.lastMs]) widen(all, atMs);
  }
  return { all, one };
}

/** The uploads of a list of files. */
export function uploadsIn(files: unknown): Uploads {
  const uploads: Uploads = { firstMs: null, lastMs: null };
  for (const file of Array.isArray(files) ? files : []) {
    if (isObject(file)) widen(uploads, timeOf(file.upload_time_iso_8601) ?? timeOf(file.upload_time));
  }
  return uploads;
}

function widen(uploads: Uploads, atMs: number | null): void {
  if (atMs === null) return;
  uploads.firstMs = Math.min(uploads.firstMs ?? atMs, atMs);
  uploads.lastMs = Math.max(uploads.lastMs ?? atMs, atMs);
}

const TIME = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2}(?:\.\d+)?)(Z|[+-]\d{2}:?\d{2})?$/i;

/** The times that ISO 8601 writes with a year of four digits. A zone may lead past them. */
const [FIRST_MS, LAST_MS] = [Date.parse('0000-01-01T00:00:00Z'), Date.parse('9999-12-31T23:59:59.999Z')];

/** A time in milliseconds since 1970; null for anything else. A time without a zone is in UTC. */
function timeOf(value: unknown): number | null {
  const [, day, time, zone] = (typeof value === 'string' && TIME.exec(value.trim())) || [];
  const atMs = day === undefined ? Number.NaN : Date.parse(`${day}T${time}${zone ?? 'Z'}`);
  return atMs >= FIRST_MS && atMs <= LAST_MS ? atMs : null;
}
