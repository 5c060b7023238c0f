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

/** Answers nobody is there to hear. */
const NEVER = new Promise<never>(() => undefined);
/** So long after an alarm whose handler failed the platform runs it again. */
const ALARM_RETRY_MS = 2_000;
/** More runs than any schedule needs at one moment: no time would ever pass. */
const RUNS_AT_ONCE_MAX = 500;
export const FILES_MAX = 60;

/** Data files of one or two rows, the same for every world: to encode them takes longer than a schedule. */
const files: { bytes: Uint8Array; firstLsn: number; lastLsn: number }[] = [];
for (let n = 0, firstLsn = 1; n < FILES_MAX; n++) {
  const lastLsn = firstLsn + (n % 2);
  const rows = rowsOf(table, lastLsn - firstLsn + 1, { firstLsn, seed: n + 1 });
  files.push({ bytes: encode(table, rows, { firstLsn }), firstLsn, lastLsn });
  firstLsn = lastLsn + 1;
}

/** An instance of the committer: it may be dead, and it may be one of two that are alive. */
interface Instance {
  committer: Committer;
  storage: SimulatedStorage;
  alive: boolean;
  name: string;
}

/** A change that was asked of the catalog, and by which storage. */
export interface Asked {
  atMs: number;
  storage: SimulatedStorage;
  operation: 'create' | 'commit' | 'namespace';
  body: string;
}

/** The committer's object with everything around it. Instances come and go; the rest stays. */
export class CommitWorld {
  readonly clock = new VirtualClock();
  readonly calls = new Calls();
  readonly catalog = new MemoryCatalog();
  readonly asked: Asked[] = [];
  readonly log: (LogFields & { event: string })[] = [];
  readonly settings: CatalogSettings;
  storage = new SimulatedStorage('committer');
  instance!: Instance;
  /** How the source tells its files. */
  offer: (files: LiveFile[]) => LiveFile[] = offered => offered;
  /** Until when the catalog wants to be left alone, as far as the present storage heard of it. */
  heldUntilMs = 0;
  #settled: LiveFile[] = [];
  #ids = 0n;
  #instances = 0;
  #runs = { ms: 0, count: 0 };

