import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { npmPackage } from '../../schemas/npm_package.ts';
import type { Row } from '../../schemas/table.ts';
import { LIMITS } from '../../src/config.ts';
import { ChangeError, messageOf } from '../../src/errors.ts';
import type { Change, Page } from '../../src/ports/change.ts';
import type { LoadOutcome } from '../../src/ports/loader.ts';
import { CHANGE_KEY_LENGTH_MAX } from '../../src/ports/sql-guard.ts';
import { npm } from '../../src/sources/npm/npm.ts';
import { packumentRow, readPackument, VERSIONS } from '../../src/sources/npm/packument.ts';
import { NPM_RECORDINGS, readRecording, readRecordings } from '../../src/sources/npm/stand-in/recordings.ts';
import { parseJson } from '../../src/sources/upstream/json.ts';
import { parseLarge } from '../../src/sources/upstream/json-large.ts';
import { numberOf, seedOf } from '../budget.ts';
import { type Case, Journey, pullBody, rawKeyOf } from './fuzz-journey.ts';
import { type Coin, coinOf, hostileText, mutateBytes, mutateStructure, pick } from './fuzz-mutations.ts';

const DOCUMENTS = numberOf('FUZZ_DOCUMENTS', 3_000);
const SEED = seedOf('FUZZ_SEED');
/** Documents of one call, which is one append. */
const CALL_DOCUMENTS = 50;
/** Calls whose rows are written into files and read back together. */
const FILE_CALLS = 40;
const RECORDING_BYTES_MAX = 8_000;
/** A page of the feed is pulled for every so many documents, and later documents get its names. */
const PAGE_EVERY = 20;

/** One of so many documents is also parsed like a large one. */
const BOTH_PARSERS_EVERY = 5;

const ISO_DATE = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
const DATES = ['published_at', 'last_updated', 'created_at'];
const MAPS = ['tags', 'dependencies', 'dev_dependencies', 'peer_dependencies', 'data'];
/** More values than any mutated document has. */
const VALUES = 1_000_000;

const PARK_REASONS = ['malformed-json', 'not-json', 'wrong-shape', 'name-mismatch', 'key-too-long', 'row-too-large'];

const recordings = readRecordings(NPM_RECORDINGS);
const recorded = [...recordings.packuments.values()]
  .filter(({ bytes }) => bytes <= RECORDING_BYTES_MAX)
  .map(recording => ({ name: recording.name, text: readRecording(NPM_RECORDINGS, recording) }));
const handMade = [...recordings.handMade.values()].flatMap(({ name, faults }) => {
  const file = faults.at(-1)?.bodyFile;
  const text = file?.endsWith('.json') ? readFileSync(path.join(NPM_RECORDINGS, 'hand-made', file), 'utf8') : '';
  return text !== '' && text.length <= RECORDING_BYTES_MAX ? [{ name, text }] : [];
});
const bases = [...recorded, ...handMade].map(base => ({ ...base, bytes: new TextEncoder().encode(base.text) }));
const FEED_ROWS = 8;

function mutated(base: { text: string; bytes: Uint8Array }, coin: Coin): Uint8Array {
  const structural = coin() < 0.85;
  const text = structural ? new TextEncoder().encode(mutateStructure(base.text, coin)) : base.bytes;
  return structural && coin() < 0.9 ? text : mutateBytes(text, coin);
}

function caseOf(index: number, key: string | null): Case {
  const coin = coinOf(SEED, index);
  const base = pick(coin, bases);
  const name = key ?? base.name;
  const document = key === null ? base : renamed(base.text, key);
  const revision = coin() < 0.5 ? 1 : null;
  const change: Change = { key: name, cursor: String(index + 1), deleted: coin() < 0.02, revision, skip: null };
  return { change, body: key === null ? mutated(document, coin) : document.bytes };
}

/** A good document of another name. */
function renamed(text: string, name: string): { text: string; bytes: Uint8Array } {
  const document = JSON.parse(text) as Record<string, unknown>;
  const other = JSON.stringify({ ...document, _id: name, name });
  return { text: other, bytes: new TextEncoder().encode(other) };
}

/** A page of the recorded feed: mutated anywhere, or good except for hostile names. */
function pageOf(coin: Coin): Uint8Array {
  const from = Math.floor(coin() * (recordings.feed.length - FEED_ROWS));
  const results = recordings.feed.slice(from, from + FEED_ROWS);
  const page = { results, last_seq: results.at(-1)!.seq };
  if (coin() < 0.5) page.results = results.map(row => ({ ...row, id: hostileText(coin) }));
  const text = JSON.stringify(page);
  const bytes = new TextEncoder().encode(text);
  return coin() < 0.4 ? bytes : mutated({ text, bytes }, coin);
}

