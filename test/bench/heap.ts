import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { npmPackage } from '../../schemas/npm_package.ts';
import { type Accepted, TAIL } from '../../src/engine/journal/changes.ts';
import { Journal } from '../../src/engine/journal/journal.ts';
import { demoSettings } from '../../src/local/demo.ts';
import { fetchStatus } from '../../src/local/status.ts';
import { startStandIn } from '../../src/sources/npm/stand-in/stand-in.ts';
import { PARQUET } from '../simulation/world/encode.ts';
import { nodeSql } from '../simulation/world/node-sql.ts';
import { heapOf, heapWithoutGarbageOf, residentBytes } from './inspector.ts';
import { type Bench, digits, type Figure, mebibytes, median, type Size } from './report.ts';
import { NpmRows } from './rows.ts';
import { BENCH_TOKEN, type BenchWorker, heapAtRest, startTributary } from './worker.ts';

/**
 * `limitsMib`: heap limits tried until one is enough for a file. `samplesMin`: of each half of the flushes, as fewer
 * would say little of a peak.
 */
const SIZES: Record<Size, { rows: number; limitsMib: number[]; samplesMin: number; statusMs: number }> = {
  full: { rows: 500_000, limitsMib: [16, 20, 24, 28, 32, 36, 40, 48, 56, 64, 80, 96], samplesMin: 100, statusMs: 500 },
  tiny: { rows: 50, limitsMib: [64], samplesMin: 1, statusMs: 100 },
};
const SLICE = 200;
const BUDGET = 64 * 2 ** 20;
const LIVE = path.join(import.meta.dirname, 'live.ts');
const SAMPLE_MS = 10;
const FLUSH_MS_MAX = 15 * 60_000;

/** What the worker's isolate holds, over what it holds at rest, while a journal becomes files. */
export const heap: Bench = { name: 'heap', run };

