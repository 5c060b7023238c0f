import { expect, vi } from 'vitest';
import { npmPackage } from '../../schemas/npm_package.ts';
import type { Row } from '../../schemas/table.ts';
import { RowBuffer } from '../../src/engine/flush/row-buffer.ts';
import { TAIL } from '../../src/engine/journal/changes.ts';
import { JournalFiles } from '../../src/engine/journal/files.ts';
import { Journal } from '../../src/engine/journal/journal.ts';
import { openJournal } from '../../src/engine/journal/open.ts';
import { rawKey } from '../../src/lake/object-keys.ts';
import { runStep } from '../../src/loader/steps.ts';
import type { Change, Page } from '../../src/ports/change.ts';
import type { Permit } from '../../src/ports/hosts.ts';
import { LOAD_BYTES_MAX } from '../../src/ports/load-call.ts';
import type { LoadOutcome } from '../../src/ports/loader.ts';
import { npm } from '../../src/sources/npm/npm.ts';
import type { Source } from '../../src/sources/source.ts';
import { PARQUET } from '../simulation/world/encode.ts';
import { nodeSql } from '../simulation/world/node-sql.ts';
import { LoaderBucket } from './loader-bucket.ts';

const ORIGIN = 'http://upstream.test';
const NOW_MS = Date.UTC(2026, 10, 24);

/** A change, and the body of the answer to the request for its document. */
export interface Case {
  change: Change;
  body: Uint8Array;
}

const settings = npm.settings({
  NPM_FEED_URL: `${ORIGIN}/registry`,
  NPM_REGISTRY_URL: ORIGIN,
  NPM_DOWNLOADS_URL: ORIGIN,
});

const source = npm as unknown as Source;
const host = new URL(ORIGIN).host;

/** Answers each request with the next body for its path; everything but `fetch` is real. */
function stubFetch(bodies: Map<string, Uint8Array[]>): void {
  const headers = { 'content-type': 'application/json' };
  vi.stubGlobal('fetch', async (url: string) => {
    const { origin, pathname } = new URL(url);
    if (origin !== ORIGIN) throw new Error(`expected a request to ${ORIGIN}, got one to ${origin}`);
    const body = bodies.get(pathname)?.shift();
    return new Response(body as Uint8Array<ArrayBuffer> | undefined, { status: body ? 200 : 404, headers });
  });
}

function permits(count: number): Permit[] {
  return [{ host, count, startAtMs: 0, intervalMs: 0 }];
}

/** Pulls a page whose answer has this body. Returns the kind of the failure when it is not a page. */
export async function pullBody(body: Uint8Array, cursor: string): Promise<Page | string> {
  const head = Buffer.from('{"update_seq":99999}');
  stubFetch(
    new Map([
      ['/', [head]],
      ['/registry/_changes', [body]],
    ]),
  );
  const loading = { source, settings, contact: 'tests', bucket: new LoaderBucket(), now: () => NOW_MS };
  const answer = await runStep(loading, 'pull', { cursor, poll: 0, permits: permits(2) });
  return answer.ok ? answer.value : answer.failure.kind;
}

/** Loads rows, journals them and writes them into a file as the engine does, all in memory. */
export class Journey {
  readonly bucket = new LoaderBucket();
  readonly parked = new Map<string, number>();
  rows = 0;
  deletes = 0;
  filedRows = 0;
  readonly #sql = nodeSql();
  readonly #journal: Journal;
  readonly #files: JournalFiles;
  #changes = 0;

