import { onTestFinished, vi } from 'vitest';
import type { Row, Table } from '../../../schemas/table.ts';
import { watchKeys } from '../../../src/engine/controls/watched-keys.ts';
import { github } from '../../../src/sources/github/github.ts';
import { type Github, makeGithub } from '../../../src/sources/github/stand-in/stand-in.ts';
import { World as GithubWorld, isRepository, type Repository } from '../../../src/sources/github/stand-in/world.ts';
import type { Source } from '../../../src/sources/source.ts';
import type { Answer } from '../../../src/sources/stand-in/faults.ts';
import { toBytes } from '../../../src/sources/stand-in/server.ts';
import { lakeRows } from '../../simulation/oracle/proof.ts';
import type { SourceKind, SourceSettings } from '../../simulation/world/sources.ts';
import { runUntil, startedWorld, type World } from '../../simulation/world/world.ts';

const ORIGIN = 'https://api.github.example';
const DAY = 86_400_000;
/** No repository that is there is due later than this. */
export const ROUND_MS = 8 * DAY;

const KEYS_MAX = 1_000_000;

/** A request of the source: `graphql`, or the path of REST. */
export interface Asked {
  path: string;
  status: number;
  atMs: number;
}

/** The engine with the real source and Loader on ports in memory, and a GitHub whose clock is the engine's. */
export interface EngineWorld {
  world: World;
  github: Github;
  hub: GithubWorld;
  /** The requests so far. A cut connection has status 0. */
  asked: Asked[];
  /** Sets the answer to a request, null for the usual one. */
  onRequest: (path: string) => Answer | null;
}

export async function engineWorld(env: Record<string, string> = {}): Promise<EngineWorld> {
  const kind = kindOf({ GITHUB_API_URL: ORIGIN, GITHUB_TOKEN: '', ...env });
  const world = await startedWorld({ kind, fetches: true });
  const hub = new GithubWorld({ now: () => world.clock.now() });
  const hosted = makeGithub(hub, { origin: () => ORIGIN });
  const own: EngineWorld = { world, github: hosted, hub, asked: [], onRequest: () => null };
  stubTimers(world);
  stubFetch(own);
  onTestFinished(async () => {
    vi.unstubAllGlobals();
    await world.recycle();
  });
  return own;
}

/** The real source in a simulated world, whose own settings it does not read. */
function kindOf(env: Record<string, string>): SourceKind {
  const source = github as unknown as Source;
  const [token] = makeGithub(new GithubWorld(), { origin: () => ORIGIN }).tokens;
  const settings = source.settings({ ...env, GITHUB_TOKEN: token });
  const agenda = source.agenda!;
  const bound = {
    ...source,
    pace: () => source.pace(settings),
    requests: (step, changes) => source.requests(step, changes, settings),
    load: (change, ctx) => source.load(change, { ...ctx, settings }),
    agenda: {
      ...agenda,
      inlets: [],
      probe: { ...agenda.probe!, ask: (changes, ctx) => agenda.probe!.ask(changes, { ...ctx, settings }) },
    },
  } as Source<SourceSettings>;
  // Storages of one name share their tables.
  return function githubKind() {
    return bound;
  };
}

/** Timers of the Loader follow the world's clock. */
function stubTimers({ clock }: World): void {
  vi.stubGlobal('setTimeout', (due: () => void, ms = 0) => {
    const cancel = clock.timer(ms, due);
    return { cancel, ref: () => undefined, unref: () => undefined };
  });
  vi.stubGlobal('clearTimeout', (timer?: { cancel(): void }) => timer?.cancel());
}

/** Requests reach GitHub without a socket. */
function stubFetch(own: EngineWorld): void {
  vi.stubGlobal('fetch', async (address: string, { method = 'GET', headers, body = '' }: RequestInit) => {
    const url = new URL(address);
    const path = url.pathname === '/graphql' ? 'graphql' : url.pathname;
    const asked = { path, status: 0, atMs: own.world.clock.now() };
    own.asked.push(asked);
    const sent = { method, headers: headers as Record<string, string>, body: Buffer.from(body as string) };
    const answer = own.onRequest(path) ?? own.github.answerTo(url, sent);
    if (answer.cut) throw new TypeError('fetch failed');
    asked.status = answer.status ?? 200;
    const content = asked.status === 304 ? null : Buffer.from(toBytes(answer.body));
    return new Response(content, { status: asked.status, headers: answer.headers ?? {} });
  });
}

/** Watches repositories under the names that they have now. */
export async function watchNames({ world }: EngineWorld, names: string[]): Promise<void> {
  const keys = names.map(name => `repo:${name.toLowerCase()}`);
  const part = keys.map((key, index) => ({ line: index + 1, key, space: 'repo' }));
  await world.ask('object.watch', engine => watchKeys(engine, { atMs: null, keys: part }));
}

/** Makes every key due that is there, and lets time pass until each was visited and no change is parked. */
export async function visitAll({ world, asked }: EngineWorld, withinMs = 3 * DAY): Promise<void> {
  world.clock.jump(ROUND_MS);
  await world.engine.watch();
  const startMs = world.clock.now();
  const agenda = world.engine.journal.agenda!;
  const keys = agenda.list({ after: null, limit: KEYS_MAX }).filter(({ due_ms }) => due_ms <= startMs);
  const left = new Set(keys.map(({ key }) => key));
  // A key for which there was no permit is put off for a while, in which it is not due.
  const isVisited = () => {
    for (const key of left) {
      const watched = agenda.find(key);
      if (watched && (watched.checked_ms ?? 0) < startMs) return false;
      left.delete(key);
    }
    return true;
  };
  try {
    await runUntil(world, { until: () => world.isFollowed && world.parked.length === 0 && isVisited(), withinMs });
  } catch (error) {
    isVisited();
    const due = agenda.list({ after: null, limit: KEYS_MAX }).filter(({ due_ms }) => due_ms <= world.clock.now());
    const state = {
      left: [...left].slice(0, 5),
      parked: world.parked.slice(0, 3),
      due: due.slice(0, 5),
      asked: asked.slice(-12),
    };
    throw new Error(`visits: expected an end, got ${JSON.stringify(state)}`, { cause: error });
  }
}

/** Lets time pass until no key is due and no change is parked. */
export function settle({ world }: EngineWorld, withinMs = 1 * DAY): Promise<void> {
  return runUntil(world, { until: () => world.isFollowed && world.parked.length === 0, withinMs });
}

export function tableOf({ world }: EngineWorld, name: string): Table {
  return world.engine.source.tables.find(table => table.name === name)!;
}

/** The rows of a table in files, in the order of their LSN. */
export function rowsOf(own: EngineWorld, table: string): Promise<Row[]> {
  return lakeRows(own.world, tableOf(own, table));
}

/** The shas in files, by the number of their repository. */
export async function shasOf(own: EngineWorld): Promise<Map<string, Set<string>>> {
  const rows = await rowsOf(own, 'github_commit');
  const groups = Map.groupBy(rows, row => String(row.github_id));
  return new Map([...groups].map(([id, group]) => [id, new Set(group.map(({ sha }) => String(sha)))]));
}

/** Every repository that GitHub shows. */
export function repositoriesOf({ hub }: EngineWorld): Repository[] {
  return [...hub.nodes.values()].filter(isRepository);
}

export function countOf(asked: Asked[], kind: 'graphql' | 'rest'): number {
  return asked.filter(({ path }) => (path === 'graphql') === (kind === 'graphql')).length;
}
