import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tableNamed } from '../../schemas/index.ts';
import { LIMITS } from '../../src/config.ts';
import { AGENDA_AHEAD_MS_MAX } from '../../src/engine/journal/agenda.ts';
import { ChangeError } from '../../src/errors.ts';
import { digestsOf } from '../../src/loader/rows.ts';
import type { Change, Loaded, Servers, Visit } from '../../src/ports/change.ts';
import { SOURCES } from '../../src/sources/registry.ts';
import type { Source } from '../../src/sources/source.ts';
import { type Lake, load, probe, runStep, servers } from './step.ts';
import { changesOf, type Expected, parked, revisitsOf, type StandIn, walkOf } from './walk.ts';

const NOW = Date.parse('2026-11-25T12:00:00Z');
const DAY = 86_400_000;

/** Sources without a feed. Another file tests the rules that hold for all sources. */
const WITH_AGENDA = SOURCES.filter(source => source.agenda);

/** The outcome of a visit, in the form of the fixture folder: that of its one row of a table whose rows may change. */
function outcomeOf({ rows }: Loaded, names: string[]): Expected {
  const own = rows.filter(({ table }) => !tableNamed(table).immutable);
  expect(own).toHaveLength(1);
  const { op, row } = own[0]!;
  if (op === 'delete') return { gone: true };
  return { row: Object.fromEntries(names.map(name => [name, row[name]])) };
}

