import { statusOf } from '../../../src/engine/controls/status.ts';
import { partitionsPrefix } from '../../../src/lake/object-keys.ts';
import { LIMITS } from '../../../src/limits.ts';
import type { Clients } from '../clients/clients.ts';
import type { Put } from '../world/bucket.ts';
import { pages } from '../world/sources.ts';
import type { World } from '../world/world.ts';
import { auditProblem } from './audit-proof.ts';

const MINUTE = 60_000;
/** The longest run: its own limit, and the delays of its first and last call that set an alarm. */
const LONGEST_RUN_MS = LIMITS.runMsMax + 5 * MINUTE;

/** Calls that make requests to an upstream. */
const UPSTREAM_CALL = /^load\.(?:start|pull|load|list|round|servers)/;

interface PutAttempt {
  digest: string;
  bytes: Uint8Array;
}

/** Checks a world at each call, put, run and publish. Stores the first violation, which `check` throws. */
export class Oracle {
  violation: Error | null = null;
  /** All changes that the feed has shown, as `<key>@<cursor>`. */
  readonly shown = new Set<string>();
  /** Whether the object lost its storage at some time, and with it some of its answers. */
  hasLostStorage = false;
  readonly #world: World;
  readonly #clients: Clients;
  /** The last put of each data file, by key. */
  readonly #putAttempts = new Map<string, PutAttempt>();
  /** The raw document of each key that was fetched last. */
  readonly #newestRaw = new Map<string, { fetchedMs: number; bytes: Uint8Array }>();
  /** The durable cursor in the database, as the object wrote it last. */
  #published: string | null = null;
  /** The cursor in the database when the object lost its storage; null when it has written another since. */
  #lostPublished: string | null = null;
  /** Whether the source was paused when this run started, and still is. */
  #isPausedRun = false;
  /** Alarms are not checked before this time: two calls may have set one at once, or the clock was moved. */
  #alarmsIgnoredUntilMs = 0;

  constructor(world: World, clients: Clients) {
    this.#world = world;
    this.#clients = clients;
    world.calls.before(call => this.#beforeCall(call));
    world.calls.after(call => {
      if (call === 'd1.batch') this.#afterPublish();
    });
    world.bucket.onPut = put => this.#afterPut(put);
    world.bucket.onPutAttempt = attempt => this.#checkSameBytes(attempt);
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

  ignoreAlarms(ms = 20 * MINUTE): void {
    this.#alarmsIgnoredUntilMs = Math.max(this.#alarmsIgnoredUntilMs, this.#world.clock.elapsedMs + ms);
  }

  onStorageLost(): void {
    const { database, engine } = this.#world;
    this.#lostPublished = database.lastSequence(engine.source.id) as string | null;
    this.#published = null;
    this.hasLostStorage = true;
    this.#clients.onStorageLost();
    this.ignoreAlarms();
  }

  /** Reads the status, which must be right at any moment. */
  checkStatus(): void {
    const { engine, balance } = this.#world;
    this.#expect(balance.balanced, `balance: expected each change once, got ${JSON.stringify(balance)}`);
    const { paused } = engine;
    const checkCursors = ({ state, cursor }: Awaited<ReturnType<typeof statusOf>>) => {
      this.#expect((state === 'paused') === paused, `status: expected paused ${paused}, got ${state}`);
      const { accepted, durable } = cursor;
      const isBehind = accepted === null || durable === null || engine.source.compare(durable, accepted) <= 0;
      this.#expect(isBehind, `status: expected durable up to ${accepted}, got ${durable}`);
    };
    statusOf(engine).then(checkCursors, () => undefined);
  }

  fail(message: string): void {
    this.#expect(false, message);
  }

  check(): void {
    if (this.violation) throw this.violation;
  }

  #expect(holds: boolean, message: string): void {
    if (!holds) this.violation ??= new Error(message);
  }

  #expectNoProblem(problem: string | null): void {
    if (problem !== null) this.#expect(false, problem);
  }

