import { afterEach, vi } from 'vitest';
import { watchKeys } from '../../src/engine/controls/watched-keys.ts';
import { Engine } from '../../src/engine/engine.ts';
import { agendaOf } from '../../src/engine/journal/agenda.ts';
import { type Loading, runStep } from '../../src/loader/steps.ts';
import type { LoadPort } from '../../src/ports/loader.ts';
import type { Source } from '../../src/sources/source.ts';
import type { createFetcher } from '../../src/sources/upstream/fetcher.ts';
import { LoaderBucket } from '../hostile/loader-bucket.ts';
import { drained } from '../simulation/world/clock.ts';
import { instancePorts } from '../simulation/world/ports.ts';
import type { SourceSettings } from '../simulation/world/sources.ts';
import { World, type WorldOptions } from '../simulation/world/world.ts';

const HOUR_MS = 3_600_000;

// Requests go over the loopback interface, but their waits and timeouts use the simulated clock.
const time = vi.hoisted(() => ({ options: {} as Partial<Parameters<typeof createFetcher>[0]> }));
vi.mock('../../src/sources/upstream/fetcher.ts', async importOriginal => {
  const http = await importOriginal<typeof import('../../src/sources/upstream/fetcher.ts')>();
  return {
    ...http,
    createFetcher: (options: Parameters<typeof createFetcher>[0]) =>
      http.createFetcher({ ...options, ...time.options }),
  };
});

/** How a host answers: not at all, no connection, after a time, or with a status in place of its answer. */
export type HostFault = 'silent' | 'down' | { delayMs: number } | { status: number };

afterEach(() => vi.unstubAllGlobals());

/**
 * The whole engine with a real source of an agenda and its stand-in over HTTP, on the simulation's storage, bucket,
 * database and clock. Only one may be used at a time.
 */
export class ServedWorld {
  readonly world: World;
  readonly bucket = new LoaderBucket();
  /** Faults by host; hosts without one answer. */
  readonly faults = new Map<string, HostFault>();
  /** The times of all requests since the simulation began, with their hosts. */
  readonly requests: { host: string; atMs: number }[] = [];
  readonly #source: Source;
  readonly #loading: Omit<Loading, 'permit'>;
  #instance = 0;
  /** Loader calls, requests, waits and held requests in progress. */
  #counts = { calls: 0, requests: 0, sleeping: 0, held: 0 };

