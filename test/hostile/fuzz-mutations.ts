import { makeCoin } from '../../src/sources/stand-in/faults.ts';

/** The random numbers of a mutation, from 0 to below 1. */
export type Coin = () => number;

/** The random numbers of one document of a run, which do not depend on the documents before it. */
export function coinOf(seed: number, index: number): Coin {
  return makeCoin(Math.imul(seed, 2654435761) ^ Math.imul(index + 1, 40503));
}

type Json = unknown;
type Container = Record<string, Json> | Json[];

/** Marks JSON text that `JSON.stringify` cannot write; the part after the colon replaces the mark. */
const RAW = /"«raw:((?:[^"\\]|\\.)*)»"/g;
const raw = (text: string) => `«raw:${text}»`;

/** Fields that a row is made from, so that most mutations hit one that is read. */
const FIELDS = [
  '_id',
  '_rev',
  'name',
  'dist-tags',
  'versions',
  'time',
  'description',
  'author',
  'license',
  'licenses',
  'homepage',
  'repository',
  'keywords',
  'readme',
  'dependencies',
  'devDependencies',
  'peerDependencies',
  'latest',
  'created',
  'modified',
  'unpublished',
  'url',
  'type',
  'email',
  'results',
  'last_seq',
  'seq',
  'id',
  'changes',
  'rev',
  'deleted',
  'info',
  'version',
  'summary',
  'author_email',
  'license_expression',
  'project_urls',
  'home_page',
  'releases',
  'urls',
  'upload_time',
  'upload_time_iso_8601',
  'classifiers',
  'requires_dist',
  'last_serial',
  'project-status',
  'status',
  'meta',
  '_last-serial',
  'files',
  'projects',
];

const KEYS = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'toJSON',
  'then',
  'length',
  '',
  ' ',
  '0',
  // Texts that may confuse a reader that counts quotes and brackets.
  '\\"',
  '"]',
  '{"',
  '}\\',
  '\\\\',
  '[[',
  '\u0000',
  '\ud800',
  '\udfff\ud800',
  '../..',
  'a/b',
  '%2F',
  '%',
  "'",
  '"',
  '\\',
  '\u2028',
  '😀',
  'e\u0301',
];

const DATES = [
  '2020-02-30T00:00:00.000Z',
  '0000-00-00',
  '+275760-09-13T00:00:00.000Z',
  '-000001-01-01T00:00:00Z',
  '2020-13-01',
  '9999-12-31T23:59:59.999-23:59',
  '0001-01-01T00:00:00+23:59',
  '2016-12-31T23:59:60Z',
  '2020-01-01T24:00:00Z',
  'Thu, 01 Jan 1970 00:00:00 GMT',
  'Sat Feb 30 2020 00:00:00 GMT+0100',
  '1583000000000',
  '2020-01-01',
];

const TEXTS = [
  ...KEYS,
  ...DATES,
  'null',
  'NaN',
  'true',
  '1.0.0',
  'latest',
  'é',
  '\ufeff',
  '1-abc',
  '0-',
  '99999999999999999999-a',
  '-1-a',
  '1e3-a',
];

const NUMBERS = ['-0', '0', '1e400', '-1e400', '1e-400', '9007199254740993', '1e21', '0.1', '-1', '1E+2', '123e-1'];

/** Text lengths. The long one is rare, because it takes most of the time. */
const LENGTHS = [300, 1_000, 3_000, 70_000];
const LENGTH_RARE = 2_200_000;
const DEPTHS = [3, 10, 100, 500, 2_000, 20_000];

export function pick<T>(coin: Coin, from: readonly T[]): T {
  return from[Math.floor(coin() * from.length)]!;
}

/** An unexpected name: alone, repeated, or in a scope. */
export function hostileText(coin: Coin): string {
  const [first, second] = [pick(coin, TEXTS), pick(coin, KEYS)];
  if (coin() < 0.5) return first;
  return coin() < 0.5 ? `@${first}/${second}` : `${first}${second}`.repeat(1 + Math.floor(coin() * 300));
}

/** The text of a JSON document after some mutations of its structure. */
export function mutateStructure(text: string, coin: Coin): string {
  const holder: Json[] = [JSON.parse(text)];
  for (let left = 1 + Math.floor(coin() * 4); left > 0; left--) mutateOnce(holder, coin);
  return JSON.stringify(holder[0] ?? null).replace(RAW, (_, written: string) => JSON.parse(`"${written}"`) as string);
}

/** The bytes after some cuts, flips and insertions. */
export function mutateBytes(bytes: Uint8Array, coin: Coin): Uint8Array {
  let mutated = Buffer.from(bytes);
  for (let left = 1 + Math.floor(coin() * 3); left > 0; left--) mutated = mutateBytesOnce(mutated, coin);
  return mutated;
}

