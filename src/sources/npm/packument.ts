import type { NpmPackage } from '../../../schemas/npm_package.ts';
import { ChangeError } from '../../errors.ts';
import { isoTime } from '../../time.ts';
import { isObject, type JsonObject, Unread, wrongShape } from '../upstream/json.ts';

/** A larger document is not copied into `data`, because a row may have 1 MiB and the raw document is in the lake. */
const DATA_BYTES_MAX = 256 * 1024;

/** Keys of `time` that are not versions. */
const NO_VERSIONS = ['created', 'modified', 'unpublished'];

export interface DownloadCounts {
  month: number | null;
  year: number | null;
}

/** The map that makes a packument large; a row needs only one of its members. */
export const VERSIONS = 'versions';

/** A packument and its three main maps, null where the document has none. Members of `versions` may be `Unread`. */
export interface Packument {
  name: string;
  document: JsonObject;
  versions: JsonObject | null;
  time: JsonObject | null;
  tags: JsonObject | null;
}

/** Reads a document as the packument of `name`. Throws `ChangeError` `wrong-shape` or `name-mismatch`. */
export function readPackument(document: unknown, name: string): Packument {
  if (!isObject(document)) throw wrongShape('npm package', { path: [], expected: 'an object', value: document });
  const names = [own(document, '_id'), own(document, 'name')].filter(given => given !== undefined && given !== null);
  if (names.length === 0 || names.some(given => given !== name)) {
    const actual = names.length === 0 ? 'none' : 'another';
    throw new ChangeError(
      'name-mismatch',
      `npm package: expected _id and name to be the requested name, got ${actual}`,
    );
  }
  return {
    name,
    document,
    versions: mapIn(document, 'versions'),
    time: mapIn(document, 'time'),
    tags: mapIn(document, 'dist-tags'),
  };
}

/** Whether the whole package was unpublished: the registry serves a document without versions, and `time` says when. */
export function isTombstone({ versions, time }: Packument): boolean {
  return isEmpty(versions) && isObject(time && own(time, 'unpublished'));
}

/** The count of a CouchDB revision (37 of `37-492f…`); null for anything else. */
export function revisionOf(rev: unknown): number | null {
  const count = typeof rev === 'string' ? Number(/^(\d+)-/.exec(rev)?.[1] ?? NaN) : NaN;
  return Number.isSafeInteger(count) ? count : null;
}

/** The row of a packument. Columns about a version are about the chosen version. */
export function packumentRow(packument: Packument, { downloads }: { downloads: DownloadCounts | null }): NpmPackage {
  const { name, document, versions, time, tags } = packument;
  const version = chosenVersion(packument);
  const published = versions !== null && version !== null ? parsed(own(versions, version)) : undefined;
  const manifest = isObject(published) ? published : {};
  // The registry copies these fields from `latest` to the package, but some documents have them only in one of the two.
  const either = <T>(field: string, read: (value: unknown) => T | null): T | null =>
    read(own(document, field)) ?? read(own(manifest, field));
  const timeOf = (key: string | null) => (time === null || key === null ? null : isoDate(own(time, key)));
  return {
    name,
    version,
    description: either('description', textOf),
    author: either('author', value => listOf(value, personOf, ', ')),
    license: either('license', licenseOf) ?? either('licenses', licenseOf),
    homepage: either('homepage', value => firstOf(value, textOf)),
    repository: either('repository', value => firstOf(value, repositoryOf)),
    downloads_total: downloads?.year ?? null,
    downloads_last_month: downloads?.month ?? null,
    stars: null,
    forks: null,
    published_at: timeOf(version),
    last_updated: timeOf('modified'),
    keywords: either('keywords', keywordsOf),
    tags: tags === null ? null : jsonOf(tags),
    dependencies: dependenciesOf(manifest, 'dependencies'),
    dev_dependencies: dependenciesOf(manifest, 'devDependencies'),
    peer_dependencies: dependenciesOf(manifest, 'peerDependencies'),
    data: dataOf(packument, version === null || published === undefined ? [] : [[version, published]]),
    created_at: timeOf('created'),
    updated_at: null,
  };
}

/** The row of a deleted package: its name only. */
export function deletedRow(name: string): NpmPackage {
  const empty = { name, document: {}, versions: null, time: null, tags: null };
  return { ...packumentRow(empty, { downloads: null }), data: null };
}

/** `latest` where it names a version of the document, else the version published last. */
function chosenVersion({ versions, time, tags }: Packument): string | null {
  const latest = tags && textOf(own(tags, 'latest'));
  const exists = (version: string) => versions !== null && Object.hasOwn(versions, version);
  if (latest !== null && (exists(latest) || isEmpty(versions))) return latest;
  let newest: string | null = null;
  let newestAt = '';
  for (const [version, published] of Object.entries(time ?? {})) {
    const at = NO_VERSIONS.includes(version) || !(exists(version) || isEmpty(versions)) ? null : isoDate(published);
    if (at !== null && at >= newestAt) [newest, newestAt] = [version, at];
  }
  // Documents from before npm had `time` list their versions in the order of publication.
  return newest ?? Object.keys(versions ?? {}).at(-1) ?? latest;
}