  private constructor(source: Source, env: Record<string, unknown>, options: WorldOptions) {
    const settings = source.settings(env);
    this.#source = source;
    const agenda = source.agenda!;
    const bound = {
      ...source,
      agenda: { ...agenda, next: visit => agenda.next(visit, settings) },
      pace: () => source.pace(settings),
      requests: (step, changes) => source.requests(step, changes, settings),
    } as Source<SourceSettings>;
    this.world = new World({ ...options, kind: () => bound });
    Object.assign(this.world, { bucket: this.bucket });
    const { clock } = this.world;
    this.#loading = { source, settings, contact: 'tests', bucket: this.bucket, now: () => clock.now() };
    time.options = {
      retryMsMin: 1,
      sleep: ms => this.#during('sleeping', clock.sleep(ms)),
      timer: (ms, expire) => this.#timer(ms, expire),
    };
    const { fetch } = globalThis;
    vi.stubGlobal('fetch', (url: string, init: RequestInit) => this.#fetch(fetch, url, init));
    this.#startInstance();
  }

  static async start(
    source: Source,
    { env, ...options }: WorldOptions & { env: Record<string, unknown> },
  ): Promise<ServedWorld> {
    const served = new ServedWorld(source, env, options);
    await served.world.engine.watch();
    return served;
  }

  /** Adds keys to the agenda. */
  async watch(keys: string[]): Promise<void> {
    const read = keys.map((text, index) => {
      const key = this.#source.agenda!.read(text);
      if ('rejected' in key) throw new Error(`${text}: expected a key, got ${key.rejected}`);
      return { ...key, line: index + 1 };
    });
    await watchKeys(this.world.engine, { atMs: null, keys: read });
  }

  /** Kills the instance, with the writes since the last flush, and starts another. */
  kill(): void {
    this.world.kill();
    this.#startInstance();
  }

  /** Whether no key is due, and every row is in a file and published. */
  get isAtRest(): boolean {
    return this.world.isFollowed;
  }

  /** When a key is due, in milliseconds since 1970. */
  dueMs(key: string): number | null {
    return agendaOf(this.world.engine.journal).find(key)?.due_ms ?? null;
  }

  /** Moves the clock until a condition holds between two runs, but never while a request is in progress. */
  async settle(until: () => boolean, withinMs = 3 * HOUR_MS): Promise<void> {
    const { clock } = this.world;
    const endMs = clock.elapsedMs + withinMs;
    for (;;) {
      await drained();
      if (!this.world.running && until()) return;
      if (this.#isBusy) continue;
      const { alarmMs } = this.world.storage;
      const leftMs =
        this.world.running || alarmMs === null ? Number.POSITIVE_INFINITY : Math.max(0, alarmMs - clock.now());
      if (leftMs === 0) {
        this.world.fire();
        continue;
      }
      const waitMs = Math.min(leftMs, clock.nextTimerMs() ?? Number.POSITIVE_INFINITY);
      if (clock.elapsedMs + waitMs > endMs) throw new Error(`served world: expected an end within ${withinMs} ms`);
      await clock.advance(waitMs);
    }
  }

  /** Moves the clock by so much. */
  async pass(ms: number): Promise<void> {
    let isOver = false;
    this.world.clock.sleep(ms).then(() => {
      isOver = true;
    });
    await this.settle(() => isOver, ms + HOUR_MS);
  }

  get #isBusy(): boolean {
    const { calls, requests, sleeping, held } = this.#counts;
    const waitsForTime = sleeping + held > 0 && requests === held;
    return calls > 0 && !waitsForTime;
  }

  #startInstance(): void {
    this.#instance += 1;
    const instance = this.#instance;
    const isAlive = () => instance === this.#instance;
    const { world } = this;
    const load = this.#loadPort(isAlive);
    // The consumer of tickets loads in the same way.
    world.queue.load = load;
    const ports = { ...instancePorts(world, isAlive), load };
    world.engine = new Engine({ ports, source: world.engine.source, options: world.options });
  }

  #loadPort(isAlive: () => boolean): LoadPort {
    const permit = async (host: string) => this.world.engine.permit(host);
    const loading = { ...this.#loading, permit };
    const never = new Promise<never>(() => undefined);
    return {
      // Values between two isolates are copies. A call waits until the storage writes before it are flushed, and its
      // answer is lost when the object that made it is dead.
      run: async (step, request) => {
        if (!isAlive()) return never;
        this.world.storage.flush();
        const work = this.world.calls.make(`load.${step}`, () => runStep(loading, step, request));
        const answer = structuredClone(await this.#during('calls', work));
        return isAlive() ? answer : never;
      },
      ping: async () => undefined,
    };
  }

  async #fetch(fetch: typeof globalThis.fetch, url: string, init: RequestInit): Promise<Response> {
    const { clock } = this.world;
    const { host } = new URL(url);
    this.requests.push({ host, atMs: clock.elapsedMs });
    const fault = this.faults.get(host);
    if (fault === undefined) return fetch(url, init);
    if (fault === 'down') throw new TypeError('fetch failed');
    if (fault === 'silent') return this.#during('held', aborted(init.signal!));
    if ('status' in fault) return new Response('', { status: fault.status });
    await this.#during('held', Promise.race([clock.sleep(fault.delayMs), aborted(init.signal!)]));
    return fetch(url, init);
  }

  #timer(ms: number, expire: () => void): () => void {
    const ended = Promise.withResolvers<void>();
    let isOver = false;
    this.#counts.requests += 1;
    this.world.clock.within(ended.promise, ms, 'request').catch(expire);
    return () => {
      if (!isOver) this.#counts.requests -= 1;
      isOver = true;
      ended.resolve();
    };
  }

  async #during<T>(kind: 'calls' | 'sleeping' | 'held', work: Promise<T>): Promise<T> {
    this.#counts[kind] += 1;
    try {
      return await work;
    } finally {
      this.#counts[kind] -= 1;
    }
  }
}

/** Rejects when a request is given up. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason));
  });
}
