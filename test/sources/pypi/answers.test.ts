import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { pypiPackage } from '../../../schemas/pypi_package.ts';
import { ChangeError, CursorError } from '../../../src/errors.ts';
import { checkRow } from '../../../src/loader/rows.ts';
import type { Change } from '../../../src/ports/change.ts';
import { downloadsFor } from '../../../src/sources/pypi/downloads.ts';
import { readRows } from '../../../src/sources/pypi/feed.ts';
import { projectRow, RELEASES, readProject } from '../../../src/sources/pypi/project.ts';
import { pypi } from '../../../src/sources/pypi/pypi.ts';
import { readSimplePage } from '../../../src/sources/pypi/simple.ts';
import { readSimpleIndex } from '../../../src/sources/pypi/simple-index.ts';
import type { SourceContext } from '../../../src/sources/source.ts';
import { parseJson } from '../../../src/sources/upstream/json.ts';
import { parseLarge } from '../../../src/sources/upstream/json-large.ts';
import { numberOf, seedOf } from '../../budget.ts';
import { type Coin, coinOf, hostileText, mutateBytes, mutateStructure, pick } from '../../hostile/fuzz-mutations.ts';
import { changeOf, faultXml, pageXml, type SentRow, settingsFor } from './upstream.ts';

const ANSWERS = numberOf('PYPI_ANSWERS', 10_000);
const SEED = seedOf('PYPI_SEED');

/** More values than any mutated answer has. */
const VALUES = 10_000_000;
const CURSOR = 100;
const ISO_DATE = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
const REASONS = ['wrong-shape', 'truncated', 'malformed-json', 'not-json', 'name-mismatch', 'too-large'];

const folder = path.resolve(import.meta.dirname, '../../fixtures/pypi/json');
const documents = readdirSync(folder).map(file => ({
  key: path.basename(file, '.json'),
  text: readFileSync(path.join(folder, file), 'utf8'),
}));
const bytesOf = (text: string) => new TextEncoder().encode(text);

/** What reading an answer gave: a value, or the reason of an error of the closed lists. Rethrows any other error. */
async function outcomeOf<T>(read: () => T | Promise<T>): Promise<{ value: T } | { reason: string }> {
  try {
    return { value: await read() };
  } catch (error) {
    if (error instanceof CursorError) return { reason: 'cursor' };
    if (!(error instanceof ChangeError)) throw error;
    expect(error.message).toMatch(/^pypi (page|project|simple|index|downloads): expected .+, got .+/s);
    if (!error.reason.startsWith('http-')) expect(REASONS).toContain(error.reason);
    return { reason: error.reason };
  }
}

const ACTIONS = [
  'create',
  'new release',
  'remove project',
  'add py3 file a.whl',
  'yank release',
  'add Owner é<&>',
  null,
];

function sentRows(coin: Coin): SentRow[] {
  let serial = CURSOR;
  return Array.from({ length: Math.floor(coin() * 8) }, () => {
    serial += 1 + Math.floor(coin() * 3);
    const name =
      coin() < 0.2
        ? hostileText(coin).toWellFormed().replaceAll('\r', '')
        : pick(coin, ['A.b', 'a-B', 'c', '__proto__']);
    return [name, coin() < 0.5 ? '1.0' : null, 1_700_000_000, pick(coin, ACTIONS), serial];
  });
}

/** The rows with one that is not as it should be. */
function mutateRows(rows: SentRow[], coin: Coin): unknown[][] {
  const mutated: unknown[][] = rows.map(row => [...row]);
  const row = mutated.length > 0 ? pick(coin, mutated) : [];
  const at = Math.floor(coin() * row.length);
  const kind = Math.floor(coin() * 5);
  if (kind === 0) row.splice(at, 1);
  else if (kind === 1) row.push(pick(coin, ['x', 5, null]));
  else if (kind === 2) row[at] = pick<unknown>(coin, [null, '', 0, -1, 2 ** 53, 'é', [], [1]]);
  else if (kind === 3) mutated.reverse();
  else mutated.splice(at, 0, []);
  return mutated;
}

