import { ChangeError, type ParkReason, StepError } from '../../../src/errors.ts';
import type { KeyPage, ListedKey, Servers } from '../../../src/ports/change.ts';
import type { HostTally, Permit, StatusClass } from '../../../src/ports/hosts.ts';
import type { VirtualClock } from './clock.ts';

export const FEED_HOST = 'feed.test';
export const DOCUMENT_HOST = 'documents.test';

/** A request for a key of an agenda times out after this: two tries of nine seconds each. */
const ANSWER_MS_MAX = 18_000;

/** How an upstream fails. `kills` ends the Loader call that made the request. */
export type Fault =
  | { reason: ParkReason | 'unreachable'; status?: number; retryAfterMs?: number }
  | { kills: true }
  | { status: number; retryAfterMs?: number };

interface Item {
  key: string;
  seq: number;
  revision: number;
  deleted: boolean;
  text: string;
  /** The sequence of each of its revisions. */
  seqs: number[];
}

/** A row of the journal, which has one for each change that is not silent. */
type JournalRow = Pick<Item, 'key' | 'seq' | 'deleted'>;

export interface FeedPage {
  results: Item[];
  lastSeq: number;
  head: number;
}

/** The state of one Loader call: its permits, its deadline, and its tallies by host. */
export interface UpstreamCall {
  permits: Permit[];
  deadlineAtMs: number;
  tallies: Map<string, HostTally>;
  slotsUsed: Map<Permit, number>;
  /** Gets a permit for a host that the call has none for. */
  permit?: (host: string) => Promise<Permit | null>;
}

/**
 * An upstream in memory. Its feed shows each item once, at the sequence of its newest change, as npm's does; each item
 * has a document. Tests set its faults.
 */
export class Upstream {
  readonly items = new Map<string, Item>();
  seq = 0;
  /** Faults of single documents by key, of all documents, of the feed, and of the listing. */
  readonly faults = new Map<string, Fault>();
  documentsFault: Fault | null = null;
  feedFault: Fault | null = null;
  listFault: Fault | null = null;
  /** By key: an older revision that is served although the feed has shown a later one. */
  readonly lagging = new Map<string, number>();
  /** Keys of which an older revision was served at some time. */
  readonly lagged = new Set<string>();
  /** Keys that the feed does not show, because their newest change was silent. */
  readonly silent = new Set<string>();
  /** The time an answer takes. */
  latencyMs: (key: string, host: string) => number = () => 0;
  /** For an agenda: faults by host, and the host of each space with the time for which that list is fresh. */
  readonly hostFaults = new Map<string, Fault>();
  /** By host: how many requests it answers in a time, which begins with the first of them, and how it says so. */
  readonly quotas = new Map<string, { limit: number; windowMs: number; startMs: number; used: number }>();
  readonly probeFaults = new Map<string, Fault>();
  readonly servers: Record<string, string> = {};
  serversFreshMs = 24 * 3_600_000;
  /** By key: the second half of its document, which another host serves. */
  readonly halves = new Map<string, { host: string; text: string }>();
  /** Change a page of the feed, or of the listing, before it is answered. */
  alter: (page: FeedPage) => FeedPage = page => page;
  alterList: (page: KeyPage, after: string | null) => KeyPage = page => page;
  /** The keys of each whole page, for the source that follows pages. */
  readonly pages: string[][] = [];
  /** For a source that follows the journal: its rows, and the status of keys that have one. */
  readonly journal: JournalRow[] = [];
  readonly statuses = new Map<string, string>();
  /** Keys whose status changed at some time. */
  readonly restated = new Set<string>();
  /** Keys with revisions as a listing of all keys shows them; those that the upstream has now where it is null. */
  wholeListing: ListedKey[] | null = null;
  /** What the listing of all keys gives before it breaks off; null where it comes to its end. */
  listedKeysMax: number | null = null;
  readonly requests: { host: string; subject: string; atMs: number }[] = [];
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  publish(keys: string | string[], text = ''): void {
    for (const key of [keys].flat()) this.#change(key, { deleted: false, text });
  }

  remove(key: string): void {
    this.#change(key, { deleted: true, text: '' });
  }

  /** Changes or removes an item, which the feed does not show again until its next change. */
  changeSilently(key: string, { deleted = false, text = '' } = {}): void {
    this.#change(key, { deleted, text });
    this.journal.pop();
    this.silent.add(key);
  }

  async page(since: number, { limit, call }: { limit: number; call: UpstreamCall }): Promise<FeedPage> {
    await this.#request(FEED_HOST, `since ${since}`, { fault: () => this.feedFault, call });
    const isShown = ({ key, seq }: Item) => seq > since && !this.silent.has(key);
    const later = [...this.items.values()].filter(isShown).sort((a, b) => a.seq - b.seq);
    const results = later.slice(0, limit).map(item => ({ ...item }));
    return this.alter({ results, lastSeq: results.at(-1)?.seq ?? this.seq, head: this.seq });
  }

