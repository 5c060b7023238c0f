import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { npmPackage } from '../../schemas/npm_package.ts';
import { type Accepted, TAIL } from '../../src/engine/journal/changes.ts';
import { Journal } from '../../src/engine/journal/journal.ts';
import { demoSettings } from '../../src/local/demo.ts';
import { type Runtime, startRuntime } from '../../src/local/runtime/runtime.ts';
import { fetchStatus } from '../../src/local/status.ts';
import { startStandIn } from '../../src/sources/npm/stand-in/stand-in.ts';
import { PARQUET } from '../simulation/world/encode.ts';
import { nodeSql } from '../simulation/world/node-sql.ts';
import { connectInspector, type Inspector, residentBytes, workerdOf } from './inspector.ts';
import { digits, type Figure, mebibytes, median } from './report.ts';
import { NpmRows } from './rows.ts';

const ROWS = Number(process.env.BENCH_ROWS ?? 500_000);
const SLICE = 200;
const BUDGET = 64 * 2 ** 20;
/** Heap limits tried, in MiB, until one is enough for a file. */
const LIMITS_MIB = [16, 20, 24, 28, 32, 36, 40, 48, 56, 64, 80, 96];
const LIVE = path.join(import.meta.dirname, 'live.ts');
const SAMPLE_MS = 10;
const STATUS_MS = 500;

interface HeapUsage {
  usedSize: number;
  backingStorageSize: number;
}

/** What the worker's isolate holds, over what it holds at rest, while a journal of half a million rows becomes files. */
export async function benchHeap(): Promise<Figure[]> {
  const stateDir = mkdtempSync(path.join(tmpdir(), 'bench-heap-'));
  const standIn = await startStandIn({ handMade: false, only: [], fast: true });
  standIn.renumber(ROWS + 1);
  const settings = demoSettings(standIn);
  try {
    // A first start makes the object's SQLite, and shows what the isolate holds when it has nothing to do.
    const idle = await withRuntime({ stateDir, settings, paused: true }, async runtime => {
      await fetchStatus(runtime.url, 'npm');
      const inspector = await connectInspector(runtime);
      return { heap: await heapAtRest(inspector), resident: residentBytes(workerdOf(runtime).pid).now };
    });
    const { file, rowBytes } = fillJournal(stateDir);
    const needed = neededFigure(file);
    const flushes = await withRuntime({ stateDir, settings, paused: true }, runtime =>
      watchFlushes(runtime, idle, rowBytes),
    );
    return [needed, ...flushes];
  } finally {
    await standIn.stop();
    rmSync(stateDir, { recursive: true, force: true });
  }
}

/**
 * About what making a file takes when garbage does not count: the smallest heap in which Node makes the journal's first
 * one, and the buffers outside it at its end. It explains the isolate's figure, and does not replace it: this is Node,
 * and what buffers there are on the way is not seen.
 */
function neededFigure(file: string): Figure {
  for (const limit of LIMITS_MIB) {
    const flags = ['--expose-gc', `--max-old-space-size=${limit}`, '--max-semi-space-size=1'];
    const made = spawnSync(process.execPath, [...flags, LIVE, file], { encoding: 'utf8' });
    if (made.status !== 0) continue;
    const { idle, backing, rows, bytes } = JSON.parse(made.stdout) as Record<string, number>;
    const needed = limit * 2 ** 20 - idle! + backing!;
    return {
      what: 'heap in which Node makes one such file, over idle, and the buffers it ends with',
      figure: mebibytes(needed),
      basis: `a file of ${digits(rows!)} rows and ${mebibytes(bytes!)} in a heap of ${limit} MiB (${mebibytes(idle!)} of it idle, the next smaller tried is not enough), ${mebibytes(backing!)} of buffers; garbage apart; not buffers of passing pages, nor zlib's memory`,
    };
  }
  throw new Error(`heap: expected ${LIMITS_MIB.at(-1)} MiB to be enough for a file`);
}

async function withRuntime<T>(
  options: { stateDir: string; settings: Record<string, string>; paused: boolean },
  work: (runtime: Runtime) => Promise<T>,
): Promise<T> {
  const runtime = await startRuntime({ ...options, port: 0 });
  try {
    return await work(runtime);
  } finally {
    await runtime.stop();
  }
}