  constructor(pace: Partial<CatalogSettings['pace']> = {}) {
    const at = { uri: URI, warehouse: WAREHOUSE, namespace: 'tributary', token: TOKEN, bucket: BUCKET };
    this.settings = { ...at, pace: { commitMs: 15 * 60_000, commitFiles: 64, ...pace } };
    this.begin();
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

  /** The source has settled so many files more. */
  settle(count: number): void {
    for (const { bytes, firstLsn, lastLsn } of files.slice(this.#settled.length, this.#settled.length + count)) {
      const key = `${table.prefix}/partitions.parquet/year=2026/month=11/data-${firstLsn}-${lastLsn}.parquet`;
      const { etag } = this.bucket.place(key, bytes);
      const facts = { bytes: bytes.length, rows: lastLsn - firstLsn + 1, year: 2026, month: 11 };
      this.#settled.push({ key, first_lsn: firstLsn, last_lsn: lastLsn, etag, ...facts });
    }
  }

  /**
   * Ends the instance; what it has not made safe is lost. `alarmFailed`: it had set no other alarm yet, so that the
   * platform runs the same again.
   */
  kill({ alarmFailed = false } = {}): void {
    this.instance.alive = false;
    this.instance.storage.lose();
    this.heldUntilMs = 0;
    this.begin();
    if (alarmFailed) this.#retryAlarm();
  }

  #retryAlarm(): void {
    this.storage.alarmMs ??= this.clock.now() + ALARM_RETRY_MS;
  }

  /** The object's storage is gone, and its alarm with it: the watchdog makes a new one. */
  loseStorage(): void {
    this.instance.alive = false;
    this.instance.storage.lose();
    this.heldUntilMs = 0;
    this.storage = new SimulatedStorage('committer');
    this.begin();
    this.storage.alarmMs = this.clock.now();
  }

  /** Another instance takes over while this one goes on for a while, and does not know it. Returns what ends it. */
  split(): { wake(): void; end(): void } {
    const old = this.instance;
    old.storage.flush();
    this.storage = new SimulatedStorage('committer');
    this.begin();
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

  begin(): void {
    const { storage } = this;
    this.#instances += 1;
    const instance = { storage, alive: true, name: `#${this.#instances}` } as Instance;
    instance.committer = new Committer({
      ports: this.#ports(instance),
      tables: [{ table, source: 'test' }],
      settings: this.settings,
    });
    storage.flush();
    storage.opened();
    this.instance = instance;
  }

  /** Lets time pass; alarms fire when they are due. */
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
    const heard = <T>(answer: Promise<T>): Promise<T> =>
      answer.then(
        value => (instance.alive ? value : NEVER),
        error => {
          if (instance.alive) throw error;
          return NEVER;
        },
      );
    const made = <T>(call: string, effect: () => T | Promise<T>): Promise<T> => {
      if (!instance.alive) return NEVER;
      // Calls out of the object wait until what it wrote is safe.
      storage.flush();
      return heard(this.calls.make(call, effect));
    };
    const ours = <T>(answer: Promise<T>): Promise<T> =>
      answer.catch(error => {
        throw new StepError('bucket-failed', messageOf(error));
      });
    return {
      sql: storage.sql,
      bucket: {
        head: key => ours(made(`bucket.head ${key}`, () => bucket.head(key))),
        put: (key, chunks, options) => ours(made(`bucket.put ${key}`, () => bucket.put(key, chunks, options))),
        tail: (key, bytes) => ours(made(`bucket.tail ${key}`, () => bucket.tail(key, bytes))),
        read: key => ours(made(`bucket.read ${key}`, () => bucket.objects.get(key)?.bytes ?? null)),
        copy: (from, to, { metadata }) =>
          ours(
            made(`bucket.copy ${to}`, () => {
              const object = bucket.objects.get(from.key);
              if (object?.head.etag !== from.etag) return 'missing';
              if (bucket.objects.has(to)) return 'refused';
              bucket.place(to, object.bytes, metadata);
              return 'copied';
            }),
          ),
      },
      files: {
        liveFiles: (_, { after, limit }) =>
          made(`source.files ${after}`, () =>
            this.offer(this.#settled.filter(file => file.first_lsn > after)).slice(0, limit),
          ),
      },
      fetch: (url, init) => this.#fetch(instance, made, { url, init }),
      clock: {
        now: () => clock.now(),
        within: (work, ms, subject) => heard(clock.within(work, ms, subject)),
        turn: () => heard(clock.turn()),
      },
      wake: {
        get: () => made('wake.get', () => storage.alarmMs),
        set: atMs =>
          made(`wake.set ${atMs}`, () => {
            if (instance.alive) storage.alarmMs = atMs;
          }),
      },
      facts: readFacts,
      newSnapshotId: () => {
        this.#ids += 1n;
        return this.#ids;
      },
      log: (event, fields) => void this.log.push({ event, ...fields }),
    };
  }

  #fetch(
    instance: Instance,
    made: <T>(call: string, effect: () => Promise<T>) => Promise<T>,
    { url, init }: { url: string; init: RequestInit },
  ): Promise<Response> {
    const { storage } = instance;
    const operation = operationOf(url, init);
    const body = String(init.body ?? '');
    if (instance.alive && operation !== 'load') this.asked.push({ atMs: this.clock.now(), storage, operation, body });
    const answered = made(`catalog.${operation}`, () => {
      this.catalog.nowMs = this.clock.now();
      return this.catalog.fetch(url, init);
    });
    return answered.then(response => {
      const wait = response.headers.get('retry-after');
      // Whoever has given the request up hears nothing of it.
      const isHeard = storage === this.storage && !init.signal?.aborted;
      if (response.status === 429 && isHeard && wait !== null)
        this.heldUntilMs = this.clock.now() + Number(wait) * 1000;
      return response;
    });
  }
}

function operationOf(url: string, { method = 'GET' }: RequestInit): Asked['operation'] | 'load' {
  if (method === 'GET') return 'load';
  if (url.endsWith('/namespaces')) return 'namespace';
  return url.endsWith('/tables') ? 'create' : 'commit';
}
