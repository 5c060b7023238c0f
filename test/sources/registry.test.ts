import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ChangeError, CursorError, SettingError } from '../../src/errors.ts';
import { checkRow } from '../../src/loader/rows.ts';
import type { Change, Loaded } from '../../src/ports/change.ts';
import type { AskedStep, HostRequests } from '../../src/ports/hosts.ts';
import { engineSourceOf } from '../../src/sources/engine-source.ts';
import { SOURCES, sourceNamed } from '../../src/sources/registry.ts';
import type { Listing, ListingContext, LoadContext, Source } from '../../src/sources/source.ts';
import { type Lake, listAll, load, probe, pull, pullAll, runStep, servers } from './step.ts';
import { changesOf, FIXTURES, parked, plainChanges, revisitsOf, type StandIn, walkOf } from './walk.ts';

const EVERYTHING = 5000;

/** Two servers with three redirects each. */
const GRANTED_MAX = 8;

type Work = (ctx: LoadContext<unknown, unknown> & ListingContext<unknown>) => Promise<unknown>;

it.each(SOURCES.map(source => source.id))('%s has a walk and is found by its id', id => {
  expect(existsSync(path.join(import.meta.dirname, id, 'walk.ts'))).toBe(true);
  expect(sourceNamed(id).id).toBe(id);
});

it('an unknown source is refused by name', () => {
  expect(() => sourceNamed('constructor')).toThrow(/^source: expected one of npm.*, got "constructor"$/);
});

it.each(SOURCES)('source $id has either a feed or an agenda', ({ feed, agenda }) => {
  expect([feed, agenda].filter(part => part !== undefined)).toHaveLength(1);
});

