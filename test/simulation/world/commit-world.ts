import { emailPattern as table } from '../../../schemas/email_pattern.ts';
import type { CatalogSettings } from '../../../src/config.ts';
import type { LiveFile } from '../../../src/contract/tables.ts';
import { messageOf, StepError } from '../../../src/errors.ts';
import { Committer } from '../../../src/iceberg/committer/committer.ts';
import type { CommitterPorts } from '../../../src/iceberg/committer/ports.ts';
import type { LogFields } from '../../../src/log.ts';
import { readFacts } from '../../../src/parquet/footer.ts';
import { BUCKET, MemoryCatalog, TOKEN, URI, WAREHOUSE } from '../../iceberg/rest-catalog.ts';
import { encode, rowsOf } from '../../parquet/rows.ts';
import { Calls } from './calls.ts';
import { drained, VirtualClock } from './clock.ts';
import { SimulatedStorage } from './storage.ts';

export { table };

/** The answer to a call of a dead instance. */
const NEVER = new Promise<never>(() => undefined);
/** The platform runs a failed alarm again after this time. */
const ALARM_RETRY_MS = 2_000;
/** A committer that runs more often than this at one moment would never let time pass. */
const RUNS_AT_ONCE_MAX = 500;
export const FILES_MAX = 60;

/** Data files of one or two rows. All worlds share them, because encoding takes longer than playing a schedule. */
const files: { bytes: Uint8Array; firstLsn: number; lastLsn: number }[] = [];
for (let n = 0, firstLsn = 1; n < FILES_MAX; n++) {
  const lastLsn = firstLsn + (n % 2);
  const rows = rowsOf(table, lastLsn - firstLsn + 1, { firstLsn, seed: n + 1 });
  files.push({ bytes: encode(table, rows, { firstLsn }), firstLsn, lastLsn });
  firstLsn = lastLsn + 1;
}

/** An instance of the committer's object. Two may be alive at the same time. */
interface Instance {
  committer: Committer;
  storage: SimulatedStorage;
  alive: boolean;
  /** Calls that set the alarm and have not ended. */
  arming: number;
}

/** A write that an instance sent to the catalog, and the storage of that instance. */
export interface SentWrite {
  atMs: number;
  storage: SimulatedStorage;
  operation: 'create' | 'commit' | 'namespace';
  body: string;
}

/** The committer's object with its clock, bucket, catalog and source. Instances start and end; the rest stays. */
export class CommitWorld {
  readonly clock = new VirtualClock();
  readonly calls = new Calls();
  readonly catalog = new MemoryCatalog();
  readonly writes: SentWrite[] = [];
  readonly log: (LogFields & { event: string })[] = [];
  readonly settings: CatalogSettings;
  storage = new SimulatedStorage('committer');
  instance!: Instance;
  /** The source's answer, made of the files it should list. */
  listFiles: (files: LiveFile[]) => LiveFile[] = files => files;
  /** Whether the table lacks rows, or may lack them, because a person rolled it back. The oracle ends it. */
  isRolledBack = false;
  /** The LSN up to which rows were rolled back and are committed again; 0 when all are. */
  lostLsn = 0;
  /** Whether the storage does not know what was committed before, or was lost meanwhile. */
  lostStorage = false;
  /** Until when the catalog asked for no writes, as far as the current storage can know. */
  heldUntilMs = 0;
  #settled: LiveFile[] = [];
  #ids = 0n;
  #runs = { ms: 0, count: 0 };

  constructor(pace: Partial<CatalogSettings['pace']> = {}) {
    const at = { uri: URI, warehouse: WAREHOUSE, namespace: 'tributary', token: TOKEN, bucket: BUCKET };
    this.settings = { ...at, pace: { commitMs: 15 * 60_000, commitFiles: 64, ...pace } };
    this.start();
    this.storage.alarmMs = this.clock.now();
  }

  get bucket() {
    return this.catalog.bucket;
  }

  get settled(): readonly LiveFile[] {
    return this.#settled;
  }

  get lastLsn(): number {
    return this.#settled.at(-1)?.last_lsn ?? 0;
  }