async function* run(size: Size): AsyncGenerator<Figure> {
  const { rows, limitsMib, samplesMin, statusMs } = SIZES[size];
  const stateDir = mkdtempSync(path.join(tmpdir(), 'bench-heap-'));
  const standIn = await startStandIn({ handMade: false, only: [], fast: true });
  standIn.renumber(rows + 1);
  const settings = { ...demoSettings(standIn), ADMIN_TOKEN: BENCH_TOKEN };
  try {
    // A first start makes the object's journal, and shows what the isolate holds when it has nothing to do.
    const { idle, file } = await withWorker({ stateDir, settings }, async worker => {
      await fetchStatus(worker.url, 'npm');
      return {
        idle: { heap: await heapAtRest(worker), resident: residentBytes(worker.workerd().pid).now },
        file: await worker.objectFile({ binding: 'SOURCES_NS', className: 'SourceObject', name: 'npm' }),
      };
    });
    const { rowBytes } = fillJournal(file, rows);
    yield neededFigure(file, limitsMib);
    yield* await withWorker({ stateDir, settings }, worker =>
      watchFlushes(worker, { idle, rows, rowBytes, samplesMin, statusMs }),
    );
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
function neededFigure(file: string, limitsMib: number[]): Figure {
  for (const [tried, limit] of limitsMib.entries()) {
    const flags = ['--expose-gc', `--max-old-space-size=${limit}`, '--max-semi-space-size=1'];
    const made = spawnSync(process.execPath, [...flags, LIVE, file], { encoding: 'utf8' });
    if (made.status !== 0) {
      // Only a heap that was too small is no failure of the program.
      if (made.stderr.includes('heap out of memory')) continue;
      throw new Error(`heap: expected a file, got an end with ${made.status ?? made.signal}: ${made.stderr}`);
    }
    const { idle, backing, rows, bytes } = JSON.parse(made.stdout) as Record<string, number>;
    const needed = limit * 2 ** 20 - idle! + backing!;
    return {
      what: 'heap in which Node makes one such file, over idle, and the buffers it ends with',
      figure: mebibytes(needed),
      basis: `a file of ${digits(rows!)} rows and ${mebibytes(bytes!)} in a heap of ${limit} MiB (${mebibytes(idle!)} of it idle${tried > 0 ? `, ${limitsMib[tried - 1]} MiB are not enough` : ''}), ${mebibytes(backing!)} of buffers; garbage apart; not buffers of passing pages, nor zlib's memory`,
    };
  }
  throw new Error(`heap: expected ${limitsMib.at(-1)} MiB to be enough for a file`);
}

async function withWorker<T>(
  options: { stateDir: string; settings: Record<string, string> },
  work: (worker: BenchWorker) => Promise<T>,
): Promise<T> {
  const worker = await startTributary({ ...options, paused: true });
  try {
    return await work(worker);
  } finally {
    await worker.stop();
  }
}

/** What the isolate held: in the first half of the flushes with garbage, in the second without. */
interface Samples {
  withGarbage: number[];
  withoutGarbage: number[];
}

async function watchFlushes(
  worker: BenchWorker,
  about: {
    idle: { heap: number; resident: number };
    rows: number;
    rowBytes: number;
    samplesMin: number;
    statusMs: number;
  },
): Promise<Figure[]> {
  const { idle, rows, rowBytes, samplesMin, statusMs } = about;
  const startedAt = performance.now();
  const { withGarbage, withoutGarbage } = await sampleFlushes(worker, { rows, statusMs });
  const seconds = (performance.now() - startedAt) / 1000;
  const fewest = Math.min(withGarbage.length, withoutGarbage.length);
  if (fewest < samplesMin) throw new Error(`heap: expected ${samplesMin} samples of each half, got ${fewest}`);
  const peak = Math.max(...withGarbage) - idle.heap;
  const heldPeak = Math.max(...withoutGarbage) - idle.heap;
  const rest = withoutGarbage.at(-1)! - idle.heap;
  const { durations, rows: flushed } = flushesOf(worker.logLines);
  const resident = residentBytes(worker.workerd().pid);
  return [
    {
      what: "isolate's heap over idle while a journal is flushed, highest seen, garbage apart",
      figure: `${mebibytes(heldPeak)} of a budget of ${mebibytes(BUDGET)}: ${heldPeak <= BUDGET ? 'met' : 'NOT met'}`,
      basis: `${digits(rows)} rows; ${digits(withoutGarbage.length)} samples of the second half of the files, garbage collected before each; idle ${mebibytes(idle.heap)}; ${mebibytes(rest)} over it afterwards`,
    },
    {
      what: 'the same with garbage',
      figure: `${mebibytes(peak)} of a budget of ${mebibytes(BUDGET)}: ${peak <= BUDGET ? 'met' : 'NOT met'}`,
      basis: `${digits(withGarbage.length)} samples of the first half of the files, nothing collected but by the runtime itself, which has no limit of 128 MB here`,
    },
    {
      what: "runtime's resident memory over idle, at most",
      figure: mebibytes(resident.peak - idle.resident),
      basis: `idle ${mebibytes(idle.resident)}; all isolates, SQLite's and the local bucket's memory with it`,
    },
    {
      what: 'flush of one file of that journal',
      figure: `${digits(median(durations))} ms, at most ${digits(Math.max(...durations))} ms`,
      basis: `${durations.length} files of ${digits(median(flushed))} rows of ${digits(rowBytes)} B, all in ${digits(seconds, 1)} s; put and settling, the encoding before it not counted`,
    },
  ];
}

/** Asks for a flush and samples the heap until all rows are in files. */
async function sampleFlushes(
  worker: BenchWorker,
  { rows, statusMs }: { rows: number; statusMs: number },
): Promise<Samples> {
  const inspector = await worker.inspect();
  try {
    const samples: Samples = { withGarbage: [await heapOf(inspector)], withoutGarbage: [] };
    const deadline = Date.now() + FLUSH_MS_MAX;
    await askForFlush(worker);
    let flushed = 0;
    let askedAt = Date.now();
    while (flushed < rows) {
      if (flushed < rows / 2) samples.withGarbage.push(await heapOf(inspector));
      else samples.withoutGarbage.push(await heapWithoutGarbageOf(inspector, worker));
      await sleep(SAMPLE_MS);
      if (Date.now() > deadline) throw new Error(`heap: expected ${rows} rows in files, got ${flushed}`);
      if (Date.now() < askedAt + statusMs) continue;
      askedAt = Date.now();
      flushed = (await fetchStatus(worker.url, 'npm')).tables.npm_package?.rows ?? 0;
    }
    // What is held at the end counts too.
    samples.withoutGarbage.push(await heapWithoutGarbageOf(inspector, worker));
    return samples;
  } finally {
    inspector.close();
  }
}

async function askForFlush({ url }: BenchWorker): Promise<void> {
  const headers = { authorization: `Bearer ${BENCH_TOKEN}` };
  const response = await fetch(`${url}/v1/sources/npm/flush`, { method: 'POST', headers });
  if (!response.ok) throw new Error(`flush: expected status 200, got ${response.status}: ${await response.text()}`);
}

/** Appends rows to the journal of a worker that is stopped, slice by slice as the engine does; gives a row's size. */
function fillJournal(file: string, rows: number): { rowBytes: number } {
  const sql = nodeSql(file);
  const journal = new Journal(sql, PARQUET.port, { pace: { waitMs: 10_000, attemptsMax: 20, leaseMs: 300_000 } });
  const source = new NpmRows({ dataLengthMax: 300 });
  let bytes = 0;
  journal.state.updateLane(TAIL, { cursor: '0', page_accepted_ms: Date.now() });
  for (let done = 0; done < rows; done += SLICE) {
    const accepted = Array.from({ length: Math.min(SLICE, rows - done) }, (_, i): Accepted => {
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
  return { rowBytes: bytes / rows };
}

function flushesOf(logLines: string[]): { durations: number[]; rows: number[] } {
  const lines = logLines.flatMap(line => /\{.*"flush_settled".*\}/.exec(line)?.[0] ?? []);
  const flushes = lines.map(line => JSON.parse(line) as { duration_ms: number; rows: number });
  return { durations: flushes.map(flush => flush.duration_ms), rows: flushes.map(flush => flush.rows) };
}
