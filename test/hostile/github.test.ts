import { expect, test } from 'vitest';
import { ChangeError, StepError } from '../../src/errors.ts';
import { documentKey } from '../../src/lake/object-keys.ts';
import { checkRow } from '../../src/loader/rows.ts';
import type { Change, Loaded, ProbeAnswer } from '../../src/ports/change.ts';
import { github } from '../../src/sources/github/github.ts';
import { makeGithub } from '../../src/sources/github/stand-in/stand-in.ts';
import { World } from '../../src/sources/github/stand-in/world.ts';
import { toBytes } from '../../src/sources/stand-in/server.ts';
import { createFetcher } from '../../src/sources/upstream/fetcher.ts';
import { numberOf, seedOf } from '../budget.ts';
import { changeOf } from '../sources/github/follower.ts';
import { type Coin, coinOf, mutateBytes, mutateStructure, pick } from './fuzz-mutations.ts';

const VISITS = numberOf('GITHUB_VISITS', 400);
const SEED = seedOf('GITHUB_VISITS_SEED');
const ORIGIN = 'https://api.github.example';

/** JSON of what a visit leaves is stored with each watched key. */
const FACTS_BYTES_MAX = 2_000;

const hub = new World();
const boat = hub.repository('octo/boat', { topics: ['sea'], license: 'MIT' });
hub.account('crew', { type: 'Organization', bio: 'We sail' });
const [first] = hub.commit(boat, [{}, { author: null }, {}]);
const hosted = makeGithub(hub, { origin: () => ORIGIN });
const settings = github.settings({
  GITHUB_API_URL: ORIGIN,
  GITHUB_TOKEN: [...hosted.tokens][0],
  GITHUB_AUTHORS: 'true',
});

/** A context whose answers are GitHub's, each mutated where the coin says so. */
function contextOf(coin: Coin, share: number) {
  const send = async (input: unknown, init?: RequestInit) => {
    const url = new URL(String(input));
    const headers = Object.fromEntries(new Headers(init?.headers));
    const sent = { method: init?.method ?? 'GET', headers, body: Buffer.from(String(init?.body ?? '')) };
    const { status = 200, body, headers: answered = {} } = hosted.answerTo(url, sent);
    const bytes = Buffer.from(toBytes(body));
    if (status === 304) return new Response(null, { status, headers: answered });
    return new Response(coin() < share ? mutated(bytes, coin) : bytes, { status, headers: answered });
  };
  const fetcher = createFetcher({
    contact: 'tests',
    permits: [],
    requestPermit: async host => ({ host, count: 1, startAtMs: 0, intervalMs: 0 }),
    deadlineAtMs: Number.MAX_SAFE_INTEGER,
    retryMsMin: 0,
    sleep: async () => undefined,
    timer: () => () => undefined,
    fetch: send as typeof fetch,
  });
  const stored = async ({ name }: { name: string }) => ({ key: name, object: null });
  return { ...fetcher, settings, nowMs: hub.nowMs, prepared: null, afresh: true, stored };
}

function mutated(bytes: Buffer, coin: Coin): Buffer<ArrayBuffer> {
  const changed = coin() < 0.8 ? mutateStructure(bytes.toString(), coin) : mutateBytes(bytes, coin);
  return Buffer.from(changed as string);
}

const KEYS = ['repo:octo/boat', 'user:octo', 'user:crew', 'owner:octo'];

/** Facts of visits before, in some of which a field is wrong: the journal has those of earlier versions of the code too. */
async function factsFor(key: string, coin: Coin): Promise<Change['facts']> {
  if (coin() < 0.3) return null;
  const { seen } = await github.load(changeOf(key), contextOf(coin, 0));
  const facts = { ...seen!.facts, ...(coin() < 0.5 && { etag: null }), ...(coin() < 0.4 && { head: first }) };
  const name = pick(coin, Object.keys(facts));
  return coin() < 0.3 ? { ...facts, [name]: pick(coin, [undefined, null, 7, 'x', {}, []]) } : facts;
}

test(`answers of GitHub are read or refused, whatever they are (seed ${SEED})`, { timeout: 600_000 }, async () => {
  let [read, refused] = [0, 0];
  for (let visit = 0; visit < VISITS; visit++) {
    const coin = coinOf(SEED + visit, 0);
    const key = pick(coin, KEYS);
    const facts = await factsFor(key, coin);
    const isProbe = coin() < 0.25;
    const ctx = contextOf(coin, 0.6);
    try {
      if (isProbe) checkAnswers(await github.agenda!.probe!.ask([changeOf(key, facts)], ctx));
      else checkLoaded(key, await github.load(changeOf(key, facts), ctx));
      read += 1;
    } catch (error) {
      if (!(error instanceof ChangeError || error instanceof StepError))
        throw new Error(`GITHUB_VISITS=1 GITHUB_VISITS_SEED=${SEED + visit}: ${key}`, { cause: error });
      refused += 1;
    }
  }
  expect(Math.min(read, refused)).toBeGreaterThan(VISITS / 20);
});

function checkAnswers(answers: ProbeAnswer[]): void {
  expect(answers).toHaveLength(1);
  expect(['unchanged', 'changed', 'failed']).toContain(answers[0]!.kind);
  expect(JSON.stringify(answers).length).toBeLessThan(FACTS_BYTES_MAX);
}

/** A load is one that the Loader and the journal take. */
function checkLoaded(key: string, { rows, documents, seen }: Loaded): void {
  for (const row of rows) checkRow(row);
  for (const document of documents)
    expect(documentKey(github, document)).toMatch(/^github\/raw\/(repos|profiles|commits)\/[^\0]+\.json$/);
  const facts = JSON.stringify(seen!.facts);
  expect(facts.length).toBeLessThan(FACTS_BYTES_MAX);
  expect(seen!.movedTo === undefined || 'key' in github.agenda!.read(seen!.movedTo)).toBe(true);
  const visited = { key, nowMs: hub.nowMs, outcome: 'found', times: 1, changed: true, notBeforeMs: null } as const;
  const next = github.agenda!.next({ ...visited, facts: JSON.parse(facts) as Record<string, unknown> }, settings);
  expect(next.atMs).toBeGreaterThan(hub.nowMs);
}
