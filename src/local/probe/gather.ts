import { z } from 'zod';
import { ChangeError, CursorError, isConnectionFault, StepError } from '../../errors.ts';
import type { Change, Loaded } from '../../ports/change.ts';
import type { Source, SourceContext } from '../../sources/source.ts';
import { createFetcher, type Fetcher } from '../../sources/upstream/fetcher.ts';
import { checkShape } from '../../sources/upstream/json.ts';
import { connect } from './connect.ts';
import { createPermits, type PermitOptions, PROBE_MS_MAX, ProbeLimit } from './permits.ts';
import { noReads, type Reads, watchReads } from './reads.ts';
import { lineKeys } from './text.ts';

export interface GatherOptions {
  /** The source's own. */
  settings: unknown;
  contact: string;
  keys: readonly string[];
  /** How many keys are prepared together. */
  sliceKeys: number;
  kindOf?: ((subject: string, url: string) => string) | undefined;
  /** The limits of a live upstream; null for a stand-in. */
  limits: PermitOptions['limits'];
}

/** The answers of one kind. */
export interface Kind {
  answers: unknown[];
  /** What the source read of them. */
  reads: Reads;
  /** The answers are texts, of which the keys of their lines are known, or rows, of which the columns with a value are. */
  form: 'json' | 'text' | 'row';
}

/** What the steps of a source met. */
export interface Gathered {
  kinds: Map<string, Kind>;
  /** Why the source refused an answer. */
  refused: string[];
  /** Why a request had no answer to compare. */
  unanswered: string[];
  /** Requests sent, by host, with those that were repeated. */
  requests: Record<string, number>;
}

/** Reasons of an answer that is a web page, or too large to be compared. */
const NO_FORM = ['not-json', 'too-large'];

type Context = SourceContext<unknown>;

/** Runs each step of a source once, for a few keys, and keeps what the upstream answered and what the source read of it. */
export async function gather(source: Source, options: GatherOptions): Promise<Gathered> {
  const { keys, sliceKeys } = options;
  const run = new Run(source, options);
  // Ask for what changed, or for the servers of the keys.
  const changes = source.feed ? await run.feed(keys) : await run.visits(keys);
  // Load the keys, a slice at a time.
  for (let from = 0; from < changes.length; from += sliceKeys) {
    const slice = changes.slice(from, from + sliceKeys);
    const prepared = (await run.attempt(async ctx => source.prepare?.(slice, ctx))) ?? null;
    for (const change of slice) await run.load(change, prepared);
  }
  return run.gathered;
}

class Run {
  readonly gathered: Gathered = { kinds: new Map(), refused: [], unanswered: [], requests: {} };
  readonly #source: Source;
  readonly #options: GatherOptions;
  readonly #permits: ReturnType<typeof createPermits>;
  readonly #fetcher: Fetcher;
  /** Errors that are reported already: a source may throw on what its context threw. */
  readonly #reported = new WeakSet<Error>();
  readonly #isLive: boolean;
  /** The answers to the load under way. */
  #loadAnswers: { name: string; answer: unknown }[] = [];