/** The document as JSON, without readmes and with only the given versions. A note instead of JSON that is too large. */
function dataOf({ name, document }: Packument, versions: [string, unknown][]): string {
  const cut = versions.map(([key, manifest]) => [key, isObject(manifest) ? without(manifest, 'readme') : manifest]);
  const fields = Object.entries(without(document, 'readme'));
  const short = fields.map(([key, value]) => [
    key,
    key === 'versions' && isObject(value) ? Object.fromEntries(cut) : value,
  ]);
  // `fromEntries` makes own properties, also for `__proto__`.
  const text = jsonOf(Object.fromEntries(short));
  // The note has the name instead of the raw document's key, because only the lake builds keys.
  if (text === null) return JSON.stringify({ raw: { name }, bytes: null, reason: 'nested too deep' });
  const bytes = new TextEncoder().encode(text).byteLength;
  return bytes <= DATA_BYTES_MAX
    ? text
    : JSON.stringify({ raw: { name }, bytes, reason: `over ${DATA_BYTES_MAX} bytes` });
}

/** A person in npm's short form: `Name <email> (url)`. */
function personOf(value: unknown): string | null {
  if (!isObject(value)) return textOf(value);
  const email = textOf(own(value, 'email')) ?? textOf(own(value, 'mail'));
  const url = textOf(own(value, 'url')) ?? textOf(own(value, 'web'));
  const parts = [textOf(own(value, 'name')), email && `<${email}>`, url && `(${url})`];
  return parts.filter(part => part !== null).join(' ') || null;
}

/** `license` is a string, an object, or a list of these, which npm reads as alternatives. */
function licenseOf(value: unknown): string | null {
  const one = (item: unknown) =>
    isObject(item)
      ? ['type', 'name', 'url'].map(key => textOf(own(item, key))).find(text => text !== null)
      : textOf(item);
  return listOf(value, item => one(item) ?? null, ' OR ');
}

function repositoryOf(value: unknown): string | null {
  return isObject(value) ? textOf(own(value, 'url')) : textOf(value);
}

function keywordsOf(value: unknown): string | null {
  const texts = [value].flat().filter(item => typeof item === 'string');
  const keywords = texts.flatMap(text => text.split(',')).map(keyword => keyword.trim());
  return (
    keywords
      .filter(keyword => keyword !== '')
      .join(',')
      .toWellFormed() || null
  );
}

function dependenciesOf(manifest: JsonObject, field: string): string | null {
  const value = own(manifest, field);
  return isObject(value) ? jsonOf(value) : null;
}

function firstOf(value: unknown, read: (item: unknown) => string | null): string | null {
  return (
    [value]
      .flat()
      .map(read)
      .find(text => text !== null) ?? null
  );
}

function listOf(value: unknown, read: (item: unknown) => string | null, separator: string): string | null {
  return (
    [value]
      .flat()
      .map(read)
      .filter(text => text !== null)
      .join(separator) || null
  );
}

/** Text that UTF-8 can hold, which has no form for half a surrogate pair; null for blank text and other values. */
function textOf(value: unknown): string | null {
  return typeof value === 'string' && value.trim() !== '' ? value.toWellFormed() : null;
}

/** A date in ISO 8601, UTC; null for anything else and for a date without a zone. npm's ISO dates without one are in UTC. */
function isoDate(value: unknown): string | null {
  const text = typeof value === 'string' ? value.trim() : '';
  const iso = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?( ?Z| ?[+-]\d{2}:?\d{2})?$/i.exec(text);
  const zoned = iso
    ? `${text}${iso[1] && !iso[4] ? 'Z' : ''}`
    : /^[a-z]{3}.*( GMT| UTC|[+-]\d{4})/i.test(text)
      ? text
      : '';
  const atMs = Date.parse(zoned);
  if (Number.isNaN(atMs)) return null;
  const date = isoTime(atMs);
  return /^\d{4}-/.test(date) ? date : null;
}

/** The value as JSON; null when it is nested too deep for `JSON.stringify`. */
function jsonOf(value: unknown): string | null {
  try {
    return JSON.stringify(value);
  } catch {
    return null;
  }
}

/** Parses a part of a large document; only the chosen version is parsed. */
function parsed(value: unknown): unknown {
  return value instanceof Unread ? value.read() : value;
}

/** A property of the document itself: its keys come from an upstream, and may be names that every object inherits. */
function own(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function mapIn(document: JsonObject, field: string): JsonObject | null {
  const value = own(document, field) ?? null;
  if (value !== null && !isObject(value))
    throw wrongShape('npm package', { path: [field], expected: 'an object', value: document });
  return value;
}

function without(object: JsonObject, field: string): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([key]) => key !== field));
}

function isEmpty(map: JsonObject | null): boolean {
  return map === null || Object.keys(map).length === 0;
}
