import { createHash } from 'node:crypto';
import type { NpmPackage } from '../../schemas/npm_package.ts';
import { packumentRow, readPackument } from '../../src/sources/npm/packument.ts';
import { NPM_RECORDINGS, readRecordings, readRecording as textOf } from '../../src/sources/npm/stand-in/recordings.ts';

/** The parts of a document that differ from package to package, however alike two packages are. */
const DIGESTS = /\b[0-9a-f]{40}\b|\bsha512-[\w+/]{86}==/g;
/** Columns whose texts are put together anew for each row, from those of all recordings. */
const MIXED = ['description', 'keywords', 'dependencies', 'dev_dependencies'] as const;

/**
 * Rows of recorded packages under made-up names. Each has digests, counts and times of its own, and texts of its own
 * out of recorded words: copies alone would be a few dictionary entries, as npm's packages are not.
 */
export class NpmRows {
  readonly #originals: NpmPackage[];
  readonly #words: Record<(typeof MIXED)[number], string[]>;
  readonly #dataLengthMax: number;

  /** `dataLengthMax` cuts the column `data`, which is most of a row. */
  constructor({ dataLengthMax = Number.POSITIVE_INFINITY }: { dataLengthMax?: number } = {}) {
    const { packuments, downloads } = readRecordings(NPM_RECORDINGS);
    this.#dataLengthMax = dataLengthMax;
    this.#originals = [...packuments.values()].map(recording => {
      const document = readPackument(JSON.parse(textOf(NPM_RECORDINGS, recording)), recording.name);
      const counts = downloads.get(recording.name);
      return packumentRow(document, {
        downloads: { month: counts?.['last-month'] ?? null, year: counts?.['last-year'] ?? null },
      });
    });
    const wordsOf = (column: (typeof MIXED)[number]) => [
      ...new Set(this.#originals.flatMap(row => partsOf(row[column] ?? ''))),
    ];
    this.#words = {
      description: wordsOf('description'),
      keywords: wordsOf('keywords'),
      dependencies: wordsOf('dependencies'),
      dev_dependencies: wordsOf('dev_dependencies'),
    };
  }

  row(place: number): NpmPackage {
    const row = { ...this.#originals[place % this.#originals.length]! };
    const digest = createHash('sha512').update(String(place)).digest();
    const hex = digest.toString('hex');
    let data = row.data ?? '';
    for (const [i, column] of MIXED.entries()) {
      const before = row[column];
      if (!before) continue;
      const mixed = this.#mix(column, before, digest.readUInt32BE(4 * i));
      data = data.replace(before, () => mixed);
      row[column] = mixed;
    }
    const name = `${row.name}-${hex.slice(0, 4)}${place}`;
    data = data.replaceAll(`"${row.name}"`, () => `"${name}"`).slice(0, this.#dataLengthMax);
    const sha512 = `sha512-${digest.toString('base64')}`;
    const published_at = new Date(Date.UTC(2020, 0, 1) + digest.readUInt32BE(16) * 50).toISOString();
    return {
      ...row,
      name,
      downloads_total: row.downloads_total === null ? null : digest.readUInt32BE(20) % 1_000_000,
      downloads_last_month: row.downloads_last_month === null ? null : digest.readUInt32BE(24) % 100_000,
      published_at,
      last_updated: published_at,
      data: data.replace(DIGESTS, found => (found.length === 40 ? hex.slice(0, 40) : sha512)),
    };
  }

  /** As many words as the text has, others for every seed. */
  #mix(column: (typeof MIXED)[number], text: string, seed: number): string {
    const words = this.#words[column];
    const mixed = partsOf(text).map((_, i) => words[(seed + i * ((seed % 97) + 1)) % words.length]);
    if (column.endsWith('dependencies')) return `{${mixed.join(',')}}`;
    return mixed.join(column === 'description' ? ' ' : ',');
  }
}

function partsOf(text: string): string[] {
  return text.startsWith('{') ? text.slice(1, -1).split(',') : text.split(/[ ,]/);
}