describe.each(SOURCES)('source $id', source => {
  let standIn: StandIn;
  let settings: unknown;
  let changes: Change[] = [];
  /** Only where the agenda has a probe, which asks for nothing else. */
  let revisits: Change[] = [];
  /** The first cursor; that of an agenda counts visits. */
  const start = async () => {
    const { feed } = source;
    return feed ? (await runStep(source, { settings, step: 'pull' }, ctx => feed.start(ctx))).value : '0';
  };

  beforeAll(async () => {
    standIn = await walkOf(source.id);
    settings = source.settings(standIn.env(EVERYTHING));
    changes = await changesOf(source, settings, standIn);
    if (source.agenda?.probe) revisits = await revisitsOf(source, { ...standIn, settings, changes });
  });
  afterAll(() => standIn.close());

  const isFollowed = source.feed || source.agenda.directory || source.agenda.probe;
  /** Fetches a page of the feed, or the list of servers, or asks the probe of an agenda without such a list. */
  const follow = async () => {
    if (source.feed) return pull(source, settings, await start());
    if (source.agenda.directory) return servers(source, settings);
    return probe(source, settings, revisits.slice(0, 2));
  };
  const loadOf = (change: Change, lake?: Lake) => load(source, settings, change, { timer: standIn.timer, lake });
  const plain = (count: number, lake?: Lake) =>
    plainChanges(source, { settings, changes, count, timer: standIn.timer, lake });

  it.runIf(source.feed)('loads the rows of its fixture folder', async () => {
    const fresh = await walkOf(source.id);
    try {
      const own = source.settings(fresh.env(EVERYTHING));
      const text = JSON.stringify(await outcomesOf(source, own, changes)).replaceAll(fresh.origin, UPSTREAM);
      const file = path.join(FIXTURES, source.id, 'rows.json');
      if (standIn.rowsByHand) compareRowsByHand(file, text);
      else compareRows(file, text);
    } finally {
      await fresh.close();
    }
  });

  it('loads only rows that fit its tables, and names documents by their keys', async () => {
    for (const { change, loaded } of await plain(10)) {
      for (const row of loaded.rows) {
        const declared = source.tables.find(({ name }) => name === row.table)!;
        expect(declared.validator.safeParse(row.row).error).toBeUndefined();
        expect(checkRow(row)).toEqual(row);
      }
      expect(loaded.documents.map(({ name }) => name)).toContain(change.key);
    }
  });

  it.runIf(source.feed)('continues after the cursor of a page of any size', async () => {
    for (const size of [1, 2, 3, 7, changes.length - 1, changes.length, changes.length + 1]) {
      const sized = source.settings(standIn.env(size));
      expect(uncut(await pullAll(source, sized, await start()))).toEqual(uncut(changes));
    }
  });

  it.runIf(source.feed?.resumable)('continues after the cursor of any change', async () => {
    for (const [i, change] of changes.entries()) {
      const page = await pull(source, settings, source.feed!.parse(change.cursor));
      expect(page.changes).toEqual(changes.slice(i + 1));
      expect(source.feed!.compare(page.cursor, change.cursor)).toBeGreaterThanOrEqual(0);
    }
  });

  it.runIf(source.feed?.list || source.feed?.listing)(
    'lists exactly the keys that its changes leave, each once',
    async () => {
      const keys = await listAll(source, settings);
      const lasts = [...new Map(changes.map(change => [change.key, change])).values()];
      const { unlisted = [] } = standIn;
      const left = lasts
        .filter(({ key, deleted, skip }) => !deleted && skip === null && !unlisted.includes(key))
        .map(({ key }) => key);
      expect([...keys].sort()).toEqual(left.sort());
    },
  );

  it('compares and parses its own cursors, and refuses others', async () => {
    const { parse, compare } = engineSourceOf(source, settings);
    const cursors = [await start(), ...changes.map(change => change.cursor)];
    for (const [i, cursor] of cursors.entries()) {
      expect(parse(cursor)).toBe(cursor);
      expect(compare(cursor, cursor)).toBe(0);
      if (i > 0) {
        expect(compare(cursors[i - 1]!, cursor)).toBeLessThan(0);
        expect(compare(cursor, cursors[i - 1]!)).toBeGreaterThan(0);
      }
    }
    for (const text of ['', 'no cursor', '-1', '1e3', '99999999999999999999']) {
      expect(() => parse(text)).toThrow(CursorError);
    }
  });

  it.each([429, 500, 503])('loses nothing but time to status %i', async status => {
    if (isFollowed) {
      standIn.failPage({ status, headers: { 'retry-after': '7' } });
      const failure = await follow().catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(ChangeError);
      expect(failure).toMatchObject({ status, retryAfterMs: 7000 });
    }
    expect(await changesOf(source, settings, standIn)).toEqual(changes);
    const lake: Lake = new Map();
    for (const { change, loaded } of await plain(5, lake)) {
      standIn.failDocument(change.key, { status });
      await expect(loadOf(change, lake)).rejects.toMatchObject({ reason: `http-${status}`, status });
      // A document whose digest lies there already is not put again.
      const documents = loaded.documents.filter(({ digest }) => digest === undefined);
      expect(withoutTime(await loadOf(change, lake))).toEqual(withoutTime({ ...loaded, documents }));
    }
  });

  it('names itself and the field in the error for an answer of another shape', async () => {
    const { wrongPage, wrongDocument } = standIn;
    const { change } = (await plain(1))[0]!;
    const answers: [field: string, error: unknown][] = [];
    if (isFollowed) {
      standIn.failPage({ status: 200, body: wrongPage.body });
      answers.push([wrongPage.field, await follow().catch((error: unknown) => error)]);
    }
    standIn.failDocument(change.key, { status: 200, body: wrongDocument.body(change.key) });
    answers.push([wrongDocument.field, await loadOf(change).catch((error: unknown) => error)]);
    for (const [field, error] of answers) {
      expect(error).toBeInstanceOf(ChangeError);
      expect(error).toMatchObject({
        reason: 'wrong-shape',
        message: expect.stringMatching(new RegExp(`^${standIn.subject} [a-z]+: expected ${field} to be .+, got .+`)),
      });
    }
  });

  it('sends no more requests than `requests` says, and to no other host', async () => {
    const hostsAsked = async (step: AskedStep, some: Change[], work: Work, afresh = false) => {
      const options = { settings, step, changes: some, afresh, timer: standIn.timer };
      const { tallies, granted } = await runStep(source, options, ctx => work(ctx).catch(onlyUpstream));
      const allowed = source.requests(step, some, settings);
      for (const { host, requests } of tallies)
        expect(requests).toBeLessThanOrEqual((allowed[host] ?? 0) + (granted[host] ?? 0));
      // A host that only an answer names, a second server or a redirect, gets a permit for each request. There are few.
      // A fallback of the source's own takes at most the visit's requests over.
      const own = Object.keys(source.pace(settings).hosts);
      const total = (counts: HostRequests) => Object.values(counts).reduce((sum, count) => sum + count, 0);
      const named = Object.entries(granted).filter(([host]) => !own.includes(host));
      expect(total(Object.fromEntries(named))).toBeLessThanOrEqual(GRANTED_MAX);
      expect(total(granted)).toBeLessThanOrEqual(GRANTED_MAX + total(allowed));
      // The hosts of a probe are the source's own, so it needs no such permit.
      if (step === 'probe') expect(granted).toEqual({});
      return tallies.length;
    };
    const cursor = await start();
    const { feed, agenda } = source;
    if (feed) expect(await hostsAsked('pull', [], ctx => feed.pull({ cursor, poll: 0 }, ctx))).toBeGreaterThan(0);
    if (agenda?.directory) expect(await hostsAsked('pull', [], ctx => agenda.directory!.read(null, ctx))).toBe(1);
    if (agenda?.probe) {
      const some = revisits.slice(0, agenda.probe.keysMax);
      expect(await hostsAsked('probe', some, ctx => agenda.probe!.ask(some, ctx))).toBe(1);
    }
    if (feed?.list) expect(await hostsAsked('list', [], ctx => feed.list!(null, ctx))).toBe(1);
    if (feed?.listing) expect(await hostsAsked('list', [], ctx => readWhole(feed.listing!, ctx))).toBe(1);
    const present = changes.filter(({ deleted, skip }) => !deleted && skip === null).slice(0, 5);
    if (feed?.round)
      for (const change of present)
        expect(await hostsAsked('round', [change], ctx => feed.round!.check(change, ctx))).toBe(1);
    const whole = changes.filter(({ key }) => !standIn.retried.includes(key));
    for (const some of [whole, whole.slice(0, 1), whole.filter(change => change.deleted), []]) {
      await hostsAsked('prepare', some, async ctx => source.prepare?.(some, ctx));
    }
    for (const change of whole.filter(({ skip }) => skip === null)) {
      for (const afresh of [false, true]) await hostsAsked('load', [change], ctx => source.load(change, ctx), afresh);
    }
  });

  it.runIf(source.agenda?.inlets)('names tables, columns and sources of its inlets that exist, each table once', () => {
    const inlets = source.agenda!.inlets!;
    for (const { source: feeding, table: name, columns } of inlets) {
      expect(feeding).not.toBe(source.id);
      const table = sourceNamed(feeding).tables.find(one => one.name === name);
      expect({ name, found: table?.name }).toEqual({ name, found: name });
      expect(table!.columns.map(column => column.name)).toEqual(expect.arrayContaining(columns));
    }
    expect(new Set(inlets.map(({ table }) => table)).size).toBe(inlets.length);
  });

  /** Inlets of other sources that read this one's tables. */
  const readers = SOURCES.flatMap(({ id, agenda }) =>
    (agenda?.inlets ?? []).flatMap(inlet => (inlet.source === source.id ? [{ id, agenda: agenda!, inlet }] : [])),
  );

  it.runIf(readers.length > 0)('gives other agendas findings that depend on the row alone', async () => {
    for (const { agenda, inlet } of readers) {
      const read = (loaded: Loaded) =>
        loaded.rows
          .filter(({ table }) => table === inlet.table)
          .flatMap(({ op, row }) => {
            const seen = Object.fromEntries(inlet.columns.map(name => [name, row[name] ?? null]));
            return inlet.read(Object.freeze({ op, lsn: 1, key: 'key', row: Object.freeze(seen) }));
          });
      const findings = (await plain(source.feed ? 40 : 10)).map(({ loaded }) => [read(loaded), read(loaded)]);
      expect(findings.map(([, again]) => again)).toEqual(findings.map(([first]) => first));
      const keys = findings.flatMap(([first]) => first!.map(({ key }) => agenda.read(key)));
      // Invented names may end in `.example`, which is reserved, so that agendas of domains take none of them.
      expect(keys.some(key => 'key' in key || key.rejected === 'special-use')).toBe(true);
    }
  });

  it('refuses a wrong setting by its name', () => {
    const env = standIn.env(10);
    for (const name of source.settingNames) {
      expect(name).toMatch(new RegExp(`^${source.id.toUpperCase()}_[A-Z_]+$`));
      const read = () => source.settings({ ...env, [name]: '\u0001' });
      expect(read).toThrow(SettingError);
      expect(read).toThrow(new RegExp(`^${name}: expected [^,]+.*, got `));
    }
    expect(source.settingNames).toEqual(expect.arrayContaining(Object.keys(env)));
  });

  it('is known without settings, and asks for nothing then', () => {
    const { id, tables, requests, hosts } = engineSourceOf(source, null);
    expect({ id, tables, hosts: Object.keys(hosts) }).toEqual({
      id: source.id,
      tables: source.tables,
      hosts: ['unset'],
    });
    for (const step of ['pull', 'load', 'list'] as const) expect(requests(step, changes)).toEqual({});
  });

  it('has a pace for every host of its requests', () => {
    const { pollMs, settleMs, hosts, others } = source.pace(settings);
    expect(pollMs).toBeGreaterThan(0);
    expect(settleMs).toBeGreaterThanOrEqual(0);
    for (const step of ['pull', 'prepare', 'load', 'list', 'probe', 'round'] as const) {
      for (const host of Object.keys(source.requests(step, changes, settings))) {
        expect(hosts[host] ?? others).toMatchObject({
          requestsPerSecond: expect.any(Number),
          burst: expect.any(Number),
        });
      }
    }
  });
});

