import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, expect, vi } from 'vitest';
import { failedOf, replayFailed } from '../../src/engine/controls/failed.ts';
import { Engine } from '../../src/engine/engine.ts';
import { type Loading, runStep } from '../../src/loader/steps.ts';
import type { LoadPort } from '../../src/ports/loader.ts';
import { npm } from '../../src/sources/npm/npm.ts';
import { type NpmStandIn, type PushedChange, startStandIn } from '../../src/sources/npm/stand-in/stand-in.ts';
import type { Source } from '../../src/sources/source.ts';
import type { createFetcher } from '../../src/sources/upstream/fetcher.ts';
import { expectProof, lakeRows } from '../simulation/oracle/proof.ts';
import { drained } from '../simulation/world/clock.ts';
import { instancePorts } from '../simulation/world/ports.ts';
import type { SourceSettings } from '../simulation/world/sources.ts';
import { World } from '../simulation/world/world.ts';
import { type Loopback, startLoopback } from '../sources/upstream/loopback.ts';
import { LoaderBucket } from './loader-bucket.ts';

/** Answers one request; `before` is the number of requests for the same target before this one. */
export type Answerer = (request: IncomingMessage, response: ServerResponse, before: number) => void;

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

/** The path of the feed. */
export const FEED = '/registry/_changes';

const open: HostileWorld[] = [];
afterEach(async () => {
  for (const { standIn, feed, documents } of open.splice(0))
    for (const stop of [standIn.stop, feed.close, documents.close]) await stop();
});

/** The whole engine with the real source and real HTTP, on the simulation's storage, bucket, database and clock. */
export class HostileWorld {
  readonly world: World;
  readonly bucket = new LoaderBucket();
  readonly standIn: NpmStandIn;
  /** Servers in front of the stand-in: the host of the feed, and the host of the documents. */
  readonly feed: Loopback;
  readonly documents: Loopback;
  /** Answers in place of a name's good document, or of one of the feed's two paths. */
  readonly answers: Map<string, Answerer>;
  /** The times of the requests for each name, or path of the feed. */
  readonly requestTimes: ReadonlyMap<string, number[]>;
  readonly #loading: Loading;
  /** Loader calls, requests and waits in progress. The server holds `held` requests until the clock moves. */
  #calls = 0;
  #requests = 0;
  #sleeping = 0;
  #held = 0;

  private constructor(
    standIn: NpmStandIn,
    { feed, documents }: { feed: Loopback; documents: Loopback },
    { answers, requestTimes }: Pick<HostileWorld, 'answers' | 'requestTimes'>,
    env: Record<string, string>,
  ) {
    this.requestTimes = requestTimes;
    this.feed = feed;
    this.standIn = standIn;
    this.documents = documents;
    this.answers = answers;
    const settings = npm.settings({
      NPM_FEED_URL: `${feed.url}/registry`,
      NPM_REGISTRY_URL: documents.url,
      NPM_DOWNLOADS_URL: standIn.downloadsUrl,
      NPM_START: '0',
      NPM_SETTLE_MS: '0',
      NPM_REQUESTS_PER_SECOND: '1000',
      ...env,
    });
    const source = {
      ...npm,
      pace: () => npm.pace(settings),
      requests: (step, changes) => npm.requests(step, changes, settings),
    } as Source<SourceSettings>;
    this.world = new World({ kind: () => source });
    Object.assign(this.world, { bucket: this.bucket });
    const { clock } = this.world;
    const bucket = this.bucket;
    const permit = async (host: string) => this.world.engine.permit(host);
    const loading = { source: npm as unknown as Source, settings, contact: 'tests', bucket, permit };
    this.#loading = { ...loading, now: () => clock.now() };
    time.options = {
      retryMsMin: 1,
      sleep: ms => this.#during('sleep', clock.sleep(ms)),
      timer: (ms, expire) => this.#timer(ms, expire),
    };
    const load = this.#loadPort();
    this.world.queue.load = load;
    const ports = { ...instancePorts(this.world, () => true), load };
    this.world.engine = new Engine({
      ports,
      source: { ...this.world.engine.source, prepares: true },
      options: this.world.options,
    });
  }