  constructor() {
    openJournal(this.#sql, npm.id, [npmPackage.name]);
    this.#journal = new Journal(this.#sql, PARQUET.port, {
      pace: { waitMs: 10_000, attemptsMax: 20, leaseMs: 300_000 },
    });
    this.#files = new JournalFiles(this.#sql, PARQUET.port);
    this.#journal.state.updateLane(TAIL, { cursor: '0' });
  }

  /** Loads the cases in one call and accepts the outcomes. Rejects with an error that has no reason. */
  async load(cases: Case[]): Promise<LoadOutcome[]> {
    const bodies = new Map<string, Uint8Array[]>();
    for (const { change, body } of cases.filter(one => !one.change.deleted)) {
      const path = pathOf(change.key);
      bodies.set(path, [...(bodies.get(path) ?? []), body]);
    }
    stubFetch(bodies);
    this.bucket.objects.clear();
    const loading = { source, settings, contact: 'tests', bucket: this.bucket, now: () => NOW_MS };
    const answer = await runStep(loading, 'load', {
      changes: cases.map(({ change }) => change),
      prepared: null,
      afresh: false,
      large: true,
      budgetBytes: LOAD_BYTES_MAX,
      rowBytesMax: Number.POSITIVE_INFINITY,
      deadlineAtMs: NOW_MS + 60_000,
      knownBytes: cases.map(({ body }) => body.length),
      permits: permits(cases.length),
    });
    if (!answer.ok) throw new Error(`the call failed: ${answer.failure.kind}: ${answer.failure.message}`);
    // Values between two isolates are copies.
    const outcomes = structuredClone(answer.value);
    this.#accept(cases, outcomes);
    return outcomes;
  }

  close(): void {
    this.#sql.close();
  }

  #accept(cases: Case[], outcomes: LoadOutcome[]): void {
    const accepted = cases.map(({ change }, index) => {
      const outcome = outcomes[index]!;
      if (outcome.kind !== 'rows' && outcome.kind !== 'park')
        throw new Error(`expected rows or a parked change, got ${JSON.stringify(outcome)}`);
      if (outcome.kind === 'park') this.parked.set(outcome.reason, (this.parked.get(outcome.reason) ?? 0) + 1);
      else if (outcome.rows[0]!.op === 'delete') this.deletes += 1;
      else this.rows += 1;
      return { change, outcome };
    });
    const cursorBefore = this.#journal.state.lane(TAIL).cursor!;
    const cursorAfter = cases.at(-1)!.change.cursor;
    expect(this.#journal.append({ lane: TAIL, cursorBefore, cursorAfter, accepted, nowMs: NOW_MS })).toBe(true);
    this.#changes += cases.length;
  }

  /** Writes the journaled rows into files, and reads them back: each row is there once. */
  async writeFiles(): Promise<Row[]> {
    const buffer = new RowBuffer({ table: npmPackage, source: npm.id, files: this.#files, encode: PARQUET.port });
    const read: Row[] = [];
    for (;;) {
      while (buffer.readNext());
      const { range, facts } = buffer;
      if (!range) break;
      const bytes = Buffer.concat(buffer.finish());
      for (const values of await PARQUET.decode(npmPackage, bytes))
        read.push(Object.fromEntries(npmPackage.columns.map(({ name }, index) => [name, values[index] ?? null])));
      const { firstLsn, lastLsn } = range;
      const key = `data-${firstLsn}-${lastLsn}`;
      const intent = this.#files.writeIntent({ table: npmPackage, key, firstLsn, lastLsn, facts, nowMs: NOW_MS });
      this.#files.settle({ intent, head: this.bucket.store(key, bytes), startedMs: NOW_MS, nowMs: NOW_MS });
    }
    read.sort((a, b) => Number(a._lsn) - Number(b._lsn));
    expect(read.map(row => row._lsn)).toEqual(read.map((_, index) => this.filedRows + index + 1));
    this.filedRows += read.length;
    return read;
  }

  /** Expects one outcome for each change, and each row in a file. */
  expectBalance(): void {
    const { state, parked } = this.#journal;
    const counted = Object.fromEntries(state.outcomes().map(({ outcome, changes }) => [outcome, changes]));
    // A document of a lower revision than its change is loaded again later, as a change with its own number.
    const lagging = state.source().change_number - this.#changes;
    const sum =
      Object.values(counted).reduce((total, changes) => total + changes, 0) +
      Object.values(parked.count()).reduce((total, changes) => total + changes, 0);
    expect(sum).toBe(this.#changes + lagging);
    expect([counted.rows ?? 0, counted.tombstones ?? 0]).toEqual([this.rows, this.deletes]);
    expect(this.filedRows).toBe(this.rows + this.deletes);
  }
}

/** The path of a name's document, which is one segment. */
function pathOf(name: string): string {
  const path = new URL(`${ORIGIN}/${encodeURIComponent(name).replace(/^%40/, '@')}`).pathname;
  if (path.lastIndexOf('/') !== 0) throw new Error(`expected one segment, got ${path}`);
  return path;
}

/** The key of a name's raw document; null where the name is too long for one. */
export function rawKeyOf(name: string): string | null {
  try {
    return rawKey(npm.prefix, name);
  } catch {
    return null;
  }
}
