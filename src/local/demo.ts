import { mkdirSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { TABLES, tableNamed } from '../../schemas/index.ts';
import type { SourceStatus } from '../api/forms.ts';
import { messageOf } from '../errors.ts';
import { asTable } from './answer-text.ts';
import { cacheTables, lastLsnOf, localAddress, openLake } from './lake.ts';
import { runProgram } from './program.ts';
import { type Replay, startReplay } from './replay.ts';
import { type Runtime, startRuntime } from './runtime.ts';
import { DEMO_STATE_DIR } from './settings.ts';
import { cacheDirOf } from './sql.ts';
import { lockState } from './state-lock.ts';
import { count, fetchStatus, tableSums } from './status.ts';
import { openTables, type Tables } from './tables.ts';
import { type Verdict, verify } from './verify.ts';
import { queryDatabase } from './wrangler.ts';

export interface DemoOptions {
  stateDir: string;
  /** Changes of made-up names that follow the recorded ones. */
  changes: number;
  signal: AbortSignal;
  write(text: string): void;
  /** Whether a line can be written again. */
  isTerminal: boolean;
}

const LOOK_MS = 200;
const LINE_MS = 1_000;
/** The projection to the operational database follows the last flush at once; this is when it has failed. */
const PROJECTED_MS_MAX = 30_000;
const DURABLE_MS_MAX = 5 * 60_000;

/** The first query that the lake was specified with, as it stands there. */
const FIRST_QUERY = `SELECT name, version, downloads_total, license
FROM r2_sql('data-ingestion/npm/metadata/partitions.parquet')
WHERE downloads_total > 1000000
ORDER BY downloads_total DESC
LIMIT 100;`;
/** So many recorded packages have more downloads than the query asks for. */
const FIRST_QUERY_ROWS_MIN = 3;

/** Pace without courtesy: nobody but the replay is asked. */
const FAST = {
  NPM_START: '0',
  NPM_POLL_MS: '200',
  NPM_SETTLE_MS: '0',
  NPM_PAGE_CHANGES: '100',
  NPM_REQUESTS_PER_SECOND: '1000',
  FLUSH_AGE_MS: '500',
};

/** The worker's settings that make it follow a replay as fast as it can. */
export function replaySettings({ feedUrl, registryUrl, downloadsUrl }: Replay): Record<string, string> {
  const urls = { NPM_FEED_URL: feedUrl, NPM_REGISTRY_URL: registryUrl, NPM_DOWNLOADS_URL: downloadsUrl };
  return { ...FAST, ...urls, ADMIN_TOKEN: 'local', CONTACT: 'demo' };
}

/** Runs the real worker on recorded answers of npm until all of their feed is durable, and shows that it is. */
export async function runDemo(options: DemoOptions): Promise<number> {
  const { stateDir, signal, write } = options;
  emptyState(stateDir);
  const replay = await startReplay({ changes: options.changes });
  try {
    write(`Replaying ${count(replay.rows().length)} recorded changes of npm on this machine; no network is used.\n`);
    const runtime = await startRuntime({ stateDir, port: 0, settings: replaySettings(replay), signal });
    try {
      const feedLast = String(replay.updateSeq());
      await follow(runtime, { ...options, feedLast, total: replay.rows().length });
      return await show(runtime, { feedLast, write });
    } finally {
      await runtime.stop();
    }
  } finally {
    await replay.close();
  }
}

/** A demo begins with nothing. Throws when another runs on the folder. */
function emptyState(stateDir: string): void {
  mkdirSync(stateDir, { recursive: true });
  lockState(stateDir, 0).release();
  rmSync(stateDir, { recursive: true });
}

/** Shows progress until the feed's last change is durable. */
async function follow(
  { url, logFile }: Runtime,
  { feedLast, total, signal, write, isTerminal }: DemoOptions & { feedLast: string; total: number },
): Promise<void> {
  const startedAt = Date.now();
  let lineAt = 0;
  let line = '';
  let trouble: unknown = null;
  while (Date.now() - startedAt < DURABLE_MS_MAX) {
    signal.throwIfAborted();
    try {
      const status = await fetchStatus(url, 'npm');
      trouble = status.last_error.reason;
      const isDone = status.cursor.durable === feedLast && status.buffer.rows === 0;
      const next = progressLine(status, { total, seconds: (Date.now() - startedAt) / 1000 });
      if (next !== line && (isTerminal || isDone || Date.now() - lineAt >= LINE_MS)) {
        write(isTerminal ? `\r${next}\u001b[K` : `${next}\n`);
        line = next;
        lineAt = Date.now();
      }
      if (isDone) {
        if (isTerminal) write('\n');
        return;
      }
    } catch (error) {
      trouble = messageOf(error);
    }
    await sleep(LOOK_MS, undefined, { signal });
  }
  throw new Error(
    `demo: expected the feed to be durable in ${DURABLE_MS_MAX / 1000} s; last trouble: ${trouble}; see ${logFile}`,
  );
}

function progressLine(status: SourceStatus, { total, seconds }: { total: number; seconds: number }): string {
  const { changes } = status.balance;
  const { rows, files } = tableSums(status);
  const rate = changes / Math.max(seconds, 0.001);
  const left = rate > 0 ? `${count(Math.ceil((total - changes) / rate))} s left` : 'starting';
  return `  ${count(changes)} of ${count(total)} changes  ${count(rows)} rows durable  ${count(files)} files  ${count(Math.round(rate))} changes/s  ${left}`;
}

/** Prints the proof and the first query's answer; 1 when any of it is off. */
async function show(
  runtime: Runtime,
  { feedLast, write }: { feedLast: string; write(text: string): void },
): Promise<number> {
  const lastSequence = await projectedSequence(runtime, feedLast);
  const { status, tables } = await openAtRest(runtime);
  try {
    const verdicts = await verify({ status, tables, table: tableNamed('npm_package'), lastSequence, feedLast });
    const answer = await tables.query(FIRST_QUERY);
    verdicts.push({
      check: `The first query gives at least ${FIRST_QUERY_ROWS_MIN} rows`,
      ok: answer.rows.length >= FIRST_QUERY_ROWS_MIN,
      found: `${answer.rows.length}`,
    });
    write(`\n${FIRST_QUERY}\n\n${asTable(answer)}\n${verdictText(verdicts)}\n`);
    if (verdicts.some(verdict => !verdict.ok)) return 1;
    write('Go on: npm run sql -- --demo "SELECT name, version, license FROM npm_package LIMIT 10"\n');
    return 0;
  } finally {
    tables.close();
  }
}

/** The lake and the status of one moment: a parked change that is retried adds a file at any time. */
async function openAtRest({ url, port, stateDir }: Runtime): Promise<{ status: SourceStatus; tables: Tables }> {
  const lake = openLake(localAddress(port));
  let before = await fetchStatus(url, 'npm');
  while (true) {
    const files = await cacheTables(lake, { folder: cacheDirOf(stateDir), tables: TABLES });
    const status = await fetchStatus(url, 'npm');
    const lastLsn = status.tables.npm_package?.last_lsn;
    const isAtRest = status.buffer.rows === 0 && lastLsn === before.tables.npm_package?.last_lsn;
    // The catalog is written after the status tells of a file.
    if (isAtRest && lastLsn === (await lastLsnOf(lake, tableNamed('npm_package')))) {
      return { status, tables: await openTables({ bucket: lake.bucket, tables: TABLES, files }) };
    }
    before = status;
    await sleep(LOOK_MS);
  }
}

/** What `sync_state` says of npm, once it says the feed's last or has had the time to. */
async function projectedSequence({ stateDir }: Runtime, feedLast: string): Promise<string | null> {
  const deadline = Date.now() + PROJECTED_MS_MAX;
  while (true) {
    const [row] = await queryDatabase<{ last_sequence: string }>(
      stateDir,
      "SELECT last_sequence FROM sync_state WHERE source = 'npm'",
    );
    if (row?.last_sequence === feedLast || Date.now() > deadline) return row?.last_sequence ?? null;
  }
}

/** One line a verdict, and one that says whether all hold. */
export function verdictText(verdicts: Verdict[]): string {
  const lines = verdicts.map(({ check, ok, found }) => `${ok ? 'holds' : 'FAILS'}  ${check}: ${found}`);
  const failed = verdicts.filter(verdict => !verdict.ok).length;
  return [...lines, failed === 0 ? 'All of it holds.' : `${failed} of ${verdicts.length} do not hold.`, ''].join('\n');
}

if (import.meta.main) {
  await runProgram(signal =>
    runDemo({
      stateDir: DEMO_STATE_DIR,
      changes: 300,
      signal,
      write: text => void process.stdout.write(text),
      isTerminal: process.stdout.isTTY === true,
    }),
  );
}