  static async start(env: Record<string, string> = {}): Promise<HostileWorld> {
    const standIn = await startStandIn({ only: [] });
    const answers = new Map<string, Answerer>();
    const requestTimes = new Map<string, number[]>();
    const now = () => hostile.world.clock.elapsedMs;
    const answerTo: Answerer = (request, response) => {
      const { pathname } = new URL(request.url!, standIn.origin);
      const target = pathname === '/' || pathname === FEED ? pathname : decodeURIComponent(pathname.slice(1));
      const before = requestTimes.get(target) ?? [];
      requestTimes.set(target, [...before, now()]);
      // A client that refuses a body closes the connection.
      response.on('error', () => undefined);
      const usual = target === pathname ? relayed : good;
      (answers.get(target) ?? usual(standIn, target))(request, response, before.length);
    };
    const servers = { feed: await startLoopback(answerTo), documents: await startLoopback(answerTo) };
    const hostile: HostileWorld = new HostileWorld(standIn, servers, { answers, requestTimes }, env);
    open.push(hostile);
    await hostile.world.engine.watch();
    return hostile;
  }

  /** Publishes a change of each name, with a good document. */
  publish(names: string | string[], change: Omit<PushedChange, 'id'> = {}): void {
    for (const id of [names].flat()) this.standIn.pushChange({ id, document: documentOf(id), ...change });
  }

  /** Holds a request for ever, or for a time; then answers it if the client still waits. */
  hold(response: ServerResponse, later?: { ms: number; answer: () => void }): void {
    this.#held += 1;
    let isOver = false;
    const over = () => {
      if (!isOver) this.#held -= 1;
      isOver = true;
    };
    response.on('close', over);
    if (!later) return;
    this.world.clock.sleep(later.ms).then(() => {
      if (isOver) return;
      over();
      later.answer();
    });
  }

  get isFollowed(): boolean {
    const { lane, engine } = this.world;
    const { files, journal } = engine;
    const head = String(this.standIn.updateSeq());
    const isProjected = files.unpublished(1).length === 0 && journal.state.source().published_cursor === head;
    return lane.cursor === head && files.backlog().rows === 0 && isProjected;
  }

  followed(): Promise<void> {
    return this.settle(() => this.isFollowed);
  }

  /** Moves the clock until a condition holds between two runs, but never while a request is in progress. */
  async settle(until: () => boolean, withinMs = 48 * 3_600_000): Promise<void> {
    const { world } = this;
    const { clock, storage } = world;
    const endMs = clock.elapsedMs + withinMs;
    for (;;) {
      await drained();
      if (!world.running && until()) return;
      if (this.#isBusy) continue;
      const isArmed = !world.running && storage.alarmMs !== null;
      const alarmMs = isArmed ? storage.alarmMs! - clock.now() : Number.POSITIVE_INFINITY;
      if (alarmMs <= 0) {
        world.fire();
        continue;
      }
      const waitMs = Math.min(alarmMs, clock.nextTimerMs() ?? Number.POSITIVE_INFINITY);
      if (clock.elapsedMs + waitMs > endMs) throw new Error(`hostile world: expected an end within ${withinMs} ms`);
      await clock.advance(waitMs);
    }
  }

  /** Moves the clock by so much. */
  async pass(ms: number): Promise<void> {
    let isOver = false;
    this.world.clock.sleep(ms).then(() => {
      isOver = true;
    });
    await this.settle(() => isOver, ms + 3_600_000);
  }

  rows() {
    return lakeRows(this.world);
  }

  get parked() {
    return this.world.parked.map(({ key, reason }) => ({ key, reason }));
  }

  get dead() {
    const all = { reason: null, olderThanSeconds: null, state: 'dead' as const, after: 0, limit: 1_000 };
    return failedOf(this.world.engine, all).map(({ key, reason }) => ({ key, reason }));
  }

  /** Replays all dead letters, and waits until each is loaded. */
  async replayDead(): Promise<void> {
    const query = { reason: null, olderThanSeconds: null, state: 'dead' as const };
    await replayFailed(this.world.engine, { numbers: null, query, dryRun: false });
    await this.settle(() => this.world.balance.dead + this.world.balance.parked === 0);
  }

  /** Expects that a good change is loaded, that each change number has an outcome, and that each row is in the lake once. */
  async expectGoesOn(balance: {
    rows: number;
    parked?: number;
    dead?: number;
    tombstones?: number;
    superseded?: number;
  }): Promise<void> {
    const { rows, parked = 0, dead = 0, tombstones = 0, superseded = 0 } = balance;
    this.publish('comes-after');
    await this.settle(() => this.isFollowed && this.world.parked.length === parked);
    expect(this.world.balance).toMatchObject({
      changes: rows + 1 + parked + dead + tombstones + superseded,
      rows: rows + 1,
      parked,
      dead,
      tombstones,
      balanced: true,
      skipped: { superseded, 'no-rows': 0, unchanged: 0 },
    });
    const names = (await this.rows()).map(({ name }) => name);
    expect(names).toHaveLength(rows + 1 + tombstones);
    expect(names.filter(name => name === 'comes-after')).toHaveLength(1);
    await expectProof(this.world);
    expect(this.world.state).toBe('following');
  }

  get #isBusy(): boolean {
    const waitsForTime = this.#sleeping + this.#held > 0 && this.#requests === this.#held;
    return this.#calls > 0 && !waitsForTime;
  }

