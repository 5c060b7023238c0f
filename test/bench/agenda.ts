import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Runtime, startRuntime } from '../../src/local/runtime/runtime.ts';
import { fetchStatus } from '../../src/local/status.ts';
import { readDomain } from '../../src/sources/names/domain.ts';
import type { Work } from './agenda-object.ts';
import { connectInspector, residentBytes, workerdOf } from './inspector.ts';
import { digits, type Figure, mebibytes, median } from './report.ts';

const KEYS = Number(process.env.BENCH_KEYS ?? 1_000_000);
const REQUEST_KEYS = 50_000;
const SPACES = 400;
const ROUNDS = 30;
const MAIN = path.join(import.meta.dirname, 'agenda-object.ts');
const CONFIG = {
  name: 'bench',
  main: MAIN,
  compatibility_date: '2026-11-01',
  exports: { Bench: { type: 'durable-object', storage: 'sqlite' } },
  durable_objects: { bindings: [{ name: 'BENCH', class_name: 'Bench' }] },
  // The runtime applies migrations before it starts; there are none.
  d1_databases: [{ binding: 'DB', database_name: 'bench', migrations_dir: 'migrations' }],
};

/** An agenda of a million keys, all due: added over the API, then picked from and rescheduled in the worker's runtime. */
export async function benchAgenda(): Promise<Figure[]> {
  const [stateDir, benchDir] = [
    mkdtempSync(path.join(tmpdir(), 'bench-agenda-')),
    mkdtempSync(path.join(tmpdir(), 'bench-agenda-')),
  ];
  const spaces = spacesOf(SPACES);
  try {
    const added = await withRuntime({ stateDir, settings: { ADMIN_TOKEN: 'local' }, paused: true }, runtime =>
      addAll(runtime, spaces),
    );
    const file = sqliteOf(stateDir, 'tributary-SourceObject');
    const size = {
      what: `SQLite of an agenda of ${digits(KEYS)} keys`,
      figure: mebibytes(statSync(file).size),
      basis: `${digits(statSync(file).size / KEYS)} B a key, never visited`,
    };
    mkdirSync(path.join(benchDir, 'migrations'));
    writeFileSync(path.join(benchDir, 'wrangler.jsonc'), JSON.stringify(CONFIG));
    const options = { stateDir: benchDir, settings: {}, project: benchDir };
    await withRuntime(options, runtime => work(runtime, { kind: 'nothing', times: 1, spaces }));
    replaceDatabase(sqliteOf(benchDir, 'bench-Bench'), file);
    return [...added, size, ...(await withRuntime(options, runtime => measure(runtime, spaces)))];
  } finally {
    for (const folder of [stateDir, benchDir]) rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(runtime: Runtime, spaces: string[]): Promise<Figure[]> {
  await work(runtime, { kind: 'servers', times: 1, spaces });
  const figures: Figure[] = [];
  for (const { kind, what, times } of [
    { kind: 'pick', what: `picking visits out of ${digits(KEYS)} due keys over ${SPACES} spaces`, times: 10 },
    { kind: 'reschedule', what: 'accepting one visit: its key found, judged and due anew', times: 200 },
    { kind: 'count', what: `counting ${digits(KEYS)} due keys, as the status does`, times: 1 },
  ] as const) {
    const took: number[] = [];
    let done = 0;
    const cpuMs = { idle: 0, busy: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      const before = cpuMsOf(runtime);
      const idle = await work(runtime, { kind: 'nothing', times: 1, spaces });
      const between = cpuMsOf(runtime);
      const busy = await work(runtime, { kind, times, spaces });
      cpuMs.idle += between - before;
      cpuMs.busy += cpuMsOf(runtime) - between;
      took.push(Math.max(0, busy.ms - idle.ms) / times);
      done = busy.done / times;
    }
    const figure = `${digits(median(took), 2)} ms, at most ${digits(Math.max(...took), 2)} ms`;
    figures.push({
      what,
      figure,
      basis: `${ROUNDS} requests of ${times} each, an empty request taken off; ${digits(done)} each time; ${digits((cpuMs.busy - cpuMs.idle) / ROUNDS / times, 2)} ms of processor time on average`,
    });
  }
  return figures;
}

/** Processor time of the worker's process so far, in steps of a hundredth of a second: a busy machine does not change it. */
export function cpuMsOf(runtime: Runtime): number {
  const stat = readFileSync(`/proc/${workerdOf(runtime).pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Over the API of the real worker; the source is paused. */
async function addAll(runtime: Runtime, spaces: string[]): Promise<Figure[]> {
  const { url } = runtime;
  await fetchStatus(url, 'whois');
  const idle = { heap: await heapAtRest(runtime), resident: residentBytes(workerdOf(runtime).pid).now };
  const names = Array.from({ length: KEYS }, (_, index) => `name-${index}.${spaces[index % spaces.length]}`);
  const startedAt = performance.now();
  const headers = { authorization: 'Bearer local', 'content-type': 'text/plain' };
  for (let first = 0; first < KEYS; first += REQUEST_KEYS) {
    const part = names.slice(first, first + REQUEST_KEYS);
    const response = await fetch(`${url}/v1/sources/whois/keys`, { method: 'POST', headers, body: part.join('\n') });
    const answer = await response.text();
    if (!response.ok || JSON.parse(answer).added !== part.length)
      throw new Error(`keys: expected ${part.length} added, got ${answer.slice(0, 300)}`);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const took: number[] = [];
  for (let round = 0; round < 5; round++) {
    const askedAt = performance.now();
    await fetchStatus(url, 'whois');
    took.push(performance.now() - askedAt);
  }
  const heap = (await heapAtRest(runtime)) - idle.heap;
  const { now, peak } = residentBytes(workerdOf(runtime).pid);
  return [
    {
      what: `adding ${digits(KEYS)} keys over the API`,
      figure: `${digits(seconds, 1)} s`,
      basis: `requests of ${digits(REQUEST_KEYS)} lines, ${digits(KEYS / seconds)} a second`,
    },
    {
      what: `status of an agenda with ${digits(KEYS)} due keys`,
      figure: `${digits(median(took), 1)} ms`,
      basis: `5 requests, at most ${digits(Math.max(...took), 1)} ms`,
    },
    {
      what: "isolate's heap over idle with that agenda",
      figure: mebibytes(heap),
      basis: `garbage collected; idle ${mebibytes(idle.heap)}; resident memory of the runtime ${mebibytes(now - idle.resident)} over idle, at most ${mebibytes(peak - idle.resident)}`,
    },
  ];
}

/** The inspector is let go at once: an isolate that is inspected works several times slower. */
async function heapAtRest(runtime: Runtime): Promise<number> {
  const inspector = await connectInspector(runtime);
  await inspector.send('HeapProfiler.collectGarbage');
  const { usedSize, backingStorageSize } = await inspector.send<Record<string, number>>('Runtime.getHeapUsage');
  inspector.close();
  return usedSize! + backingStorageSize!;
}

async function work({ url }: Runtime, body: Work): Promise<{ ms: number; done: number }> {
  const startedAt = performance.now();
  const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
  if (!response.ok)
    throw new Error(
      `${body.kind}: expected status 200, got ${response.status}: ${(await response.text()).slice(0, 500)}`,
    );
  const { done } = (await response.json()) as { done: number };
  return { ms: performance.now() - startedAt, done };
}

async function withRuntime<T>(
  options: Omit<Parameters<typeof startRuntime>[0], 'port'>,
  use: (runtime: Runtime) => Promise<T>,
): Promise<T> {
  const runtime = await startRuntime({ ...options, port: 0 });
  try {
    return await use(runtime);
  } finally {
    await runtime.stop();
  }
}

/** The largest database of a class of objects: the others hold nothing. */
function sqliteOf(stateDir: string, folder: string): string {
  const place = path.join(stateDir, 'v3/do', folder);
  const files = readdirSync(place).filter(found => /^[0-9a-f]{64}\.sqlite$/.test(found));
  return files.map(name => path.join(place, name)).sort((a, b) => statSync(b).size - statSync(a).size)[0]!;
}

/** What a stopped runtime has not written back yet lies in a log beside the file. */
function replaceDatabase(target: string, file: string): void {
  for (const end of ['', '-wal', '-shm']) {
    rmSync(target + end, { force: true });
    if (existsSync(file + end)) copyFileSync(file + end, target + end);
  }
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
