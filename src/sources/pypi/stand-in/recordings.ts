import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { JsonObject } from '../../upstream/json.ts';
import { type Recipe, recipeDocument } from './document.ts';

/** The folder of PyPI's hand-made answers. */
export const PYPI_RECORDINGS = path.resolve(import.meta.dirname, '../../../../test/fixtures/pypi');

/** One row of the index's journal. `timestamp` is in seconds. */
export interface FeedRow {
  name: string;
  version: string | null;
  timestamp: number;
  action: string | null;
  serial: number;
}

/** A project of the fixture. Its document is in `json/<key>.json`, or made by its recipe; without either it has no release. */
export interface RecordedProject {
  /** As the index shows it. */
  name: string;
  about: string;
  recipe?: Recipe;
  archived?: true;
  /** The index has nothing under the name, although the feed shows it. */
  missing?: true;
  /** The index hides all releases: the project is listed and has no document. */
  releasesQuarantined?: true;
  /** The document's serial stays that of the project's row before the newest. */
  lagsForGood?: true;
}

/** Downloads as the public data set has them: of `day`, its newest day, back. */
export interface RecordedDownloads {
  day: string;
  projects: Record<string, Downloads>;
}

/** `month`: over the 30 days that end with the newest one. `total`: over all days. */
export interface Downloads {
  month: number;
  total: number;
}

export interface Recordings {
  feed: FeedRow[];
  projects: RecordedProject[];
  downloads: RecordedDownloads;
  /** Reads the document of a project; null where it has none. */
  readerOf(project: RecordedProject): (() => JsonObject) | null;
}

type RowOfFeed = [name: string, version: string | null, timestamp: number, action: string | null, serial: number];

/** Reads a fixture folder. Documents are read when they are asked for. Throws when a file is missing or is not JSON. */
export function readRecordings(folder: string): Recordings {
  const feed = readJson<RowOfFeed[]>(folder, 'feed.json');
  return {
    feed: feed.map(([name, version, timestamp, action, serial]) => ({ name, version, timestamp, action, serial })),
    projects: readJson(folder, 'projects.json'),
    downloads: readJson(folder, 'downloads.json'),
    readerOf({ name, recipe }) {
      if (recipe) return () => recipeDocument(name, recipe);
      const file = path.join('json', `${keyOf(name)}.json`);
      return existsSync(path.join(folder, file)) ? () => readJson<JsonObject>(folder, file) : null;
    },
  };
}

/** A name as PEP 503 compares it. */
export function keyOf(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, '-');
}

function readJson<T>(folder: string, file: string): T {
  return JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as T;
}