  #timer(ms: number, expire: () => void): () => void {
    const ended = Promise.withResolvers<void>();
    let isOver = false;
    this.#requests += 1;
    this.world.clock.within(ended.promise, ms, 'request').catch(expire);
    return () => {
      if (!isOver) this.#requests -= 1;
      isOver = true;
      ended.resolve();
    };
  }

  async #during<T>(kind: 'sleep' | 'call', work: Promise<T>): Promise<T> {
    const count = (by: number) => {
      if (kind === 'sleep') this.#sleeping += by;
      else this.#calls += by;
    };
    count(1);
    try {
      return await work;
    } finally {
      count(-1);
    }
  }

  #loadPort(): LoadPort {
    const loading = this.#loading;
    // Values between two isolates are copies. A call waits until the storage writes before it are flushed.
    const call = async <T>(work: () => Promise<T>): Promise<T> => {
      this.world.storage.flush();
      return structuredClone(await this.#during('call', work()));
    };
    return {
      run: (step, request) => call(() => runStep(loading, step, request)),
      ping: async () => undefined,
    };
  }
}

/** A small good document of a name, without the fields that the stand-in adds. */
export function documentOf(name: string, fields: Record<string, unknown> = {}): Record<string, unknown> {
  const times = {
    created: '2020-01-01T00:00:00.000Z',
    modified: '2021-01-01T00:00:00.000Z',
    '1.0.0': '2020-01-01T00:00:00.000Z',
  };
  return {
    'dist-tags': { latest: '1.0.0' },
    versions: { '1.0.0': { name, version: '1.0.0' } },
    time: times,
    ...fields,
  };
}

/** Answers with the stand-in's document of a name. */
function good(standIn: NpmStandIn, name: string): Answerer {
  return (_, response) => {
    const body = standIn.documentOf(name);
    response.writeHead(body ? 200 : 404, { 'content-type': 'application/json' }).end(body ?? '{}');
  };
}

/** Answers with the stand-in's answer to the same request. */
function relayed({ origin }: NpmStandIn): Answerer {
  return async (request, response) => {
    const answer = await fetch(`${origin}${request.url}`);
    const body = await answer.text();
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(body);
  };
}

/** Answers with this body, or with the body that a function makes from the request's cursor. */
export function answerWith(
  content: string | Uint8Array | ((since: number) => unknown),
  headers: Record<string, string> = {},
): Answerer {
  return (request, response) => {
    const since = Number(new URL(request.url!, 'http://upstream.test').searchParams.get('since'));
    const text = typeof content === 'function' ? JSON.stringify(content(since)) : content;
    response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(text);
  };
}