async function watchFlushes(
  runtime: Runtime,
  idle: { heap: number; resident: number },
  rowBytes: number,
): Promise<Figure[]> {
  let inspector = await connectInspector(runtime);
  const { pid } = workerdOf(runtime);
  const samples: number[] = [];
  const held: number[] = [];
  const startedAt = performance.now();
  // Asked for only now, so that no flush goes by unseen.
  await askForFlush(runtime);
  const flushed = { rows: 0 };
  const ended = untilFlushed(runtime, flushed);
  while (flushed.rows < ROWS) {
    // Of the first half all is counted, of the second what is left when the garbage is taken away at each look.
    const collects = flushed.rows >= ROWS / 2;
    const usage = await (collects ? heapAtRest(inspector) : heapNow(inspector)).catch(() => null);
    // The launcher has taken its connection back.
    if (usage === null) inspector = await connectInspector(runtime);
    else (collects ? held : samples).push(usage);
    await sleep(SAMPLE_MS);
  }
  await ended;
  const seconds = (performance.now() - startedAt) / 1000;
  const peak = Math.max(...samples) - idle.heap;
  const heldPeak = Math.max(...held) - idle.heap;
  const rest = (await heapAtRest(inspector)) - idle.heap;
  const { durations, rows } = flushesOf(runtime.logFile);
  const resident = residentBytes(pid);
  return [
    {
      what: `isolate's heap over idle while ${digits(ROWS)} rows flush, highest seen, garbage apart`,
      figure: `${mebibytes(heldPeak)} of a budget of ${mebibytes(BUDGET)}: ${heldPeak <= BUDGET ? 'met' : 'NOT met'}`,
      basis: `${digits(held.length)} samples of the second half of the files, garbage collected before each; idle ${mebibytes(idle.heap)}; ${mebibytes(rest)} over it afterwards`,
    },
    {
      what: 'the same with garbage',
      figure: `${mebibytes(peak)} of a budget of ${mebibytes(BUDGET)}: ${peak <= BUDGET ? 'met' : 'NOT met'}`,
      basis: `${digits(samples.length)} samples of the first half of the files, nothing collected but by the runtime itself, which has no limit of 128 MB here`,
    },
    {
      what: "runtime's resident memory over idle, at most",
      figure: mebibytes(resident.peak - idle.resident),
      basis: `idle ${mebibytes(idle.resident)}; all isolates, SQLite's and the local bucket's memory with it`,
    },
    {
      what: 'flush of one file of that journal',
      figure: `${digits(median(durations))} ms, at most ${digits(Math.max(...durations))} ms`,
      basis: `${durations.length} files of ${digits(median(rows))} rows of ${digits(rowBytes)} B, all in ${digits(seconds, 1)} s; put and settling, the encoding before it not counted`,
    },
  ];
}

async function askForFlush({ url }: Runtime): Promise<void> {
  const headers = { authorization: 'Bearer local' };
  const response = await fetch(`${url}/v1/sources/npm/flush`, { method: 'POST', headers });
  if (!response.ok) throw new Error(`flush: expected status 200, got ${response.status}: ${await response.text()}`);
}

async function untilFlushed({ url }: Runtime, flushed: { rows: number }): Promise<void> {
  while (flushed.rows < ROWS) {
    await sleep(STATUS_MS);
    const status = await fetchStatus(url, 'npm').catch(() => null);
    flushed.rows = status?.tables.npm_package?.rows ?? flushed.rows;
  }
}

async function heapAtRest(inspector: Inspector): Promise<number> {
  await inspector.send('HeapProfiler.collectGarbage');
  return heapNow(inspector);
}

async function heapNow(inspector: Inspector): Promise<number> {
  const { usedSize, backingStorageSize } = await inspector.send<HeapUsage>('Runtime.getHeapUsage');
  return usedSize + backingStorageSize;
}

/** Appends rows to the journal of a runtime that is stopped, slice by slice as the engine does; gives a row's size. */
function fillJournal(stateDir: string): { file: string; rowBytes: number } {
  const folder = path.join(stateDir, 'v3/do/tributary-SourceObject');
  const [name] = readdirSync(folder).filter(found => /^[0-9a-f]{64}\.sqlite$/.test(found));
  const file = path.join(folder, name!);
  const sql = nodeSql(file);
  const journal = new Journal(sql, PARQUET.port, { pace: { waitMs: 10_000, attemptsMax: 20, leaseMs: 300_000 } });
  const source = new NpmRows({ dataLengthMax: 300 });
  let bytes = 0;
  journal.state.updateLane(TAIL, { cursor: '0', page_accepted_ms: Date.now() });
  for (let done = 0; done < ROWS; done += SLICE) {
    const accepted = Array.from({ length: Math.min(SLICE, ROWS - done) }, (_, i): Accepted => {
      const { updated_at: _updated, ...row } = source.row(done + i);
      bytes += JSON.stringify(row).length;
      const loaded = { table: npmPackage.name, op: 'upsert' as const, row };
      return {
        change: { key: row.name, cursor: String(done + i + 1), deleted: false, revision: 1, skip: null },
        outcome: { kind: 'rows', rows: [loaded], revision: 1, documentBytes: 20_000 },
      };
    });
    const cursorAfter = String(done + accepted.length);
    journal.append({ lane: TAIL, cursorBefore: String(done), cursorAfter, accepted, nowMs: Date.now() });
  }
  sql.close();
  return { file, rowBytes: bytes / ROWS };
}

function flushesOf(logFile: string): { durations: number[]; rows: number[] } {
  const lines = readFileSync(logFile, 'utf8')
    .split('\n')
    .flatMap(line => /\{.*"flush_settled".*\}/.exec(line)?.[0] ?? []);
  const flushes = lines.map(line => JSON.parse(line) as { duration_ms: number; rows: number });
  return { durations: flushes.map(flush => flush.duration_ms), rows: flushes.map(flush => flush.rows) };
}