  /** A page of the keys after one, in byte order, without those of deleted items. */
  async list(after: string | null, { limit, call }: { limit: number; call: UpstreamCall }): Promise<KeyPage> {
    await this.#request(FEED_HOST, `list ${after}`, { fault: () => this.listFault, call });
    const keys = [...this.items.values()].flatMap(({ key, deleted }) => (deleted ? [] : [key]));
    const listed = keys.filter(key => !key.startsWith('internal:') && (after === null || key > after)).sort();
    const page = listed.slice(0, limit);
    return this.alterList({ keys: page, next: listed.length > limit ? page.at(-1)! : null }, after);
  }

  /** Rows of the journal, each change once, also of one key. */
  async journalPage(
    since: number,
    { limit, call }: { limit: number; call: UpstreamCall },
  ): Promise<{ rows: JournalRow[]; head: number }> {
    await this.#request(FEED_HOST, `since ${since}`, { fault: () => this.feedFault, call });
    const rows = this.journal.filter(({ seq }) => seq > since).slice(0, limit);
    // Whatever looks at the pages of the feed looks at these as well.
    this.alter({ results: rows.map(row => ({ ...this.items.get(row.key)!, ...row })), lastSeq: 0, head: this.seq });
    return { rows, head: this.seq };
  }

  /** All keys with the sequence of their newest revision, some at a time, the newest first. */
  async *listWhole(call: UpstreamCall): AsyncGenerator<ListedKey[]> {
    await this.#request(FEED_HOST, 'list whole', { fault: () => this.listFault, call });
    const all = this.wholeListing ?? this.listedKeys();
    for (const [index, key] of all.entries()) {
      if (index === this.listedKeysMax) throw new ChangeError('truncated', 'list whole: expected its end, got a part');
      yield [key];
    }
  }

  /** What the listing of all keys shows now. */
  listedKeys(): ListedKey[] {
    const items = [...this.items.values()].filter(({ key, deleted }) => !deleted && !key.startsWith('internal:'));
    return items.reverse().map(({ key, seq }) => ({ key, revision: seq }));
  }

  setStatus(key: string, status: string | null): void {
    this.restated.add(key);
    if (status === null) this.statuses.delete(key);
    else this.statuses.set(key, status);
  }