describe.each(WITH_AGENDA)('source $id', source => {
  const agenda = source.agenda!;
  let standIn: StandIn;
  let world: NonNullable<StandIn['agenda']>;
  let settings: unknown;
  let known: Servers | null = null;
  let visits: Change[];

  beforeAll(async () => {
    standIn = await walkOf(source.id);
    world = standIn.agenda!;
    settings = source.settings(standIn.env(1));
    if (agenda.directory) known = await servers(source, settings);
    visits = await changesOf(source, settings, standIn);
  });
  afterAll(() => standIn.close());

  const lake: Lake = new Map();
  const visit = (change: Change) => load(source, settings, change, { timer: standIn.timer, lake });

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
      expect(first.seen).toMatchObject({ found: true, facts: expect.any(Object) });
      if (world.hasParts) expect(first.seen!.mainDigest).toEqual(expect.any(String));
      expect(second.seen).toEqual(first.seen);
      expect(digestOf(source, second)).toBe(digestOf(source, first));
      digests.set(change.key, digestOf(source, first));
    }
    expect(new Set(digests.values()).size).toBe(digests.size);
    world.passMonth();
    for (const change of visits.filter(({ key }) => digests.has(key))) {
      const digest = digestOf(source, await visit(change));
      expect([change.key, digest !== digests.get(change.key)]).toEqual([
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
    if (world.hasParts) expect(foreseen).toBeGreaterThan(5);
    else expect(foreseen).toBe(0);
  });

  it.runIf(agenda.directory)('has servers from a list, and refuses an incomplete list', async () => {
    expect(Object.keys(known!.servers).length).toBeGreaterThan(0);
    expect(known!.freshUntilMs).toBeGreaterThan(Date.now());
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

  it.runIf(agenda.directory)('has no list while its upstream is unreachable', async () => {
    const gone = await walkOf(source.id);
    const unserved = source.settings(gone.env(1));
    await gone.close();
    await expect(servers(source, unserved, known)).rejects.toMatchObject({ reason: 'unreachable', status: null });
  });

  it.runIf(agenda.directory)('uses an unchanged list again, and fetches it again later', async () => {
    expect(known!.etag).toEqual(expect.any(String));
    const stale = { ...known!, freshUntilMs: 0 };
    const { value, tallies } = await runStep(source, { settings, step: 'pull' }, ctx =>
      agenda.directory!.read(stale, ctx),
    );
    expect(tallies[0]).toMatchObject({ requests: 1, notModified: 1 });
    expect(value).toEqual({ ...known!, freshUntilMs: expect.any(Number) });
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

  it.runIf(agenda.directory)(
    'finds a server in the given list alone, and none for a name that every object inherits',
    () => {
      const list = known!.servers;
      for (const space of [...Object.keys(list), 'constructor', '__proto__', '', '.', 'a'.repeat(1_000)]) {
        const found = agenda.directory!.serverOf(space, list);
        expect(agenda.directory!.serverOf(space, Object.freeze({ ...list }))).toBe(found);
        if (found !== null) expect(new URL(found).host).toBeTypeOf('string');
      }
      for (const [space, server] of Object.entries(list)) expect(agenda.directory!.serverOf(space, list)).toBe(server);
      for (const space of ['constructor', '__proto__', 'toString'])
        expect(agenda.directory!.serverOf(space, list)).toBe(agenda.directory!.serverOf(space, {}));
    },
  );

  it.runIf(agenda.probe)('has a probe that finds what changed since a visit, each key for itself', async () => {
    const { keysMax } = agenda.probe!;
    const found = visits.filter(({ key }) => 'row' in world.expected(key).outcome);
    const visited = await Promise.all(
      found.map(async change => ({ ...change, facts: (await visit(change)).seen!.facts })),
    );
    const kindsOf = async (changes: Change[]) => (await probe(source, settings, changes)).map(({ kind }) => kind);
    for (const size of [1, 2, keysMax]) {
      const some = visited.slice(0, size);
      expect(await kindsOf(some)).toEqual(some.map(() => 'unchanged'));
    }
    world.passMonth();
    const isChanged = ({ key }: Change) => world.changedLater.includes(key);
    const mixed = visited.filter(isChanged).concat(visited.filter(change => !isChanged(change)));
    const some = mixed.slice(0, keysMax);
    expect(some.some(isChanged) && !some.every(isChanged)).toBe(true);
    expect(await kindsOf(some)).toEqual(some.map(change => (isChanged(change) ? 'changed' : 'unchanged')));
    expect(await kindsOf(some.toReversed())).toEqual((await kindsOf(some)).reverse());
  });

  it.runIf(agenda.probe)('has no answer of a probe whose upstream fails, or answers in another form', async () => {
    const visited = await revisitsOf(source, { ...standIn, settings, changes: visits });
    const some = visited.slice(0, agenda.probe!.keysMax);
    for (const answer of [{ status: 500 }, { status: 200, body: standIn.wrongPage.body }, { status: 200, body: '' }]) {
      standIn.failPage(answer);
      await expect(probe(source, settings, some)).rejects.toThrow(ChangeError);
    }
    expect(await probe(source, settings, some)).toHaveLength(some.length);
  });

  it.runIf(agenda.inlets)('reads any row of its inlets, the same each time, as small findings', () => {
    const values = [null, '', 'x', '\ud800', `https://github.com/a/b.git ${'x'.repeat(5_000)}`, 'https://example.com/'];
    for (const { columns, read } of agenda.inlets!) {
      for (const op of ['upsert', 'delete'] as const) {
        for (const value of values) {
          const row = Object.freeze(Object.fromEntries(columns.map(name => [name, value])));
          const findings = read(Object.freeze({ op, lsn: 1, key: 'key', row }));
          expect(read(Object.freeze({ op, lsn: 1, key: 'key', row }))).toEqual(findings);
          for (const { facts = {} } of findings)
            expect(Buffer.byteLength(JSON.stringify(facts))).toBeLessThanOrEqual(LIMITS.factsBytesMax);
        }
      }
    }
  });

  it.runIf(agenda.signals)('refuses a signal without a signature, whatever its bytes', async () => {
    for (const text of ['', '[]', '{"a":', '\0', 'x'.repeat(10_000)]) {
      for (const headers of [{}, { authorization: 'Bearer x' }, { 'x-signature': 'f'.repeat(64) }]) {
        const request = { headers: new Headers(headers as Record<string, string>), body: Buffer.from(text) };
        expect(await agenda.signals!.verify(request, settings)).toMatchObject({
          refused: 'unsigned',
          message: expect.stringMatching(/^expected .+, got .+/),
        });
      }
    }
  });

  it.runIf(source.tables.some(({ immutable }) => immutable))(
    'gives no deletion in a table whose rows never change',
    async () => {
      const fixed = new Set(source.tables.filter(({ immutable }) => immutable).map(({ name }) => name));
      const rows = (await Promise.all(visits.map(change => visit(change).catch(() => null)))).flatMap(
        one => one?.rows ?? [],
      );
      const own = rows.filter(({ table }) => fixed.has(table));
      expect(own.length).toBeGreaterThan(0);
      expect(own.filter(({ op }) => op === 'delete')).toEqual([]);
    },
  );

  it('derives the next visit from the last one alone: after now, and within the limit of the engine', () => {
    const reasons = new Set<string>();
    for (const visited of madeUpVisits(source, visits)) {
      const { atMs, reason } = agenda.next(visited, settings);
      expect(agenda.next(structuredClone(visited), settings)).toEqual({ atMs, reason });
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

/** What the Loader says of a visit's rows: two visits with the same are one registration. */
function digestOf({ agenda }: Source, { rows, seen }: Loaded): string {
  return JSON.stringify({ ...digestsOf(rows, agenda!.uncounted), ...seen!.digests });
}

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
