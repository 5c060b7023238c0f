import type { PypiPackage } from '../../../schemas/pypi_package.ts';
import { ChangeError } from '../../errors.ts';
import { isoTime } from '../../time.ts';
import { isObject, type JsonObject, wrongShape } from '../upstream/json.ts';
import type { Downloads } from './downloads.ts';
import { uploadsIn, uploadsOf } from './files.ts';
import { keywordsOf } from './keywords.ts';
import { linksOf } from './links.ts';
import { authorOf } from './people.ts';
import { keyOf } from './project-name.ts';
import { textOf } from './text.ts';

const SUBJECT = 'pypi project';

/** The map that makes a document large: a row needs only the times of its files. */
export const RELEASES = 'releases';

/** Parts of a document that list files. `data` goes without them, and without the long description. */
const FILES = [RELEASES, 'urls'];

/** A project's document. Members of `releases` may be `Unread`. */
export interface Project {
  key: string;
  document: JsonObject;
  info: JsonObject;
  releases: JsonObject | null;
  /** The serial of the project's newest row in the feed when the document was made; null where it does not say. */
  serial: number | null;
}

/** Reads a document as that of the project under a key. Throws `wrong-shape` or `name-mismatch`. */
export function readProject(document: unknown, key: string): Project {
  if (!isObject(document)) throw wrongShape(SUBJECT, { path: [], expected: 'an object', value: document });
  const info = mapIn(document, 'info');
  if (!info) throw wrongShape(SUBJECT, { path: ['info'], expected: 'an object', value: document });
  const name = own(info, 'name');
  if (typeof name !== 'string')
    throw wrongShape(SUBJECT, { path: ['info', 'name'], expected: 'text', value: document });
  if (keyOf(name) !== key)
    throw new ChangeError('name-mismatch', `${SUBJECT}: expected info.name to be the requested project, got another`);
  const serial = own(document, 'last_serial');
  return {
    key,
    document,
    info,
    releases: mapIn(document, RELEASES),
    serial: Number.isSafeInteger(serial) ? (serial as number) : null,
  };
}

/** What a row has besides the document: counts, and the status that only the simple index shows. */
export interface Known {
  downloads: Downloads | null;
  status: string | null;
}

/** The row of a project. Columns about a release are about the one that the index names as the newest. */
export function projectRow({ key, document, info, releases }: Project, known: Known): PypiPackage {
  const version = textOf(own(info, 'version'));
  const { all, one } = uploadsOf(releases ?? {}, version);
  // The files of the newest release are in the document twice; where `releases` is missing they are in `urls` only.
  const publishedMs = one.firstMs ?? uploadsIn(own(document, 'urls')).firstMs;
  const { homepage, repository } = linksOf(info);
  return {
    name: key,
    version,
    description: textOf(own(info, 'summary')),
    author: authorOf(info),
    license: licenseOf(info),
    homepage,
    repository,
    downloads_total: known.downloads?.total ?? null,
    downloads_last_month: known.downloads?.month ?? null,
    published_at: isoTime(publishedMs),
    last_updated: isoTime(all.lastMs),
    keywords: keywordsOf(own(info, 'keywords')),
    classifiers: textsOf(own(info, 'classifiers')),
    requires_dist: textsOf(own(info, 'requires_dist')),
    data: dataOf(document, info, known.status),
    created_at: isoTime(all.firstMs),
    updated_at: null,
  };
}

/** The row of a project about which nothing but its name is known: one without releases, or one that is gone. */
export function bareRow(key: string, { downloads, status }: Known = { downloads: null, status: null }): PypiPackage {
  const empty = { key, document: {}, info: {}, releases: null, serial: null };
  return { ...projectRow(empty, { downloads, status }), data: null };
}

/** The expression, else the licence field where it names a licence and is not the text of one. */
function licenseOf(info: JsonObject): string | null {
  const text = textOf(own(info, 'license_expression')) ?? textOf(own(info, 'license'));
  const line = text?.trim() ?? null;
  return line === null || /[\r\n]/.test(line) ? null : line;
}

function textsOf(value: unknown): string | null {
  return Array.isArray(value) ? JSON.stringify(value.filter(item => typeof item === 'string')) : null;
}

/** The document as JSON, without description and files, and with the project's status where it is known. */
function dataOf(document: JsonObject, info: JsonObject, status: string | null): string {
  const fields = without(document, FILES).map(([name, value]) => [
    name,
    name === 'info' ? Object.fromEntries(without(info, ['description'])) : value,
  ]);
  // In the form of the simple index, from which it is. `fromEntries` makes own properties, also for `__proto__`.
  if (status !== null) fields.push(['project-status', { status }]);
  try {
    return JSON.stringify(Object.fromEntries(fields));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return JSON.stringify({ reason: 'nested too deep' });
  }
}

function without(object: JsonObject, names: string[]): [string, unknown][] {
  return Object.entries(object).filter(([name]) => !names.includes(name));
}

/** A property of the document itself: its keys come from an upstream, and may be names that every object inherits. */
function own(object: JsonObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

function mapIn(document: JsonObject, field: string): JsonObject | null {
  const value = own(document, field) ?? null;
  if (value !== null && !isObject(value))
    throw wrongShape(SUBJECT, { path: [field], expected: 'an object', value: document });
  return value;
}
