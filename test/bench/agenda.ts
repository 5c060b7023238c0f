import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fetchStatus } from '../../src/local/status.ts';
import { readDomain } from '../../src/sources/names/domain.ts';
import type { Work } from './agenda-object.ts';
import { cpuMsOf, residentBytes } from './inspector.ts';
import { type Bench, digits, type Figure, mebibytes, median, type Size } from './report.ts';
import { timeOf } from './timed.ts';
import { BENCH_TOKEN, type BenchWorker, bundle, heapAtRest, startScript, startTributary } from './worker.ts';

interface Sizes {
  keys: number;
  /** Keys of one request to the API. */
  requestKeys: number;
  /** Public suffixes of the keys. */
  spaces: number;
  /** Requests a kind of work. */
  rounds: number;
}

const SIZES: Record<Size, Sizes> = {
  full: { keys: 1_000_000, requestKeys: 50_000, spaces: 400, rounds: 30 },
  tiny: { keys: 1_000, requestKeys: 500, spaces: 4, rounds: 1 },
};
const MAIN = path.join(import.meta.dirname, 'agenda-object.ts');
const SETTINGS = { ADMIN_TOKEN: BENCH_TOKEN, NPM_REGISTRY_URL: 'http://127.0.0.1:9' };
const OBJECTS = { SOURCES_NS: 'SourceObject' };

/** An agenda of a million keys, all due: added over the API, then picked from and rescheduled in the worker's runtime. */
export const agenda: Bench = { name: 'agenda', run };

async function* run(size: Size): AsyncGenerator<Figure> {
  const sizes = SIZES[size];
  const spaces = spacesOf(sizes.spaces);
  const stateDir = mkdtempSync(path.join(tmpdir(), 'bench-agenda-'));
  try {
    const worker = await startTributary({ stateDir, settings: SETTINGS, paused: true });
    let file: string;
    try {
      file = await worker.objectFile({ binding: 'SOURCES_NS', className: OBJECTS.SOURCES_NS, name: 'whois' });
      yield* addAll(worker, { ...sizes, spaces });
    } finally {
      await worker.stop();
    }
    writeBack(file);
    const { size: bytes } = statSync(file);
    yield {
      what: 'SQLite of an agenda',
      figure: mebibytes(bytes),
      basis: `${digits(sizes.keys)} keys, never visited; ${digits(bytes / sizes.keys)} B a key`,
    };
    // Another worker of the same name on the same state: its object has the agenda that was just filled.
    const script = { name: 'tributary', script: await bundle(MAIN), objects: OBJECTS };
    const bench = await startScript(script, { stateDir });
    try {
      yield* measureAll(bench, { ...sizes, spaces });
    } finally {
      await bench.stop();
    }
  } finally {
    rmSync(stateDir, { recursive: true, force: true });
  }
}

async function* measureAll(
  bench: BenchWorker,
  { keys, spaces, rounds }: { keys: number; spaces: string[]; rounds: number },
): AsyncGenerator<Figure> {
  await work(bench, { kind: 'servers', times: 1, spaces });
  const of = `${digits(keys)} due keys over ${spaces.length} spaces`;
  for (const { kind, what, times } of [
    { kind: 'pick', what: 'picking the visits of a slice', times: 10 },
    { kind: 'reschedule', what: 'accepting one visit: its key found, judged and due anew', times: 200 },
    { kind: 'count', what: 'counting what is due, as the status does', times: 1 },
  ] as const) {
    yield await timeOf(bench, {
      what,
      times,
      rounds,
      of,
      idle: () => work(bench, { kind: 'nothing', times: 1, spaces }),
      busy: async () => (await work(bench, { kind, times, spaces })).done,
    });
  }
}

/** Over the API of the real worker; the source is paused. */
async function* addAll(
  worker: BenchWorker,
  { keys, requestKeys, spaces }: { keys: number; requestKeys: number; spaces: string[] },
): AsyncGenerator<Figure> {
  const { url } = worker;
  await fetchStatus(url, 'whois');
  const { pid } = worker.workerd();
  const idle = { heap: await heapAtRest(worker), resident: residentBytes(pid).now };
  const names = Array.from({ length: keys }, (_, index) => `name-${index}.${spaces[index % spaces.length]}`);
  const [startedAt, cpuMsBefore] = [performance.now(), cpuMsOf(pid)];
  const headers = { authorization: `Bearer ${SETTINGS.ADMIN_TOKEN}`, 'content-type': 'text/plain' };
  for (let first = 0; first < keys; first += requestKeys) {
    const part = names.slice(first, first + requestKeys);
    const response = await fetch(`${url}/v1/sources/whois/keys`, { method: 'POST', headers, body: part.join('\n') });
    const answer = await response.text();
    if (!response.ok || JSON.parse(answer).added !== part.length)
      throw new Error(`keys: expected ${part.length} added, got ${answer.slice(0, 300)}`);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  yield {
    what: 'adding keys to an agenda over the API',
    figure: `${digits(seconds, 1)} s`,
    basis: `${digits(keys)} keys in requests of ${digits(requestKeys)} lines, ${digits(keys / seconds)} a second; ${digits((cpuMsOf(pid) - cpuMsBefore) / 1000, 1)} s of processor time`,
  };
  const took: number[] = [];
  for (let round = 0; round < 5; round++) {
    const askedAt = performance.now();
    await fetchStatus(url, 'whois');
    took.push(performance.now() - askedAt);
  }
  yield {
    what: 'status of an agenda of due keys',
    figure: `${digits(median(took), 1)} ms`,
    basis: `${digits(keys)} keys; 5 requests, at most ${digits(Math.max(...took), 1)} ms`,
  };
  const heap = (await heapAtRest(worker)) - idle.heap;
  const { now, peak } = residentBytes(pid);
  yield {
    what: "isolate's heap over idle with an agenda",
    figure: mebibytes(heap),
    basis: `${digits(keys)} keys, garbage collected; idle ${mebibytes(idle.heap)}; resident memory of the runtime ${mebibytes(now - idle.resident)} over idle, at most ${mebibytes(peak - idle.resident)}`,
  };
}

async function work({ url }: BenchWorker, body: Work): Promise<{ ms: number; done: number }> {
  const startedAt = performance.now();
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
  if (!response.ok)
    throw new Error(
      `${body.kind}: expected status 200, got ${response.status}: ${(await response.text()).slice(0, 500)}`,
    );
  const { done } = (await response.json()) as { done: number };
  return { ms: performance.now() - startedAt, done };
}

/** Moves what a stopped runtime left in the log of a database into the database itself. */
function writeBack(file: string): void {
  const database = new DatabaseSync(file);
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  database.close();
}

/** Name spaces that exist: countries' top-level domains, and suffixes below them. */
function spacesOf(count: number): string[] {
  const letters = 'abcdefghijklmnopqrstuvwxyz';
  const countries = [...letters].flatMap(first => [...letters].map(second => first + second));
  const candidates = ['', 'com.', 'org.', 'net.', 'edu.'].flatMap(below => countries.map(country => below + country));
  const spaces = candidates.filter(space => {
    const read = readDomain(`name-1.${space}`);
    return 'domain' in read && read.domain === `name-1.${space}`;
  });
  if (spaces.length < count) throw new Error(`spaces: expected ${count}, got ${spaces.length}`);
  return spaces.slice(0, count);
}
