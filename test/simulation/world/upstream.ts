import { ChangeError, type ParkReason, StepError } from '../../../src/errors.ts';
import type { KeyPage, Servers } from '../../../src/ports/change.ts';
import type { HostTally, Permit, StatusClass } from '../../../src/ports/hosts.ts';
import type { VirtualClock } from './clock.ts';

export const FEED_HOST = 'feed.test';
export const DOCUMENT_HOST = 'documents.test';

/** Whoever asks a host for a key of an agenda waits so long for an answer: two tries of nine seconds. */
const ANSWER_MS_MAX = 18_000;

/** What an upstream does instead of answering. `kills` ends the Loader call that asks. */
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
}

export interface FeedPage {
  results: Item[];
  lastSeq: number;
  head: number;
}

/** One call's way to the upstream: its permits, its end, and its tally. */
export interface Visit {
  permits: Permit[];
  deadlineAtMs: number;
  tallies: Map<string, HostTally>;
  slotsUsed: Map<Permit, number>;
  /** Gets a slot for a host that is not among the permits. */
  permit?: (host: string) => Promise<Permit | null>;
}

/**
 * An upstream in memory: a feed that shows each item once, at the sequence of its newest change (npm's kind), and a
 * document per item. What goes wrong is set by whoever runs it.
 */
export class Upstream {
  readonly items = new Map<string, Item>();
  seq = 0;
  /** Faults by document, of all documents, and of the feed. */
  readonly faults = new Map<string, Fault>();
  documentsFault: Fault | null = null;
  feedFault: Fault | null = null;
  listFault: Fault | null = null;
  /** Revisions that are still served though the feed has announced later ones. */
  readonly lagging = new Map<string, number>();
  /** Keys that an older revision was ever served of. */
  readonly lagged = new Set<string>();
  /** Keys whose newest change the feed never shows. */
  readonly silent = new Set<string>();
  /** How long an answer takes. */
  latencyMs: (key: string, host: string) => number = () => 0;
  /** Of an agenda: faults of hosts, which host serves which space, how long that list is fresh, and second halves. */
  readonly hostFaults = new Map<string, Fault>();
  readonly servers: Record<string, string> = {};
  serversFreshMs = 24 * 3_600_000;
  readonly halves = new Map<string, { host: string; text: string }>();
  /** Changes a page on its way. */
  alter: (page: FeedPage) => FeedPage = page => page;
  alterList: (page: KeyPage, after: string | null) => KeyPage = page => page;
  /** Keys of whole pages, for a source that is not the coalescing feed's. */
  readonly pages: string[][] = [];
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

  /** Changes an item, or removes it, without a word in the feed: until its next change it is not shown at all. */
  changeSilently(key: string, { deleted = false, text = '' } = {}): void {
    this.#change(key, { deleted, text });
    this.silent.add(key);
  }

  async page(since: number, { limit, visit }: { limit: number; visit: Visit }): Promise<FeedPage> {
    await this.#ask(FEED_HOST, `since ${since}`, { fault: () => this.feedFault, visit });
    const isShown = ({ key, seq }: Item) => seq > since && !this.silent.has(key);
    const later = [...this.items.values()].filter(isShown).sort((a, b) => a.seq - b.seq);
    const results = later.slice(0, limit).map(item => ({ ...item }));
    return this.alter({ results, lastSeq: results.at(-1)?.seq ?? this.seq, head: this.seq });
  }

  /** Keys of items that are not deleted, after one, in the order of their bytes. */
  async list(after: string | null, { limit, visit }: { limit: number; visit: Visit }): Promise<KeyPage> {
    await this.#ask(FEED_HOST, `list ${after}`, { fault: () => this.listFault, visit });
    const keys = [...this.items.values()].flatMap(({ key, deleted }) => (deleted ? [] : [key]));
    const listed = keys.filter(key => !key.startsWith('internal:') && (after === null || key > after)).sort();
    const page = listed.slice(0, limit);
    return this.alterList({ keys: page, next: listed.length > limit ? page.at(-1)! : null }, after);
  }

  async wholePage(index: number, visit: Visit): Promise<string[] | null> {
    await this.#ask(FEED_HOST, `page ${index}`, { fault: () => this.feedFault, visit });
    return this.pages[index] ?? null;
  }