  constructor(source: Source, options: GatherOptions) {
    this.#source = source;
    this.#options = options;
    const { limits, settings, contact } = options;
    this.#isLive = limits !== null;
    this.#permits = createPermits({ pace: source.pace(settings), limits, requests: this.gathered.requests });
    this.#fetcher = createFetcher({
      contact,
      permits: [],
      requestPermit: this.#permits.permit,
      deadlineAtMs: Date.now() + PROBE_MS_MAX,
      fetch: this.#permits.counted(fetch, url => new URL(String(url)).host),
      connect: this.#permits.counted(connect, ({ hostname }) => hostname),
    });
  }

  async feed(keys: readonly string[]): Promise<Change[]> {
    const feed = this.#source.feed!;
    const cursor = await this.attempt(ctx => feed.start(ctx));
    // Caches may keep a page for hours, so no two probes ask for the same one.
    const poll = Math.floor(Date.now() / 1000);
    if (cursor !== null) await this.attempt(ctx => feed.pull({ cursor, poll }, ctx));
    await this.attempt(async ctx => feed.list?.(null, ctx));
    return keys.map(key => changeOf(key, cursor ?? '0'));
  }

  async visits(keys: readonly string[]): Promise<Change[]> {
    const { id, agenda } = this.#source;
    const read = keys.map(text => {
      const key = agenda!.read(text);
      if ('rejected' in key) throw new Error(`probe: expected a key of ${id}, got "${text}" (${key.rejected})`);
      return key;
    });
    const directory = agenda!.directory;
    const known = directory ? await this.attempt(ctx => directory.read(null, ctx)) : { servers: {} };
    // Only the directory says which server a key is asked of.
    if (known === null) return [];
    return read.map(({ key, space }, index) => {
      const server = directory?.serverOf(space, known.servers) ?? null;
      return { ...changeOf(key, String(index + 1)), server, moreHosts: [] };
    });
  }

  async load(change: Change, prepared: unknown): Promise<void> {
    this.#loadAnswers = [];
    // The probe only reads upstreams, so the lake has nothing.
    const stored = async ({ name }: { name: string }) => ({ key: name, object: null });
    const loaded = await this.attempt(ctx => this.#source.load(change, { ...ctx, prepared, afresh: false, stored }));
    if (!loaded) return;
    // A recorded answer that there is no such key says nothing about the form of the others.
    const isGone = loaded.rows.every(({ op }) => op === 'delete');
    if (isGone && !this.#isLive) this.#dropAnswers();
    else this.#addRows(loaded);
  }

  /** The result of a step; null where the upstream's answers, or none, ended it. */
  async attempt<T>(work: (ctx: Context) => Promise<T>): Promise<T | null> {
    try {
      return await work(this.#context());
    } catch (error) {
      // On a live answer of another form the source's code may break. On recorded ones that is a fault of ours.
      const isOurs = !isUnanswered(error) && !(error instanceof ChangeError) && !(error instanceof CursorError);
      if (isOurs && (!this.#isLive || (error as Error).name === 'AbortError')) throw error;
      this.#report(error as Error);
      return null;
    }
  }

  #context(): Context {
    const fetcher = this.#fetcher;
    return {
      settings: this.#options.settings,
      nowMs: Date.now(),
      fetchJson: async (url, { shape, ...options }) =>
        this.#ask(async () => {
          const answer = await fetcher.fetchJson(url, { ...options, shape: z.unknown() });
          const reads = this.#add(this.#kindOf(options.subject, url), answer.json);
          return { ...answer, json: watchReads(checkShape(options.subject, shape, answer.json), reads) as never };
        }),
      fetchDocument: async (url, options) =>
        this.#ask(async () => {
          const answer = await fetcher.fetchDocument(url, options);
          const whole: unknown = JSON.parse(new TextDecoder().decode(answer.bytes));
          const reads = this.#add(this.#kindOf(options.subject, url), whole);
          return { ...answer, json: watchReads(answer.json, reads) };
        }),
      fetchRaw: async (url, options) =>
        this.#ask(async () => {
          const answer = await fetcher.fetchRaw(url, options);
          this.#add(this.#kindOf(options.subject, url), answer.value);
          return answer;
        }),
      askText: async (server, query, { check, ...options }) =>
        this.#ask(async () => {
          // Each server has a form of its own, and the permit's host says which.
          const of = options.permitHost === server ? '' : ` .${options.permitHost}`;
          const keep = (bytes: Uint8Array) => {
            this.#add(`${options.subject}${of}`, lineKeys(bytes), 'text');
          };
          return fetcher.askText(server, query, { ...options, check: bytes => this.#checkText(bytes, check, keep) });
        }),
    };
  }

  /** Keeps a text that is an answer. A recorded one that the source refuses claims nothing. */
  #checkText(bytes: Uint8Array, check = (_: Uint8Array) => {}, keep: (bytes: Uint8Array) => void): void {
    try {
      check(bytes);
    } catch (error) {
      if (this.#isLive && !isUnanswered(error)) keep(bytes);
      throw error;
    }
    keep(bytes);
  }

  async #ask<T>(send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } catch (error) {
      this.#permits.failed(error);
      // A source may go on without this answer, so report it here.
      if (error instanceof ChangeError || isUnanswered(error)) this.#report(error as Error);
      throw error;
    }
  }

  #kindOf(subject: string, url: string): string {
    return this.#options.kindOf?.(subject, url) ?? subject;
  }

  #add(name: string, answer: unknown, form: Kind['form'] = 'json'): Reads {
    const kind = this.gathered.kinds.get(name) ?? { answers: [], reads: noReads(), form };
    this.gathered.kinds.set(name, kind);
    kind.answers.push(answer);
    if (form !== 'row') this.#loadAnswers.push({ name, answer });
    return kind.reads;
  }

  #dropAnswers(): void {
    for (const { name, answer } of this.#loadAnswers) {
      const { answers } = this.gathered.kinds.get(name)!;
      answers.splice(answers.indexOf(answer), 1);
    }
  }

  /** Keeps which columns a load filled, under the kind of the answer that gave the row. */
  #addRows({ rows }: Loaded): void {
    for (const { table, op, row } of rows) {
      const columns = Object.entries(row).filter(([, value]) => value !== null);
      const filled = op === 'upsert' ? Object.fromEntries(columns) : {};
      this.#add(`row of ${table} from ${this.#loadAnswers.at(-1)?.name ?? 'no answer'}`, { [op]: filled }, 'row');
    }
  }

  #report(error: Error): void {
    if (this.#reported.has(error)) return;
    this.#reported.add(error);
    const { message } = error;
    const [list, text] = isUnanswered(error)
      ? [this.gathered.unanswered, error instanceof ChangeError ? `${this.#permits.newest()}: ${message}` : message]
      : [this.gathered.refused, message];
    if (!list.includes(text)) list.push(text);
  }
}

/** Whether an error says that there is no answer, and nothing about an answer's form. */
function isUnanswered(error: unknown): boolean {
  if (error instanceof ProbeLimit || error instanceof StepError) return true;
  return (
    error instanceof ChangeError &&
    (error.status !== null || isConnectionFault(error) || NO_FORM.includes(error.reason))
  );
}

function changeOf(key: string, cursor: string): Change {
  return { key, cursor, deleted: false, revision: null, skip: null };
}