function mutateOnce(holder: Json[], coin: Coin): void {
  if (coin() < 0.1) {
    setOddDate(holder[0], coin);
    return;
  }
  const { parent, key } = pickField(holder, coin);
  const value = get(parent, key);
  const kind = Math.floor(coin() * 8);
  if (kind === 0) remove(parent, key);
  else if (kind === 1) set(parent, key, value === undefined ? null : raw(twice(value, coin)));
  else if (kind === 2) set(parent, key, [value, value]);
  else if (kind === 3) set(parent, key, { [pick(coin, FIELDS)]: value });
  else if (kind === 4) set(parent, pick(coin, coin() < 0.5 ? KEYS : FIELDS), value);
  else set(parent, key, otherValue(coin));
}

/** Picks a container and one of its keys, mostly a field that is read. */
function pickField(holder: Json[], coin: Coin): { parent: Container; key: string | number } {
  let parent: Container = holder;
  let key: string | number = 0;
  for (let depth = 0; depth < 12; depth++) {
    const value = get(parent, key);
    if (!isContainer(value) || (depth > 0 && coin() < 0.3)) break;
    const keys: (string | number)[] = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
    const read = keys.filter(name => FIELDS.includes(String(name)));
    const chosen = pick(coin, read.length > 0 && coin() < 0.7 ? read : keys);
    if (chosen === undefined) break;
    [parent, key] = [value, chosen];
  }
  return { parent, key };
}

/** Sets an unexpected date in a document's `time`. */
function setOddDate(document: Json, coin: Coin): void {
  const time = isContainer(document) ? get(document, 'time') : null;
  if (isContainer(time)) set(time, pick(coin, Object.keys(time)) ?? 'created', pick(coin, DATES));
}

function otherValue(coin: Coin): Json {
  const kind = Math.floor(coin() * 10);
  if (kind === 0) return null;
  if (kind === 1) return coin() < 0.5;
  if (kind === 2) return raw(pick(coin, NUMBERS));
  if (kind <= 5) return pick(coin, TEXTS);
  if (kind === 6) return pick(coin, TEXTS).repeat(1 + Math.floor(coin() * 30));
  if (kind === 7)
    return pick(coin, ['x', 'é', '😀', ',a', '"\\']).repeat(coin() < 0.02 ? LENGTH_RARE / 4 : pick(coin, LENGTHS));
  if (kind === 8) return nested(coin);
  return coin() < 0.5 ? [] : Object.fromEntries([[pick(coin, KEYS), pick(coin, TEXTS)]]);
}

function nested(coin: Coin): string {
  const depth = pick(coin, DEPTHS);
  return coin() < 0.5
    ? raw(`${'['.repeat(depth)}${']'.repeat(depth)}`)
    : raw(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`);
}

/** The text of an object with some fields twice, as JSON allows: with the same value, or with one of another kind. */
function twice(value: Json, coin: Coin): string {
  const textOf = (one: Json) => JSON.stringify(one).replaceAll(/«raw:|»/g, '');
  const fields = isContainer(value) && !Array.isArray(value) ? Object.entries(value) : [['latest', value] as const];
  const again = (field: Json) =>
    coin() < 0.3 ? textOf(field) : pick(coin, ['"text"', 'null', '[]', '{}', '{"a":[1]}']);
  const written = fields.map(([key, field]) => {
    const once = `${JSON.stringify(key)}:${textOf(field)}`;
    return coin() < 0.5 ? once : `${once},${JSON.stringify(key)}:${again(field)}`;
  });
  return `{${written.join(',')}}`;
}

function mutateBytesOnce(bytes: Buffer<ArrayBuffer>, coin: Coin): Buffer<ArrayBuffer> {
  const at = Math.floor(coin() * (bytes.length + 1));
  const kind = Math.floor(coin() * 5);
  if (kind === 0) return bytes.subarray(0, at);
  if (kind === 1) {
    const flipped = Buffer.from(bytes);
    if (at < bytes.length) flipped[at] = flipped[at]! ^ (1 << Math.floor(coin() * 8));
    return flipped;
  }
  const until = Math.min(bytes.length, at + Math.floor(coin() * 60));
  if (kind === 2) return Buffer.concat([bytes.subarray(0, at), bytes.subarray(until)]);
  if (kind === 3) return Buffer.concat([bytes.subarray(0, until), bytes.subarray(at)]);
  const token = pick(coin, [
    'null',
    '1e400',
    '[]',
    '{}',
    '"',
    '\\',
    ',',
    ':',
    '}',
    '\\ud800',
    '\u0000',
    '\ufeff',
    '<',
    'é',
  ]);
  const inserted = coin() < 0.2 ? Buffer.from([Math.floor(coin() * 256)]) : Buffer.from(token);
  return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at)]);
}

function isContainer(value: Json): value is Container {
  return typeof value === 'object' && value !== null;
}

function get(parent: Container, key: string | number): Json {
  return Object.hasOwn(parent, key) ? (parent as Record<string | number, Json>)[key] : undefined;
}

function set(parent: Container, key: string | number, value: Json): void {
  // An assignment would not make a field of `__proto__`. A list takes only numbers as keys.
  const name = Array.isArray(parent) && typeof key === 'string' ? parent.length : key;
  Object.defineProperty(parent, name, { value, writable: true, enumerable: true, configurable: true });
}

function remove(parent: Container, key: string | number): void {
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
}