/** The changes without what the cut of pages decides: whether a later one of the same page is loaded in place of one. */
function uncut(changes: Change[]): Change[] {
  return changes.map(change => (change.skip === 'coalesced' ? { ...change, skip: null } : change));
}

/** Replaces the stand-in's address in `rows.json`. */
const UPSTREAM = 'http://upstream.invalid';

/** The outcome of the first load of each change: its rows, or why there are none. */
async function outcomesOf(source: Source, settings: unknown, changes: Change[]): Promise<unknown[]> {
  const preparing = { settings, step: 'prepare', changes } as const;
  const prepared = source.prepare
    ? (await runStep(source, { ...preparing, changes: [...changes] }, ctx => source.prepare!(changes, ctx))).value
    : null;
  const outcomes: unknown[] = [];
  for (const change of changes) {
    const { key, cursor, skip } = change;
    const outcome = skip ? { skip } : await load(source, settings, change, { prepared }).catch(parked);
    outcomes.push({
      key,
      cursor,
      ...('rows' in outcome ? { revision: outcome.revision, rows: outcome.rows } : outcome),
    });
  }
  return outcomes;
}

/** A load without the time of its visit. */
function withoutTime({ rows, ...loaded }: Loaded): unknown {
  return { ...loaded, rows: rows.map(({ row, ...rest }) => ({ ...rest, row: { ...row, last_checked_at: null } })) };
}

