import type { Table } from '../../schemas/table.ts';
import { LIMITS } from '../config.ts';
import { ChangeError } from '../errors.ts';
import { isoTime } from '../time.ts';

/** As many digits as the largest safe integer has, so that keys sort as numbers do. */
const LSN_DIGITS = 16;
const PARTITIONS = 'partitions.parquet';
const DATA_FILE = /^(.+)\/partitions\.parquet\/year=(\d{4})\/month=(\d{2})\/data-(\d{16})-(\d{16})\.parquet$/s;

/** The segment of the empty name. Every other `%` in a segment is followed by hexadecimal digits. */
const EMPTY_SEGMENT = '%';
/** `%`, the two separators, control characters, and halves of surrogate pairs. */
const UNSAFE = /[%/\\\p{Cc}\p{Cs}]/gu;
const ESCAPES = /(?:%[0-9A-F]{2})+|%u([0-9A-F]{4})/g;

type Prefixed = Pick<Table, 'prefix'>;

/** The parts of a data file's key. */
export interface DataFileName {
  prefix: string;
  year: number;
  month: number;
  firstLsn: number;
  lastLsn: number;
}

/**
 * A name as one path segment. Different names give different segments. Case, `@`, spaces and all other Unicode stay as
 * they are.
 */
export function segmentOf(name: string): string {
  if (name === '') return EMPTY_SEGMENT;
  if (name === '.' || name === '..') return name.replaceAll('.', '%2E');
  return name.replace(UNSAFE, escaped);
}

/** The name that `segmentOf` made this segment of. */
export function nameFromSegment(segment: string): string {
  if (segment === EMPTY_SEGMENT) return '';
  return segment.replace(ESCAPES, (bytes, half: string | undefined) =>
    half === undefined ? decodeURIComponent(bytes) : String.fromCharCode(Number.parseInt(half, 16)),
  );
}

/** The key of an item's raw document, one for each of its files. Throws `ChangeError` `key-too-long`. */
export function rawKey(prefix: string, name: string, file = 'latest.json'): string {
  return checkLength(`${prefix}/raw/${segmentOf(name)}/${file}`);
}

/**
 * The key of a document: in the folders that it names, else in that of its name. Throws `ChangeError` `key-too-long`, and
 * an Error for a folder that the source does not declare.
 */
export function documentKey(
  { prefix, folders = [] }: { prefix: string; folders?: readonly string[] },
  { name, path, file = 'latest.json' }: { name: string; path?: string[]; file?: string },
): string {
  if (!path) return rawKey(prefix, name, file);
  const [first = ''] = path;
  if (first !== 'raw' && !folders.some(folder => first.startsWith(folder)))
    throw new Error(`document of ${prefix}: expected a folder raw, ${folders.join(', ')}, got ${first}`);
  return checkLength([prefix, ...[...path, file].map(segmentOf)].join('/'));
}

/**
 * The key of an item's metadata JSON on the day of a load (UTC). `name` has the values of the table's key columns in
 * order; each becomes one segment. Throws `ChangeError` `key-too-long`.
 */
export function metadataKey(table: Prefixed, dateMs: number, name: string | readonly string[]): string {
  const { year, month, day } = dateOf(dateMs);
  const segments = [name].flat().map(segmentOf).join('/');
  return checkLength(`${table.prefix}/${year}/${month}/${day}/${segments}.json`);
}

/** The prefix of all data files of a table, with a slash at its end. */
export function partitionsPrefix(table: Prefixed): string {
  return `${table.prefix}/${PARTITIONS}/`;
}

/** The key of the data file of an LSN range. Its month is that of the rows' stamp (UTC). Throws `RangeError`. */
export function dataFileKey(
  table: Prefixed,
  { stampMs, firstLsn, lastLsn }: { stampMs: number; firstLsn: number; lastLsn: number },
): string {
  if (!isRange(firstLsn, lastLsn)) {
    throw new RangeError(`data file: expected LSNs 1 <= first <= last, got ${firstLsn} and ${lastLsn}`);
  }
  const { year, month } = dateOf(stampMs);
  return `${partitionsPrefix(table)}year=${year}/month=${month}/data-${lsnText(firstLsn)}-${lsnText(lastLsn)}.parquet`;
}

/** Reads the key of a data file. Null for any other key. */
export function parseDataFileKey(key: string): DataFileName | null {
  const match = DATA_FILE.exec(key);
  if (match === null) return null;
  const [year = 0, month = 0, firstLsn = 0, lastLsn = 0] = match.slice(2).map(Number);
  if (month < 1 || month > 12 || !isRange(firstLsn, lastLsn)) return null;
  return { prefix: match[1] ?? '', year, month, firstLsn, lastLsn };
}

/** The key of the catalog's schema of a table. */
export function schemaKey(table: string): string {
  return `catalog/schemas/${table}.json`;
}

/** The key of the root of a table's catalog. Readers of the table begin there. */
export function rootKey(table: string): string {
  return `catalog/partitions/${table}.json`;
}

/**
 * The keys of a segment of a table's catalog and of its index. `number` distinguishes the segments of one LSN range.
 */
export function segmentKeys(
  table: string,
  { firstLsn, lastLsn, number }: { firstLsn: number; lastLsn: number; number: number },
): { segment: string; index: string } {
  const name = `${table}/${lsnText(firstLsn)}-${lsnText(lastLsn)}-${number}.json`;
  return { segment: `catalog/partitions/${name}`, index: `catalog/indexes/${name}` };
}

/**
 * The key of the stored listing of a source: all keys that the upstream had, for the sweep that runs. It is no part of
 * the lake, and no reader of the catalog lists it.
 */
export function listingKey(source: string): string {
  return `catalog/listings/${segmentOf(source)}`;
}

function escaped(character: string): string {
  // In UTF-8 all halves of surrogate pairs become U+FFFD, so two names would get the same segment.
  if (!character.isWellFormed()) return `%u${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(character);
}

function isRange(firstLsn: number, lastLsn: number): boolean {
  return Number.isSafeInteger(firstLsn) && Number.isSafeInteger(lastLsn) && firstLsn >= 1 && firstLsn <= lastLsn;
}

function lsnText(lsn: number): string {
  return String(lsn).padStart(LSN_DIGITS, '0');
}

function dateOf(atMs: number): { year: string; month: string; day: string } {
  const match = /^(\d{4})-(\d{2})-(\d{2})T/.exec(isoTime(atMs));
  if (match === null) throw new RangeError(`lake key: expected a date of the years 0 to 9999, got ${atMs} ms`);
  const [, year = '', month = '', day = ''] = match;
  return { year, month, day };
}

function checkLength(key: string): string {
  const bytes = new TextEncoder().encode(key).byteLength;
  if (bytes <= LIMITS.keyBytesMax) return key;
  throw new ChangeError('key-too-long', `lake key: expected at most ${LIMITS.keyBytesMax} bytes, got ${bytes}`);
}