  /** The status of a key, which changes without a row of the journal; null where it has none. */
  async status(key: string, call: UpstreamCall): Promise<string | null> {
    await this.#request(FEED_HOST, `status ${key}`, {
      fault: () => this.faults.get(`status ${key}`) ?? null,
      call,
    });
    // A pushed row may be of a key that the upstream does not have.
    return this.items.get(key)?.deleted === false ? (this.statuses.get(key) ?? null) : null;
  }

  async wholePage(index: number, call: UpstreamCall): Promise<string[] | null> {
    await this.#request(FEED_HOST, `page ${index}`, { fault: () => this.feedFault, call });
    return this.pages[index] ?? null;
  }

  /** An item's document. Throws what the real fetcher throws. */
  async document(
    key: string,
    call: UpstreamCall,
  ): Promise<{ bytes: Uint8Array; revision: number; seq: number; text: string }> {
    const isServed = () => this.lagging.has(key) || this.items.get(key)?.deleted === false;
    await this.#request(DOCUMENT_HOST, key, {
      fault: () => this.faults.get(key) ?? this.documentsFault,
      isServed,
      call,
    });
    const item = this.items.get(key);
    const lagging = this.lagging.get(key);
    if (lagging !== undefined) this.lagged.add(key);
    if (!item || !isServed())
      throw new ChangeError('http-404', `${key}: expected status 200, got 404`, { status: 404 });
    const document = { key, revision: lagging ?? item.revision, text: item.text };
    const seq = item.seqs[document.revision - 1]!;
    return { ...document, seq, bytes: Buffer.from(JSON.stringify(document)) };
  }

  async serverList(call: UpstreamCall): Promise<Servers> {
    await this.#request(FEED_HOST, 'servers', { fault: () => this.feedFault, call });
    return { servers: { ...this.servers }, etag: null, freshUntilMs: this.#clock.now() + this.serversFreshMs };
  }

  /** A host's answer for a key of an agenda; null when the key is gone. Throws what the real fetcher throws. */
  async answer(host: string, key: string, call: UpstreamCall): Promise<{ revision: number; text: string } | null> {
    const isServed = () => this.items.get(key)?.deleted === false;
    const latencyMs = this.latencyMs(key, host);
    const late: Fault | null = latencyMs > ANSWER_MS_MAX ? { reason: 'timeout' } : null;
    const fault = () => late ?? this.faults.get(key) ?? this.hostFaults.get(host) ?? null;
    try {
      await this.#request(host, key, { fault, isServed, call, latencyMs: Math.min(latencyMs, ANSWER_MS_MAX) });
    } catch (error) {
      const isRefused = error instanceof ChangeError && (error.status === 403 || error.reason === 'timeout');
      if (isRefused) call.tallies.get(host)!.refused += 1;
      throw error;
    }
    const item = this.items.get(key);
    return item && !item.deleted ? { revision: item.revision, text: item.text } : null;
  }

  /** The revisions of keys, in one request; 0 for a key that is gone. A key in `probeFaults` fails the whole request. */
  async probe(host: string, keys: string[], call: UpstreamCall): Promise<number[]> {
    const failing = keys.find(key => this.probeFaults.has(key));
    const fault = () => this.hostFaults.get(host) ?? (failing ? this.probeFaults.get(failing)! : null);
    await this.#request(host, `probe ${keys.join(' ')}`, { fault, call });
    return keys.map(key => (this.items.get(key)?.deleted === false ? this.items.get(key)!.revision : 0));
  }

  #change(key: string, { deleted, text }: { deleted: boolean; text: string }): void {
    this.seq += 1 + (this.seq % 3);
    this.silent.delete(key);
    const { revision, seqs } = this.items.get(key) ?? { revision: 0, seqs: [] };
    this.journal.push({ key, seq: this.seq, deleted });
    this.items.set(key, { key, seq: this.seq, revision: revision + 1, deleted, text, seqs: [...seqs, this.seq] });
  }

  async #request(
    host: string,
    subject: string,
    {
      fault,
      isServed = () => true,
      call,
      latencyMs = this.latencyMs(subject, host),
    }: { fault: () => Fault | null; isServed?: () => boolean; call: UpstreamCall; latencyMs?: number },
  ): Promise<void> {
    await this.#slot(host, call);
    const leftMs = call.deadlineAtMs - this.#clock.now();
    if (latencyMs > 0) await this.#clock.sleep(Math.min(latencyMs, leftMs));
    if (latencyMs > leftMs) throw new StepError('deadline', `${subject}: expected an answer before the call's end`);
    const tally = call.tallies.get(host) ?? { ...structuredClone(EMPTY_TALLY), host };
    call.tallies.set(host, tally);
    tally.requests += 1;
    this.requests.push({ host, subject, atMs: this.#clock.now() });
    const failure = this.#isSpent(host, tally) ? { status: 429 } : fault();
    tally.statuses[failure ? answerOf(failure) : isServed() ? '2xx' : '4xx'] += 1;
    if (failure) throw faultError(subject, failure, tally);
  }

  /** Counts a request against the host's quota, whose rest is part of every answer. True when there was none left. */
  #isSpent(host: string, tally: HostTally): boolean {
    const quota = this.quotas.get(host);
    if (!quota) return false;
    const nowMs = this.#clock.now();
    if (nowMs >= quota.startMs + quota.windowMs) Object.assign(quota, { startMs: nowMs, used: 0 });
    quota.used += 1;
    const remaining = Math.max(0, quota.limit - quota.used);
    tally.quota = { remaining, resetMs: quota.startMs + quota.windowMs - nowMs };
    return quota.used > quota.limit;
  }

  /** Waits for the next slot of the call's permits, as every request must. */
  async #slot(host: string, { permits, slotsUsed, permit: requestPermit }: UpstreamCall): Promise<void> {
    const isFree = (permit: Permit) => permit.host === host && (slotsUsed.get(permit) ?? 0) < permit.count;
    const added = permits.some(isFree) ? undefined : await requestPermit?.(host);
    if (added) permits.push(added);
    const permit = permits.find(isFree);
    if (added === null) throw new StepError('deadline', `${host}: expected a slot in time, got none`);
    if (!permit) throw new Error(`${host}: expected a permit, got none left`);
    const slot = slotsUsed.get(permit) ?? 0;
    const waitMs = permit.startAtMs + slot * permit.intervalMs - this.#clock.now();
    slotsUsed.set(permit, slot + 1);
    if (waitMs > 0) await this.#clock.sleep(waitMs);
  }
}

const EMPTY_TALLY = {
  requests: 0,
  statuses: { '2xx': 0, '3xx': 0, '4xx': 0, '5xx': 0, none: 0 },
  notModified: 0,
  throttled: 0,
  errors: 0,
  refused: 0,
  retryAfterMs: null,
};

/** The class of the status that a fault answers with; a fault in a document itself answers 200. */
function answerOf(fault: Fault): StatusClass {
  if ('kills' in fault) return 'none';
  if (fault.status !== undefined) return `${Math.floor(fault.status / 100)}xx` as StatusClass;
  return 'reason' in fault && ['unreachable', 'timeout'].includes(fault.reason) ? 'none' : '2xx';
}

function faultError(subject: string, fault: Fault, tally: HostTally): Error {
  if ('kills' in fault) return new Error(`${subject}: the Loader ran out of memory`);
  const { status = null, retryAfterMs = null } = fault;
  if (retryAfterMs !== null) tally.retryAfterMs = Math.max(tally.retryAfterMs ?? 0, retryAfterMs);
  if (status === 429) tally.throttled += 1;
  else tally.errors += 1;
  const reason = 'reason' in fault ? fault.reason : (`http-${fault.status}` as const);
  return new ChangeError(reason, `${subject}: expected an answer, got ${reason}`, { status, retryAfterMs });
}