/** A key in the form that the engine stores. */
function storedKey(key: string): string {
  return key.slice(0, CHANGE_KEY_LENGTH_MAX).toWellFormed();
}

/** Like `expect`, at a tenth of its time. */
function ensure(holds: boolean, expected: string): void {
  if (!holds) throw new Error(`expected ${expected}`);
}

function checkPage(page: Page, cursor: string): void {
  let last = Number(cursor);
  for (const { key, cursor, deleted, revision, skip } of page.changes) {
    expect(Number(npm.feed!.parse(cursor))).toBeGreaterThan(last);
    last = Number(cursor);
    expect([typeof key, typeof deleted]).toEqual(['string', 'boolean']);
    expect(revision === null || Number.isSafeInteger(revision)).toBe(true);
    expect([null, 'internal-document']).toContain(skip);
  }
  expect(Number(npm.feed!.parse(page.cursor))).toBeGreaterThanOrEqual(last);
  if (page.changes.length > 0) expect(page.cursor).toBe(page.changes.at(-1)!.cursor);
  if (page.head !== null) npm.feed!.parse(page.head);
}

function checkOutcome({ change, body }: Case, outcome: LoadOutcome) {
  if (outcome.kind === 'park') {
    ensure(PARK_REASONS.includes(outcome.reason), `a known reason, got ${outcome.reason}`);
    // A detail names paths and kinds, never a value of an upstream.
    ensure(outcome.detail.length < 300, 'a detail that quotes no value');
    return;
  }
  if (outcome.kind !== 'rows') throw new Error(`expected rows or a parked change, got ${outcome.kind}`);
  ensure(outcome.rows.length === 1, 'one row');
  const { op, row } = outcome.rows[0]!;
  if (op === 'upsert') checkRow(row, JSON.parse(new TextDecoder().decode(body)) as Record<string, unknown>);
  checkStorable(row, change.key);
}

/** A document gives the same row whether it is parsed like a small one or like a large one. */
function checkBothParsers({ change: { key }, body: bytes }: Case): void {
  const rowText = (parse: () => unknown) => {
    try {
      return JSON.stringify(packumentRow(readPackument(parse(), key), { downloads: null }));
    } catch (error) {
      if (error instanceof ChangeError) return error.reason;
      throw error;
    }
  };
  const answer = { bytes, contentType: null, encoded: false };
  const [small, large] = [
    () => parseJson('it', answer, VALUES),
    () => parseLarge('it', answer, { unread: VERSIONS, valuesMax: VALUES }),
  ].map(rowText);
  if (small === large) return;
  const at = [...small!].findIndex((character, index) => character !== large![index]);
  const [expected, actual] = [small, large].map(text => text!.slice(Math.max(0, at - 60), at + 60));
  throw new Error(`parsed like a large document: expected …${expected}…, got …${actual}…`);
}

/** The stored document of a name has the bytes of one of its cases. */
function checkRaw({ bucket }: Journey, cases: Case[], name: string): void {
  const stored = bucket.objects.get(rawKeyOf(name)!)?.bytes;
  const sent = cases.filter(({ change }) => change.key === name).map(({ body }) => body);
  ensure(
    stored !== undefined && sent.some(body => Buffer.compare(body, stored) === 0),
    'a document stored as it was received',
  );
}

/** The row fits its table, and is the same after it was JSON text in SQLite. */
function checkStorable(row: Row, name: string): void {
  ensure(row.name === name, 'the requested name');
  const read = npmPackage.validator.safeParse(row);
  if (!read.success) throw read.error;
  const text = JSON.stringify(row);
  ensure(Buffer.byteLength(text) <= LIMITS.rowBytesMax, 'a row within its limit');
  ensure(text.isWellFormed(), 'well-formed text');
  const back = JSON.parse(text) as Row;
  for (const { name: column, type } of npmPackage.columns.slice(0, -3)) {
    const value = row[column] ?? null;
    if (!Object.is(back[column], value)) throw new Error(`${column}: not the same after JSON`);
    if (value === null) continue;
    if (typeof value !== (type === 'utf8' ? 'string' : 'number')) throw new Error(`${column}: a ${typeof value}`);
    if (typeof value === 'string' && !value.isWellFormed()) throw new Error(`${column}: half a character`);
  }
}

/** The row of a file is equal to the loaded row. */
function checkReadBack({ _lsn, ...read }: Row, row: Row): void {
  for (const [column, value] of Object.entries(row)) {
    // The file has a text's leading byte order mark, but the decoder of some readers drops it.
    const shownAs = typeof value === 'string' ? value.replace(/^\ufeff/, '') : value;
    if (column === 'updated_at' || [value, shownAs].includes(read[column]!)) continue;
    const [expected, actual] = [value, read[column]].map(shown => JSON.stringify(shown)?.slice(0, 80));
    throw new Error(`row ${String(_lsn)}, ${column}: expected ${expected}, got ${actual}`);
  }
}