  /** An item's document. Throws as the only fetch of an upstream does. */
  async document(key: string, visit: Visit): Promise<{ bytes: Uint8Array; revision: number; text: string }> {
    const isServed = () => this.lagging.has(key) || this.items.get(key)?.deleted === false;
    await this.#ask(DOCUMENT_HOST, key, { fault: () => this.faults.get(key) ?? this.documentsFault, isServed, visit });
    const item = this.items.get(key);
    const lagging = this.lagging.get(key);
    if (lagging !== undefined) this.lagged.add(key);
    if (!item || !isServed())
      throw new ChangeError('http-404', `${key}: expected status 200, got 404`, { status: 404 });
    const document = { key, revision: lagging ?? item.revision, text: item.text };
    return { ...document, bytes: Buffer.from(JSON.stringify(document)) };
  }

  /** Where spaces are served. */
  async serverList(visit: Visit): Promise<Servers> {
    await this.#ask(FEED_HOST, 'servers', { fault: () => this.feedFault, visit });
    return { servers: { ...this.servers }, etag: null, freshUntilMs: this.#clock.now() + this.serversFreshMs };
  }

  /** What a host says of a key of an agenda; null where that is gone. Throws as the only fetch of an upstream does. */
  async answer(host: string, key: string, visit: Visit): Promise<{ revision: number; text: string } | null> {
    const isServed = () => this.items.get(key)?.deleted === false;
    const tookMs = this.latencyMs(key, host);
    const late: Fault | null = tookMs > ANSWER_MS_MAX ? { reason: 'timeout' } : null;
    const fault = () => late ?? this.faults.get(key) ?? this.hostFaults.get(host) ?? null;
    try {
      await this.#ask(host, key, { fault, isServed, visit, latencyMs: Math.min(tookMs, ANSWER_MS_MAX) });
    } catch (error) {
      const isRefused = error instanceof ChangeError && (error.status === 403 || error.reason === 'timeout');
      if (isRefused) visit.tallies.get(host)!.refused += 1;
      throw error;
    }
    const item = this.items.get(key);
    return item && !item.deleted ? { revision: item.revision, text: item.text } : null;
  }

  #change(key: string, { deleted, text }: { deleted: boolean; text: string }): void {
    this.seq += 1 + (this.seq % 3);
    this.silent.delete(key);
    const revision = (this.items.get(key)?.revision ?? 0) + 1;
    this.items.set(key, { key, seq: this.seq, revision, deleted, text });
  }

  async #ask(
    host: string,
    subject: string,
    {
      fault,
      isServed = () => true,
      visit,
      latencyMs = this.latencyMs(subject, host),
    }: { fault: () => Fault | null; isServed?: () => boolean; visit: Visit; latencyMs?: number },
  ): Promise<void> {
    await this.#slot(host, visit);
    const leftMs = visit.deadlineAtMs - this.#clock.now();
    if (latencyMs > 0) await this.#clock.sleep(Math.min(latencyMs, leftMs));
    if (latencyMs > leftMs) throw new StepError('deadline', `${subject}: expected an answer before the call's end`);
    const tally = visit.tallies.get(host) ?? { ...structuredClone(EMPTY_TALLY), host };
    visit.tallies.set(host, tally);
    tally.requests += 1;
    this.requests.push({ host, subject, atMs: this.#clock.now() });
    const wrong = fault();
    tally.statuses[wrong ? answerOf(wrong) : isServed() ? '2xx' : '4xx'] += 1;
    if (wrong) throw faultError(subject, wrong, tally);
  }

  /** Waits for the next slot of the call's permits, as an asker must. */
  async #slot(host: string, { permits, slotsUsed, permit: askFor }: Visit): Promise<void> {
    const isFree = (permit: Permit) => permit.host === host && (slotsUsed.get(permit) ?? 0) < permit.count;
    const asked = permits.some(isFree) ? undefined : await askFor?.(host);
    if (asked) permits.push(asked);
    const permit = permits.find(isFree);
    if (asked === null) throw new StepError('deadline', `${host}: expected a slot in time, got none`);
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

/** How an upstream with this fault answers; what is wrong with a document comes with a status of 200. */
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
