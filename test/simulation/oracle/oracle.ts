import { LIMITS } from '../../../src/config.ts';
import { statusOf } from '../../../src/engine/controls/status.ts';
import { partitionsPrefix } from '../../../src/lake/object-keys.ts';
import type { People } from '../clients/people.ts';
import type { Put } from '../world/bucket.ts';
import { pages } from '../world/sources.ts';
import type { World } from '../world/world.ts';
import { wrongAudit } from './audit-proof.ts';

const MINUTE = 60_000;
/** A run's own time, and what its first and last alarm may be held up. */
const RUN_MS_MAX = LIMITS.runMsMax + 5 * MINUTE;

/** Calls that ask an upstream for something. */
const ASKING = /^load\.(?:start|pull|load|list|servers)/;

interface Attempt {
  digest: string;
  bytes: Uint8Array;
}

/** What must hold at every moment of a simulation. Whatever does not is noted once, and `check` throws it. */
export class Oracle {
  violation: Error | null = null;
  /** Key and place of every change the feed showed. */
  readonly shown = new Set<string>();
  /** The object lost its storage at some time, and with it what it had answered for. */
  hasForgotten = false;
  readonly #world: World;
  readonly #people: People;
  readonly #attempts = new Map<string, Attempt>();
  /** The raw document of each key that was fetched last. */
  readonly #newestRaw = new Map<string, { fetchedMs: number; bytes: Uint8Array }>();
  #projected: string | null = null;
  /** What an object that lost its storage had projected; stands until its next self projects. */
  #former: string | null = null;
  /** The run under way began paused, and nobody has started the source since. */
  #isPausedRun = false;
  /** Alarms are not judged before this time: more than one entry was under way, or the clock was moved. */
  #unclearMs = 0;

  constructor(world: World, people: People) {
    this.#world = world;
    this.#people = people;
    world.calls.before(call => this.#beforeCall(call));
    world.calls.after(call => {
      if (call === 'd1.batch') this.#afterProjection();
    });
    world.bucket.onPut = put => this.#afterPut(put);
    world.bucket.onTry = tried => this.#afterTry(tried);
    world.queue.onAdmit = ({ calls }) =>
      this.#expect(!world.engine.paused || calls.length === 0, 'paused: expected no ticket admitted, got one');
    world.onRunStart = () => {
      this.#isPausedRun = world.engine.paused;
    };
    world.onRunEnd = run => this.#afterRun(run);
    world.upstream.alter = page => {
      for (const { key, seq } of page.results) this.shown.add(`${key}@${seq}`);
      return page;
    };
  }

  /** Alarms of the next minutes are nobody's in particular. */
  unclear(ms = 20 * MINUTE): void {
    this.#unclearMs = Math.max(this.#unclearMs, this.#world.clock.elapsedMs + ms);
  }

  /** The object lost its storage, and with it what it knew of its projections. */
  forget(): void {
    const { database, engine } = this.#world;
    this.#former = database.lastSequence(engine.source.id) as string | null;
    this.#projected = null;
    this.hasForgotten = true;
    this.#people.forget();
    this.unclear();
  }

  /** Asks for the status, as anybody may at any moment. */
  look(): void {
    const { engine, balance } = this.#world;
    this.#expect(balance.balanced, `balance: expected each change once, got ${JSON.stringify(balance)}`);
    const { paused } = engine;
    const judge = ({ state, cursor }: Awaited<ReturnType<typeof statusOf>>) => {
      this.#expect((state === 'paused') === paused, `status: expected paused ${paused}, got ${state}`);
      const { accepted, durable } = cursor;
      const isBehind = accepted === null || durable === null || engine.source.compare(durable, accepted) <= 0;
      this.#expect(isBehind, `status: expected durable up to ${accepted}, got ${durable}`);
    };
    statusOf(engine).then(judge, () => undefined);
  }

  /** Notes what does not hold. */
  fail(promise: string): void {
    this.#expect(false, promise);
  }

  check(): void {
    if (this.violation) throw this.violation;
  }

  #expect(holds: boolean, promise: string): void {
    if (!holds) this.violation ??= new Error(promise);
  }