/** The row's values are valid, and its version is one of the document's. */
function checkRow(row: Row, document: Record<string, unknown>): void {
  for (const column of DATES) {
    const date = row[column] as string | null;
    if (date !== null && !(ISO_DATE.test(date) && new Date(date).toISOString() === date))
      throw new Error(`${column}: no date: ${date}`);
  }
  for (const column of MAPS) {
    const text = row[column] as string | null;
    const value: unknown = text === null ? {} : JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${column}: no object`);
  }
  checkVersion(row, document);
}

function checkVersion({ version, published_at }: Row, document: Record<string, unknown>): void {
  const { versions, time, 'dist-tags': tags } = document as Record<string, Record<string, unknown> | null | undefined>;
  const names = Object.keys(versions ?? {});
  const wellFormed = names.map(name => name.toWellFormed());
  ensure(names.length === 0 || wellFormed.includes(String(version)), 'an existing version');
  const latest = tags && Object.hasOwn(tags, 'latest') ? tags.latest : null;
  if (typeof latest === 'string' && latest.trim() !== '' && names.includes(latest))
    ensure(version === latest, 'the version that latest names');
  if (published_at === null) return;
  const dates = Object.entries(time ?? {}).filter(([name]) => name.toWellFormed() === version);
  ensure(
    dates.some(([, date]) => typeof date === 'string'),
    'an existing date of publication',
  );
}

const timeoutMs = 120_000 + DOCUMENTS * 5;

test(`${DOCUMENTS} mutated documents and ${DOCUMENTS / PAGE_EVERY} pages (seed ${SEED}) end as rows, or parked for a known reason`, {
  timeout: timeoutMs,
}, async () => {
  const startedMs = performance.now();
  let journey = new Journey();
  const counts = new Map<string, number>();
  const count = (outcome: string, by = 1) => counts.set(outcome, (counts.get(outcome) ?? 0) + by);
  const keys: string[] = [];
  let index = 0;
  let loaded: Row[] = [];

  const readBack = async () => {
    const read = await journey.writeFiles();
    for (const [at, row] of loaded.entries()) {
      checkReadBack(read[at]!, row);
    }
    expect(read).toHaveLength(loaded.length);
    journey.expectBalance();
    count('rows', journey.rows);
    count('deletes', journey.deletes);
    for (const [reason, parked] of journey.parked) count(reason, parked);
    loaded = [];
    journey.close();
    journey = new Journey();
  };

  for (let call = 0; index < DOCUMENTS; call++) {
    const cases: Case[] = [];
    while (cases.length < CALL_DOCUMENTS && index < DOCUMENTS) {
      if (index % PAGE_EVERY === 0) {
        const page = await pullBody(pageOf(coinOf(SEED, ~index)), '0').catch(error =>
          Promise.reject(reproducible(error, `page ${index}`)),
        );
        count(typeof page === 'string' ? `page: ${page}` : 'page: good');
        if (typeof page === 'string') expect(page).toBe('shape');
        else {
          checkPage(page, '0');
          keys.push(
            ...page.changes.map(change => storedKey(change.key)).filter(key => !recordings.packuments.has(key)),
          );
        }
      }
      cases.push(caseOf(index, keys.pop() ?? null));
      index += 1;
    }
    const outcomes = await journey
      .load(cases)
      .catch(error => Promise.reject(reproducible(error, `documents before ${index}`)));
    for (const [at, outcome] of outcomes.entries()) {
      try {
        checkOutcome(cases[at]!, outcome);
        if (at % BOTH_PARSERS_EVERY === 0) checkBothParsers(cases[at]!);
        if (outcome.kind === 'rows' && outcome.documentBytes > 0) checkRaw(journey, cases, cases[at]!.change.key);
      } catch (error) {
        throw reproducible(error, `document ${cases[at]!.change.cursor}`);
      }
      if (outcome.kind === 'rows') loaded.push(outcome.rows[0]!.row);
    }
    if (call % FILE_CALLS === FILE_CALLS - 1) await readBack();
  }
  await readBack();
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(
    `fuzz: seed ${SEED}, ${DOCUMENTS} documents in ${seconds} s: ${JSON.stringify(Object.fromEntries(counts))}`,
  );
  // A run with one kind of outcome only would test nothing.
  for (const outcome of ['rows', 'malformed-json', 'wrong-shape', 'name-mismatch', 'page: good', 'page: shape'])
    expect(counts.get(outcome) ?? 0, outcome).toBeGreaterThan(DOCUMENTS / 2000);
});

/** The error with the seed and the position that reproduce it. */
function reproducible(error: unknown, subject: string): Error {
  return new Error(`FUZZ_SEED=${SEED}, ${subject}: ${messageOf(error)}`, {
    cause: error,
  });
}