/** A page is refused as a whole, or its changes rise and each key has one that is loaded, its last. */
async function checkPage(coin: Coin): Promise<string> {
  const sent = sentRows(coin);
  const kind = coin();
  const isMutated = kind < 0.6;
  const isFault = coin() < 0.05;
  const rows = kind < 0.4 ? mutateRows(sent, coin) : sent;
  const text = isFault ? faultXml(pick(coin, [-32500, -32602, -32403, 0]), hostileText(coin)) : pageXml(rows);
  const bytes = kind < 0.6 && kind >= 0.3 ? mutateBytes(bytesOf(text), coin) : bytesOf(text);
  const outcome = await outcomeOf(() => readRows(bytes, CURSOR));
  if ('reason' in outcome) {
    if (!isMutated) expect(isFault).toBe(true);
    return outcome.reason;
  }
  const { changes, last } = outcome.value;
  expect(last).toBe(changes.length === 0 ? null : Number(changes.at(-1)!.cursor));
  checkChanges(changes);
  if (!isMutated) expect(changes.map(({ revision }) => revision)).toEqual(sent.map(row => row[4]));
  return 'page';
}

function checkChanges(changes: Change[]): void {
  let before = CURSOR;
  const last = new Map(changes.map(change => [change.key, change]));
  for (const change of changes) {
    expect(change.revision).toBeGreaterThan(before);
    before = change.revision!;
    expect(pypi.feed!.parse(change.cursor)).toBe(String(change.revision));
    expect(change.skip).toBe(last.get(change.key) === change ? null : 'coalesced');
  }
}

/** A document is refused, or gives a row that the table takes, and the same one however it was parsed. */
async function checkDocument(coin: Coin): Promise<string> {
  const { key, text } = pick(coin, documents);
  const structural = bytesOf(coin() < 0.85 ? mutateStructure(text, coin) : text);
  const bytes = coin() < 0.2 ? mutateBytes(structural, coin) : structural;
  const answer = { bytes, contentType: 'application/json', encoded: coin() < 0.5 };
  const known = { downloads: null, status: coin() < 0.5 ? 'archived' : null };
  const read = (parse: () => unknown) => outcomeOf(() => projectRow(readProject(parse(), key), known));
  const outcome = await read(() => parseJson('pypi project', answer, VALUES));
  const large = await read(() => parseLarge('pypi project', answer, { unread: RELEASES, valuesMax: VALUES }));
  if ('reason' in outcome) {
    // The two parsers find faults in another order.
    expect(large).toHaveProperty('reason');
    return outcome.reason;
  }
  expect(large).toEqual(outcome);
  const { row } = checkRow({ table: pypiPackage.name, op: 'upsert', row: outcome.value });
  expect(row.name).toBe(key);
  for (const column of ['published_at', 'last_updated', 'created_at'])
    if (row[column]) expect(row[column]).toMatch(ISO_DATE);
  for (const column of ['classifiers', 'requires_dist'])
    if (row[column]) expect(JSON.parse(row[column] as string)).toBeInstanceOf(Array);
  expect(typeof JSON.parse(row.data as string)).toBe('object');
  return 'row';
}

const SIMPLE = JSON.stringify({
  files: [{ filename: 'a-1.tar.gz', hashes: { sha256: 'x' }, 'upload-time': '2024-01-01T00:00:00Z' }],
  meta: { '_last-serial': 5, 'api-version': '1.4' },
  name: 'a',
  'project-status': { status: 'archived' },
  versions: ['1'],
});

