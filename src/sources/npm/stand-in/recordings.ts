import { readFileSync } from 'node:fs';
import path from 'node:path';
import { zstdDecompressSync } from 'node:zlib';

/** Replaces the registry's origin in every recording; the stand-in replaces it by its own. */
export const ORIGIN_PLACEHOLDER = 'http://registry.invalid';

/** The folder of npm's recorded answers. */
export const NPM_RECORDINGS = path.resolve(import.meta.dirname, '../../../../test/fixtures/npm');

/** One line of the feed, in npm's form; `deleted` is absent unless true. */
export interface FeedRow {
  seq: number;
  id: string;
  changes: { rev: string }[];
  deleted?: true;
}

/** A recorded packument. */
export interface Recording {
  name: string;
  /** Its path in the folder. */
  file: string;
  rev: string;
  /** Its size decompressed. */
  bytes: number;
}

/** One answer of a hand-made entry. `bodyFile` is relative to `hand-made/`; `truncateTo` cuts the encoded body. */
export interface RecordedAnswer {
  status: number;
  headers?: Record<string, string>;
  bodyFile?: string;
  gzip?: true;
  truncateTo?: number;
  cut?: true;
}

/** A name with answers written by hand: each request gets the next one, and the last one repeats. */
export interface HandMade {
  name: string;
  about: string;
  rev: string;
  deleted?: true;
  faults: RecordedAnswer[];
}

/** Download counts of one name in the fixture; null where the API knows none. */
export type Downloads = Record<'last-month' | 'last-year', number | null>;

/** The contents of a fixture folder except the packuments' texts; `readRecording` reads those one by one. */
export interface Recordings {
  folder: string;
  packuments: Map<string, Recording>;
  handMade: Map<string, HandMade>;
  feed: FeedRow[];
  downloads: Map<string, Downloads>;
}

/** Reads a fixture folder's indexes. Throws when a file is missing or is not JSON. */
export function readRecordings(folder: string): Recordings {
  const packuments = readJson<Recording[]>(folder, 'packuments.json');
  const handMade = readJson<HandMade[]>(folder, 'hand-made/hand-made.json');
  const feed = readJson<{ results: FeedRow[] }>(folder, 'feed.json');
  const downloads = readJson<Record<string, Downloads>>(folder, 'downloads.json');
  return {
    folder,
    packuments: new Map(packuments.map(entry => [entry.name, entry])),
    handMade: new Map(handMade.map(entry => [entry.name, entry])),
    feed: feed.results,
    downloads: new Map(Object.entries(downloads)),
  };
}

/** The packument's text as recorded, with the placeholder of the origin in it. */
export function readRecording(folder: string, recording: Recording): string {
  return zstdDecompressSync(readFileSync(path.join(folder, recording.file))).toString();
}

/**
 * The file of a recorded packument: the name as in the registry's URL, with a capital as `!` and the small letter, so that
 * names that differ only in case are two files on every file system.
 */
export function packumentFile(name: string): string {
  const escaped = name.replace(/[A-Z]/g, letter => `!${letter.toLowerCase()}`).replace('/', '%2F');
  return `packuments/${escaped}.json.zst`;
}

/** Reads a JSON file of a fixture folder. */
export function readJson<T>(folder: string, file: string): T {
  return JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as T;
}
