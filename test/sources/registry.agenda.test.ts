import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/config.ts';
import { AGENDA_AHEAD_MS_MAX } from '../../src/engine/journal/agenda.ts';
import { ChangeError } from '../../src/errors.ts';
import type { Change, Loaded, Servers, Visit } from '../../src/ports/change.ts';
import { SOURCES } from '../../src/sources/registry.ts';
import type { Source } from '../../src/sources/source.ts';
import { load, runStep, servers } from './step.ts';
import { changesOf, type Expected, parked, type StandIn, walkOf } from './walk.ts';

const NOW = Date.parse('2026-11-25T12:00:00Z');
const DAY = 86_400_000;

/** Sources without a feed. Another file tests the rules that hold for all sources. */
const WITH_AGENDA = SOURCES.filter(source => source.agenda);

/** The outcome of a visit, in the form of the fixture folder. */
function outcomeOf({ rows }: Loaded, names: string[]): Expected {
  expect(rows).toHaveLength(1);
  const { op, row } = rows[0]!;
  if (op === 'delete') return { gone: true };
  return { row: Object.fromEntries(names.map(name => [name, row[name]])) };
}

describe.each(WITH_AGENDA)('source $id', source => {
  const agenda = source.agenda!;
  let standIn: StandIn;
  let world: NonNullable<StandIn['agenda']>;
  let settings: unknown;
  let known: Servers;
  let visits: Change[];

  beforeAll(async () => {
    standIn = await walkOf(source.id);
    world = standIn.agenda!;
    settings = source.settings(standIn.env(1));
    known = await servers(source, settings);
    visits = await changesOf(source, settings, standIn);
  });
  afterAll(() => standIn.close());

  const visit = (change: Change) => load(source, settings, change, { timer: standIn.timer });

  it('has for every key of its fixture folder the outcome that the folder expects', async () => {
    const fresh = await walkOf(source.id);
    try {
      const own = source.settings(fresh.env(1));
      for (const change of await changesOf(source, own, fresh)) {
        const { visits: times, outcome } = fresh.agenda!.expected(change.key);
        const names = 'row' in outcome ? Object.keys(outcome.row) : [];
        let actual: unknown;
        for (let time = 0; time < times; time++)
          actual = await load(source, own, change, { timer: fresh.timer }).then(
            loaded => outcomeOf(loaded, names),
            parked,
          );
        expect({ [change.key]: actual }).toEqual({ [change.key]: outcome });
      }
    } finally {
      await fresh.close();
    }
  });

  it('has one digest for one registration, and another for any other', async () => {
    const digests = new Map<string, string>();
    for (const change of visits.filter(({ key }) => 'row' in world.expected(key).outcome)) {
      // A server that fails at first answers well by its last answer.
      for (let time = 1; time < world.expected(change.key).visits; time++) await visit(change).catch(parked);
      const [first, second] = [await visit(change), await visit(change)];
      expect(first.seen).toMatchObject({ found: true, digests: expect.any(Object), mainDigest: expect.any(String) });
      expect(second.seen).toEqual(first.seen);
      digests.set(change.key, JSON.stringify(first.seen!.digests));
    }
    expect(new Set(digests.values()).size).toBe(digests.size);
    world.passMonth();
    for (const change of visits.filter(({ key }) => digests.has(key))) {
      const { seen } = await visit(change);
      expect([change.key, JSON.stringify(seen!.digests) !== digests.get(change.key)]).toEqual([
        change.key,
        world.changedLater.includes(change.key),
      ]);
    }
  });

  it('foresees the hosts of the next visit, so that it needs no further permit', async () => {
    let foreseen = 0;
    for (const change of visits.filter(({ key }) => !standIn.retried.includes(key))) {
      const first = await visit(change).catch(() => null);
      if (!first?.seen?.moreHosts?.length) continue;
      const again = { ...change, moreHosts: first.seen.moreHosts };
      const options = { settings, step: 'load' as const, changes: [again], timer: standIn.timer };
      const { granted } = await runStep(source, options, ctx => source.load(again, ctx));
      expect({ [change.key]: granted }).toEqual({ [change.key]: {} });
      foreseen += 1;
    }
    expect(foreseen).toBeGreaterThan(5);
  });

  it('has servers from a list, and refuses an incomplete list', async () => {
    expect(Object.keys(known.servers).length).toBeGreaterThan(0);
    expect(known.freshUntilMs).toBeGreaterThan(Date.now());
    const { body, field } = standIn.wrongPage;
    for (const wrong of [body, '{}', '[]', 'null', '']) {
      standIn.failPage({ status: 200, body: wrong });
      await expect(servers(source, settings, known), wrong).rejects.toThrow(ChangeError);
    }
    standIn.failPage({ status: 200, body });
    await expect(servers(source, settings, known)).rejects.toThrow(field);
    standIn.failPage({ status: 404 });
    await expect(servers(source, settings, known)).rejects.toMatchObject({ status: 404 });
  });

  it('has no list while its upstream is unreachable', async () => {
    const gone = await walkOf(source.id);
    const unserved = source.settings(gone.env(1));
    await gone.close();
    await expect(servers(source, unserved, known)).rejects.toMatchObject({ reason: 'unreachable', status: null });
  });

  it('uses an unchanged list again, and fetches it again later', async () => {
    expect(known.etag).toEqual(expect.any(String));
    const stale = { ...known, freshUntilMs: 0 };
    const { value, tallies } = await runStep(source, { settings, step: 'pull' }, ctx =>
      agenda.directory!.read(stale, ctx),
    );
    expect(tallies[0]).toMatchObject({ requests: 1, notModified: 1 });
    expect(value).toEqual({ ...known, freshUntilMs: expect.any(Number) });
    expect(value.freshUntilMs).toBeGreaterThan(Date.now());
    expect(stale.freshUntilMs).toBe(0);
  });

  it('reads its own keys in any case of letters, and rejects other texts with a reason', () => {
    for (const { key } of visits) {
      const read = agenda.read(key);
      expect(read).toEqual({ key, space: expect.any(String) });
      expect(agenda.read(` ${key.toUpperCase()} `)).toEqual(read);
    }
    for (const text of [...world.invalidKeys, 'x'.repeat(300), `${'x.'.repeat(5_000)}com`, '\ud800', '\0'])
      expect([text, agenda.read(text)]).toEqual([text, { rejected: expect.stringMatching(/^[a-z][a-z-]+$/) }]);
  });

  it('finds a server in the given list alone, and none for a name that every object inherits', () => {
    for (const space of [...Object.keys(known.servers), 'constructor', '__proto__', '', '.', 'a'.repeat(1_000)]) {
      const found = agenda.directory!.serverOf(space, known.servers);
      expect(agenda.directory!.serverOf(space, Object.freeze({ ...known.servers }))).toBe(found);
      if (found !== null) expect(new URL(found).host).toBeTypeOf('string');
    }
    for (const [space, server] of Object.entries(known.servers))
      expect(agenda.directory!.serverOf(space, known.servers)).toBe(server);
    for (const space of ['constructor', '__proto__', 'toString'])
      expect(agenda.directory!.serverOf(space, known.servers)).toBe(agenda.directory!.serverOf(space, {}));
  });

  it('derives the next visit from the last one alone: after now, and within the limit of the engine', () => {
    const reasons = new Set<string>();
    for (const visited of madeUpVisits(source, visits)) {
      const { atMs, reason } = agenda.next(visited);
      expect(agenda.next(structuredClone(visited))).toEqual({ atMs, reason });
      expect(Number.isInteger(atMs)).toBe(true);
      expect(atMs).toBeGreaterThan(visited.nowMs);
      expect(atMs).toBeLessThanOrEqual(visited.nowMs + AGENDA_AHEAD_MS_MAX);
      if (visited.notBeforeMs !== null) expect(atMs).toBeGreaterThanOrEqual(visited.notBeforeMs);
      expect(reason).toMatch(/^[a-z][a-z-]+$/);
      reasons.add(reason);
    }
    expect(reasons.size).toBeGreaterThan(3);
  });

  it('has the same result for a key that is gone and for one that never existed', async () => {
    const gone = visits.filter(({ key }) => 'gone' in world.expected(key).outcome);
    expect(gone.length).toBeGreaterThan(1);
    const seen = await Promise.all(gone.map(async change => (await visit(change)).seen));
    expect(new Set(seen.map(one => JSON.stringify(one))).size).toBe(1);
    expect(seen[0]).toMatchObject({ found: false, partial: false, moreHosts: [] });
  });
});

/** Visits of each outcome, with possible facts and with impossible ones. */
function madeUpVisits({ id }: Source, visits: Change[]): Visit[] {
  const facts = [
    null,
    {},
    { expiry: new Date(NOW + 3 * DAY).toISOString(), statuses: [] },
    { expiry: '2099-01-01', statuses: ['pendingDelete'] },
    { expiry: 'no date', statuses: [id] },
  ];
  return visits
    .slice(0, 5)
    .flatMap(({ key }) =>
      (['found', 'partial', 'gone', 'failed'] as const).flatMap(outcome =>
        facts.flatMap(fact =>
          [1, 2, 40].flatMap(times =>
            [null, NOW + 1, NOW + LIMITS.retryAfterMsMax].map(notBeforeMs =>
              Object.freeze({ key, nowMs: NOW, outcome, times, changed: times === 1, facts: fact, notBeforeMs }),
            ),
          ),
        ),
      ),
    );
}