async function readWhole<S>(listing: Listing<S>, ctx: ListingContext<S>): Promise<void> {
  for await (const keys of listing.read(ctx)) expect(keys.length).toBeGreaterThan(0);
}

function onlyUpstream(error: unknown): void {
  if (!(error instanceof ChangeError)) throw error;
}

/** Compares the rows with the file. With `WRITE_ROWS` in the environment, writes the file first. */
function compareRows(file: string, text: string): void {
  const outcomes = JSON.parse(text, shorten) as unknown[];
  const lines = `[\n${outcomes.map(outcome => JSON.stringify(outcome)).join(',\n')}\n]\n`;
  if (process.env.WRITE_ROWS) writeFileSync(file, lines);
  expect(outcomes).toEqual(JSON.parse(readFileSync(file, 'utf8')));
}

/**
 * Compares outcomes with those of a file that was written by hand: everything that the file names must be so. It names
 * every column but `data`, of which it has the members that matter.
 */
function compareRowsByHand(file: string, text: string): void {
  const outcomes: unknown = JSON.parse(text, (key, value) =>
    key === 'data' && typeof value === 'string' ? JSON.parse(value) : value,
  );
  expect(outcomes).toMatchObject(JSON.parse(readFileSync(file, 'utf8')));
}

/** Replaces a long text by its length and digest, because the fixture's documents have the text. */
function shorten(_key: string, value: unknown): unknown {
  if (typeof value !== 'string' || value.length <= 1000) return value;
  return `${value.length} characters, sha256 ${createHash('sha256').update(value).digest('hex')}`;
}