  #expectNothing(wrong: string | null): void {
    if (wrong !== null) this.#expect(false, wrong);
  }

  get #isClear(): boolean {
    return this.#world.clock.elapsedMs > this.#unclearMs;
  }

  #beforeCall(call: string): void {
    const { storage, running, engine } = this.#world;
    if (!engine.paused) this.#isPausedRun = false;
    else if (ASKING.test(call))
      this.#expect(!this.#isPausedRun, `paused: expected no call in a run that began so, got ${call}`);
    if (/^(load|bucket|d1)\./.test(call) && running && this.#isClear)
      this.#expect(storage.alarmMs !== null, `alarm: expected one to stand in for the run at ${call}, got none`);
    const key = /^bucket\.put (.*\/data-.*)$/.exec(call)?.[1];
    if (key === undefined) return;
    const noted = storage.sql.exec('SELECT key FROM intents WHERE key = ?', key).length;
    this.#expect(noted === 1, `${key}: expected an intent before its put, got none`);
    this.#checkPlaces();
  }

  #afterRun({ ms, failed }: { ms: number; failed: boolean }): void {
    this.#expect(ms <= RUN_MS_MAX, `run: expected an end within ${RUN_MS_MAX} ms, got one after ${ms}`);
    this.#checkLooks();
    this.#expectNothing(wrongAudit(this.#world, this.#people.audits));
    if (failed || !this.#isClear) return;
    const { engine, storage } = this.#world;
    const wantedMs = engine.nextWakeMs();
    const armedMs = storage.alarmMs;
    this.#expect(
      wantedMs === null || (armedMs !== null && armedMs <= wantedMs),
      `alarm: expected one by ${wantedMs}, got ${armedMs}`,
    );
  }

  /** A look counts once, however often its ticket was brought. */
  #checkLooks(): void {
    const { engine, queue } = this.#world;
    if (this.hasForgotten) return;
    for (const { change_number: number, attempts } of engine.journal.parked.due(Number.MAX_SAFE_INTEGER, 1_000)) {
      const sent = (queue.lastSent.get(number) ?? -1) + 1;
      this.#expect(attempts <= sent, `change ${number}: expected at most ${sent} looks, got ${attempts}`);
    }
  }

  /** Durable never runs ahead, and what the database knows only grows. */
  #afterProjection(): void {
    const { database, engine, storage, bucket } = this.#world;
    if (!this.hasForgotten) this.#expectNothing(this.#people.letters.wrongInDatabase());
    const sequence = database.lastSequence(engine.source.id);
    const before = this.#projected;
    if (sequence === null || sequence === this.#former) return;
    this.#former = null;
    this.#projected = String(sequence);
    this.#expect(
      before === null || engine.source.compare(before, this.#projected) <= 0,
      `sync_state: expected no cursor before ${before}, got ${sequence}`,
    );
    for (const { key } of database.rows("SELECT json_extract(data, '$.key') AS key FROM ingestion_runs"))
      this.#expect(
        bucket.objects.has(String(key)) || this.#people.audits.damage.has(String(key)),
        `${key}: expected the object of a settled file, got none`,
      );
    this.#checkPlaces();
    const twice = storage.sql.exec('SELECT key FROM parked GROUP BY key HAVING count(*) > 1');
    this.#expect(twice.length === 0, `parked: expected one change a key, got more of ${twice[0]?.key}`);
  }

  /** Rows of the journal lie after the durable cursor that is known outside, and never beyond the accepted one. */
  #checkPlaces(): void {
    const { storage, encoding, kind, lane } = this.#world;
    const durable = this.#projected === null ? null : Number(this.#projected);
    const accepted = Number(lane.cursor);
    const entries = storage.sql.exec<{ body: Uint8Array; settled: number; first_lsn: number }>(
      `SELECT body, first_lsn, (SELECT count(*) FROM files WHERE files.table_name = entries.table_name
         AND entries.first_lsn BETWEEN files.first_lsn AND files.last_lsn) AS settled FROM entries`,
    );
    for (const { body, settled, first_lsn } of entries) {
      this.#expect(settled === 0, `journal: expected no row of a settled file, got LSN ${first_lsn}`);
      for (const [, cursor] of JSON.parse(encoding.port.unpack(body)) as [string, string][]) {
        const [place, run] = cursor.split('#');
        if (place!.startsWith('push/')) continue;
        // A page is accepted as a whole, with the cursor after it.
        const after = Number(place!.split(':')[0]) + (kind === pages ? 1 : 0);
        this.#expect(after <= accepted, `journal: expected rows up to cursor ${accepted}, got one at ${cursor}`);
        this.#expect(
          run !== undefined || durable === null || after > durable,
          `durable: expected all rows before ${durable} in files, got one at ${cursor} that is not`,
        );
      }
    }
  }

  #afterPut({ key, bytes, metadata, replaced }: Put): void {
    if (key.includes('/raw/')) {
      const [before, after] = [replaced?.revision, metadata.revision].map(Number);
      this.#expect(!(after! < before!), `${key}: expected revision ${before} to stay, got ${after}`);
      const fetchedMs = Number(metadata['fetched-at']);
      const newest = this.#newestRaw.get(key) ?? { fetchedMs: 0, bytes };
      if (fetchedMs >= newest.fetchedMs) this.#newestRaw.set(key, { fetchedMs, bytes });
      else
        this.#expect(
          Buffer.compare(bytes, newest.bytes) === 0,
          `${key}: expected the document fetched at ${newest.fetchedMs} to stay, got one fetched at ${fetchedMs}`,
        );
    }
    const isData = this.#world.engine.source.tables.some(table => key.startsWith(partitionsPrefix(table)));
    if (!isData || metadata.digest === 'foreign') return;
    this.#expect(replaced === null, `${key}: expected a data file to stay as it is, got it replaced`);
  }

  /** The same range must give the same bytes, however often it is put. */
  #afterTry({ key, bytes, digest }: { key: string; bytes: Uint8Array; digest: string }): void {
    const before = this.#attempts.get(key);
    if (before?.digest === digest)
      this.#expect(Buffer.compare(before.bytes, bytes) === 0, `${key}: expected the same bytes again, got others`);
    this.#attempts.set(key, { digest, bytes });
  }
}