  get committedLsn(): number {
    try {
      return Number(this.catalog.metadata(table.name).properties['tributary.committed_lsn']);
    } catch {
      return 0;
    }
  }

  /** The source settles this many more files. */
  settle(count: number): void {
    for (const { bytes, firstLsn, lastLsn } of files.slice(this.#settled.length, this.#settled.length + count)) {
      const key = `${table.prefix}/partitions.parquet/year=2026/month=11/data-${firstLsn}-${lastLsn}.parquet`;
      const { etag } = this.bucket.store(key, bytes);
      const facts = { bytes: bytes.length, rows: lastLsn - firstLsn + 1, year: 2026, month: 11 };
      this.#settled.push({ key, first_lsn: firstLsn, last_lsn: lastLsn, etag, ...facts });
    }
  }

  /**
   * Kills the instance, which loses its unflushed storage writes, and starts another. `alarmFailed`: the platform runs
   * the same alarm again, because the instance had set no other yet. So it does when the call in which the instance
   * dies is one of an older instance.
   */
  kill({ alarmFailed: failed = false } = {}): void {
    const alarmFailed = failed || this.instance.arming > 0;
    this.instance.alive = false;
    this.instance.storage.lose();
    this.heldUntilMs = 0;
    this.start();
    if (alarmFailed) this.#retryAlarm();
  }

  #retryAlarm(): void {
    this.storage.alarmMs ??= this.clock.now() + ALARM_RETRY_MS;
  }

  /** The object loses its storage and its alarm; the watchdog sets a new alarm. */
  loseStorage(): void {
    this.instance.alive = false;
    this.instance.storage.lose();
    this.heldUntilMs = 0;
    this.storage = new SimulatedStorage('committer');
    this.lostStorage = true;
    this.start();
    this.storage.alarmMs = this.clock.now();
  }

  /** Starts another instance while the old one stays alive without knowing it. Returns the old one's controls. */
  split(): { wake(): void; end(): void } {
    const old = this.instance;
    old.storage.flush();
    this.storage = new SimulatedStorage('committer');
    this.start();
    this.storage.restore(old.storage.copy());
    this.storage.alarmMs = this.clock.now();
    this.heldUntilMs = 0;
    return {
      wake: () => void old.committer.wake().catch(() => undefined),
      end: () => {
        old.alive = false;
      },
    };
  }

  start(): void {
    const { storage } = this;
    const instance = { storage, alive: true, arming: 0 } as Instance;
    instance.committer = new Committer({
      ports: this.#ports(instance),
      tables: [{ table, source: 'test' }],
      settings: this.settings,
    });
    storage.flush();
    storage.saveFresh();
    this.instance = instance;
  }

  /** Lets time pass, until `until` holds. Alarms fire when they are due. */
  async pass(ms: number, until: () => boolean = () => false): Promise<void> {
    const endMs = this.clock.now() + ms;
    for (;;) {
      await drained();
      await drained();
      if (until()) return;
      const { alarmMs } = this.storage;
      const nowMs = this.clock.now();
      const alarmIn = alarmMs === null ? Number.POSITIVE_INFINITY : Math.max(0, alarmMs - nowMs);
      const timerIn = this.clock.nextTimerMs() ?? Number.POSITIVE_INFINITY;
      if (Math.min(alarmIn, timerIn) > endMs - nowMs) return this.clock.advance(endMs - nowMs);
      await this.clock.advance(Math.min(alarmIn, timerIn));
      if (alarmMs !== null && this.storage.alarmMs === alarmMs && alarmMs <= this.clock.now()) this.#fire();
    }
  }

  #fire(): void {
    const nowMs = this.clock.now();
    this.#runs = this.#runs.ms === nowMs ? { ms: nowMs, count: this.#runs.count + 1 } : { ms: nowMs, count: 1 };
    if (this.#runs.count > RUNS_AT_ONCE_MAX) throw new Error('alarms: expected time to pass between runs, got none');
    this.storage.alarmMs = null;
    const { instance } = this;
    void instance.committer.wake().catch(() => {
      if (instance === this.instance) this.#retryAlarm();
    });
  }