  get #areAlarmsChecked(): boolean {
    return this.#world.clock.elapsedMs > this.#alarmsIgnoredUntilMs;
  }

  #beforeCall(call: string): void {
    const { storage, running, engine } = this.#world;
    if (!engine.paused) this.#isPausedRun = false;
    else if (UPSTREAM_CALL.test(call))
      this.#expect(!this.#isPausedRun, `paused: expected no call in a run that started paused, got ${call}`);
    if (/^(load|bucket|d1)\./.test(call) && running && this.#areAlarmsChecked)
      this.#expect(storage.alarmMs !== null, `alarm: expected one for the case that the run dies at ${call}, got none`);
    const key = /^bucket\.put (.*\/data-.*)$/.exec(call)?.[1];
    if (key === undefined) return;
    const intents = storage.sql.exec('SELECT key FROM intents WHERE key = ?', key).length;
    this.#expect(intents === 1, `${key}: expected an intent before its put, got none`);
    this.#checkCursors();
  }

  #afterRun({ ms, failed }: { ms: number; failed: boolean }): void {
    this.#expect(ms <= LONGEST_RUN_MS, `run: expected an end within ${LONGEST_RUN_MS} ms, got one after ${ms}`);
    this.#checkAttempts();
    this.#expectNoProblem(auditProblem(this.#world, this.#clients.audits));
    if (failed || !this.#areAlarmsChecked) return;
    const { engine, storage } = this.#world;
    const wantedMs = engine.nextWakeMs();
    const armedMs = storage.alarmMs;
    this.#expect(
      wantedMs === null || (armedMs !== null && armedMs <= wantedMs),
      `alarm: expected one by ${wantedMs}, got ${armedMs}`,
    );
  }

  /** An attempt counts once, however often its ticket is delivered. */
  #checkAttempts(): void {
    const { engine, queue } = this.#world;
    if (this.hasLostStorage) return;
    for (const { change_number: number, attempts } of engine.journal.parked.due(Number.MAX_SAFE_INTEGER, 1_000)) {
      const sent = (queue.lastSent.get(number) ?? -1) + 1;
      this.#expect(attempts <= sent, `change ${number}: expected at most ${sent} attempts, got ${attempts}`);
    }
  }

  /** The cursor in the database only grows, and each file it names is in the bucket. */
  #afterPublish(): void {
    const { database, engine, storage, bucket } = this.#world;
    if (!this.hasLostStorage) this.#expectNoProblem(this.#clients.letters.databaseProblem());
    const sequence = database.lastSequence(engine.source.id);
    const before = this.#published;
    if (sequence === null || sequence === this.#lostPublished) return;
    this.#lostPublished = null;
    this.#published = String(sequence);
    this.#expect(
      before === null || engine.source.compare(before, this.#published) <= 0,
      `sync_state: expected no cursor before ${before}, got ${sequence}`,
    );
    for (const { key } of database.rows("SELECT json_extract(data, '$.key') AS key FROM ingestion_runs"))
      this.#expect(
        bucket.objects.has(String(key)) || this.#clients.audits.damage.has(String(key)),
        `${key}: expected the object of a settled file, got none`,
      );
    this.#checkCursors();
    const twice = storage.sql.exec('SELECT key FROM parked GROUP BY key HAVING count(*) > 1');
    this.#expect(twice.length === 0, `parked: expected one change a key, got more of ${twice[0]?.key}`);
  }

  /** Rows of the journal are after the durable cursor in the database, and up to the accepted cursor. */
  #checkCursors(): void {
    const { storage, encoding, kind, lane } = this.#world;
    const durable = this.#published === null ? null : Number(this.#published);
    const accepted = Number(lane.cursor);
    const entries = storage.sql.exec<{ body: Uint8Array; settled: number; first_lsn: number }>(
      `SELECT body, first_lsn, (SELECT count(*) FROM files WHERE files.table_name = entries.table_name
         AND entries.first_lsn BETWEEN files.first_lsn AND files.last_lsn) AS settled FROM entries`,
    );
    for (const { body, settled, first_lsn } of entries) {
      this.#expect(settled === 0, `journal: expected no row of a settled file, got LSN ${first_lsn}`);
      for (const [, cursor] of JSON.parse(encoding.port.unpack(body)) as [string, string][]) {
        const [position, run] = cursor.split('#');
        if (position!.startsWith('push/')) continue;
        // A whole page is accepted with the cursor after it.
        const after = Number(position!.split(':')[0]) + (kind === pages ? 1 : 0);
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

  /** Each put of the same range must have the same bytes. */
  #checkSameBytes({ key, bytes, digest }: { key: string; bytes: Uint8Array; digest: string }): void {
    const before = this.#putAttempts.get(key);
    if (before?.digest === digest)
      this.#expect(Buffer.compare(before.bytes, bytes) === 0, `${key}: expected the same bytes again, got others`);
    this.#putAttempts.set(key, { digest, bytes });
  }
}