async function checkSimplePage(coin: Coin): Promise<string> {
  const structural = bytesOf(mutateStructure(SIMPLE, coin));
  const bytes = coin() < 0.4 ? mutateBytes(structural, coin) : structural;
  const outcome = await outcomeOf(() => readSimplePage({ bytes, contentType: null }, 'a'));
  if ('reason' in outcome) return outcome.reason;
  const { status, serial, hasFiles } = outcome.value;
  expect([typeof status, typeof hasFiles]).toEqual(['string', 'boolean']);
  expect(serial === null || Number.isSafeInteger(serial)).toBe(true);
  return 'simple page';
}

const INDEX = JSON.stringify({
  meta: { '_last-serial': 9 },
  projects: ['A.b', 'c', 'd'].map((name, i) => ({ '_last-serial': i, name })),
});

/** An index is read whole or refused, and gives the same whatever the size of its chunks. */
async function checkIndex(coin: Coin): Promise<string> {
  const structural = bytesOf(mutateStructure(INDEX, coin));
  const bytes = coin() < 0.4 ? mutateBytes(structural, coin) : structural;
  const size = 1 + Math.floor(coin() * 40);
  const read = (chunkBytes: number) =>
    outcomeOf(async () => {
      async function* chunks() {
        for (let from = 0; from < bytes.length; from += chunkBytes) yield bytes.subarray(from, from + chunkBytes);
      }
      const keys: unknown[] = [];
      for await (const some of readSimpleIndex(chunks())) keys.push(...some);
      return keys;
    });
  const outcome = await read(bytes.length + 1);
  // Long texts take long in small chunks.
  if (bytes.length > 5000) return 'long index';
  const again = await read(size);
  if ('reason' in outcome) expect(again).toHaveProperty('reason');
  else expect(again).toEqual(outcome);
  return 'reason' in outcome ? outcome.reason : 'index';
}

async function checkDownloads(coin: Coin): Promise<string> {
  const line = (project: string) => JSON.stringify({ project, day: '2026-11-27', month: '30', total: '400' });
  const mutated = ['a', 'b'].map(key => (coin() < 0.5 ? mutateStructure(line(key), coin) : line(key)));
  const bytes = mutateBytes(bytesOf(mutated.join('\n')), coin);
  const fetchRaw = async (_: string, { read }: { read: (body: { bytes: Uint8Array }) => unknown }) => ({
    value: read({ bytes }),
  });
  const ctx = { settings: settingsFor('http://127.0.0.1:9'), fetchRaw } as unknown as SourceContext<never>;
  const outcome = await outcomeOf(() => pypi.prepare!([changeOf('a'), changeOf('b')], ctx));
  if ('reason' in outcome) return outcome.reason;
  for (const key of ['a', 'b', 'c']) {
    const { month = null, total = null } = downloadsFor(outcome.value, key) ?? {};
    for (const count of [month, total])
      expect(count === null || (Number.isSafeInteger(count) && count >= 0)).toBe(true);
    if (key === 'c') expect(month).toBeNull();
  }
  return 'downloads';
}

/** One of so many answers is of each kind; the rest are pages and documents. */
const KINDS = [
  checkPage,
  checkDocument,
  checkPage,
  checkDocument,
  checkPage,
  checkSimplePage,
  checkIndex,
  checkDownloads,
];

test(`${ANSWERS} mutated answers are read, or refused for a reason of the closed lists`, {
  timeout: 3_600_000,
}, async () => {
  const counts: Record<string, number> = {};
  for (let index = 0; index < ANSWERS; index++) {
    const check = KINDS[index % KINDS.length]!;
    try {
      const name = await check(coinOf(SEED, index));
      counts[name] = (counts[name] ?? 0) + 1;
    } catch (error) {
      throw new Error(`answer ${index} of PYPI_SEED=${SEED} (${check.name})`, { cause: error });
    }
  }
  process.stdout.write(`pypi answers: seed ${SEED}, ${ANSWERS} answers: ${JSON.stringify(counts)}\n`);
  if (ANSWERS >= 1000)
    for (const name of ['page', 'row', 'simple page', 'index', 'downloads', 'truncated'])
      expect(counts[name]).toBeGreaterThan(0);
});