  #ports(instance: Instance): CommitterPorts {
    const { storage } = instance;
    const { clock, bucket } = this;
    /** An answer never reaches a dead instance. */
    const whileAlive = <T>(answer: Promise<T>): Promise<T> =>
      answer.then(
        value => (instance.alive ? value : NEVER),
        error => {
          if (instance.alive) throw error;
          return NEVER;
        },
      );
    const makeCall = <T>(call: string, effect: () => T | Promise<T>): Promise<T> => {
      if (!instance.alive) return NEVER;
      // The platform holds calls out of the object back until its storage writes are flushed.
      storage.flush();
      return whileAlive(this.calls.make(call, effect));
    };
    const bucketCall = <T>(call: string, effect: () => T | Promise<T>): Promise<T> =>
      makeCall(`bucket.${call}`, effect).catch(error => {
        throw new StepError('bucket-failed', messageOf(error));
      });
    return {
      sql: storage.sql,
      bucket: {
        head: key => bucketCall(`head ${key}`, () => bucket.head(key)),
        put: (key, chunks, options) => bucketCall(`put ${key}`, () => bucket.put(key, chunks, options)),
        tail: (key, bytes) => bucketCall(`tail ${key}`, () => bucket.tail(key, bytes)),
        read: key => bucketCall(`read ${key}`, () => bucket.objects.get(key)?.bytes ?? null),
        copy: (from, to, { metadata }) =>
          bucketCall(`copy ${to}`, () => {
            const object = bucket.objects.get(from.key);
            if (object?.head.etag !== from.etag) return 'missing';
            if (bucket.objects.has(to)) return 'refused';
            bucket.store(to, object.bytes, metadata);
            return 'copied';
          }),
      },
      files: {
        liveFiles: (_, { after, limit }) =>
          makeCall(`source.files ${after}`, () =>
            this.listFiles(this.#settled.filter(file => file.first_lsn > after)).slice(0, limit),
          ),
      },
      fetch: (url, init) => this.#fetch(instance, makeCall, { url, init }),
      clock: {
        now: () => clock.now(),
        within: (work, ms, subject) => whileAlive(clock.within(work, ms, subject)),
        turn: () => whileAlive(clock.turn()),
      },
      wake: {
        get: () => makeCall('wake.get', () => storage.alarmMs),
        set: atMs => {
          instance.arming += 1;
          const set = makeCall(`wake.set ${atMs}`, () => {
            if (instance.alive) storage.alarmMs = atMs;
          });
          return set.finally(() => {
            instance.arming -= 1;
          });
        },
      },
      readFacts,
      newSnapshotId: () => {
        this.#ids += 1n;
        return this.#ids;
      },
      log: (event, fields) => void this.log.push({ event, ...fields }),
    };
  }

  #fetch(
    instance: Instance,
    makeCall: <T>(call: string, effect: () => Promise<T>) => Promise<T>,
    { url, init }: { url: string; init: RequestInit },
  ): Promise<Response> {
    const { storage } = instance;
    const operation = operationOf(url, init);
    const body = String(init.body ?? '');
    if (instance.alive && operation !== 'load') this.writes.push({ atMs: this.clock.now(), storage, operation, body });
    const answer = makeCall(`catalog.${operation}`, () => {
      this.catalog.nowMs = this.clock.now();
      return this.catalog.fetch(url, init);
    });
    return answer.then(response => {
      const wait = response.headers.get('retry-after');
      // The current storage does not know of answers to other instances, nor to requests that were given up.
      const isKnown = storage === this.storage && !init.signal?.aborted;
      if (response.status === 429 && isKnown && wait !== null)
        this.heldUntilMs = this.clock.now() + Number(wait) * 1000;
      return response;
    });
  }
}

function operationOf(url: string, { method = 'GET' }: RequestInit): SentWrite['operation'] | 'load' {
  if (method === 'GET') return 'load';
  if (url.endsWith('/namespaces')) return 'namespace';
  return url.endsWith('/tables') ? 'create' : 'commit';
}
