import { LIMITS } from '../config.ts';
import type { SourceStub } from '../contract/objects.ts';
import type { WatchPart } from '../contract/watched-keys.ts';
import type { Agenda } from '../sources/source.ts';
import { ApiError, answer } from './answer.ts';
import { piecesOf, type StreamedRequest } from './body.ts';
import type { ApiEnv, Known } from './env.ts';
import type { Piece } from './json-stream.ts';
import { stubOf } from './sources.ts';

const HINT = 'Send a JSON list of names, or one name a line as content-type application/x-ndjson or text/plain.';
const LIST_HINT = `Ask for ?after=<key>&limit=<number up to ${LIMITS.watchedListMax}>.`;
/** A name is at most so many bytes in UTF-8, quotes and all: the longest domain has 253 letters. */
const NAME_BYTES_MAX = 2_000;

/** A line that is no key, and why. */
interface Rejection {
  line: number;
  /** As it came, cut to 100 characters. */
  text: string;
  reason: string;
}

interface Target {
  id: string;
  stub: SourceStub;
  rules: Pick<Agenda<unknown>, 'read'>;
}

/**
 * Takes keys to be watched, as they come: a JSON list, or one a line. What is no key is rejected by name; the others
 * are due at once, and those that are watched already stay as they are.
 */
export async function addKeys(
  env: ApiEnv,
  known: Known,
  { id, request }: { id: string; request: StreamedRequest },
): Promise<Response> {
  const target = targetOf(env, known, id);
  let atMs: number | null = null;
  let added = 0;
  let watched = 0;
  const reading = new Reading(target.rules, async keys => {
    const came = await target.stub.watchKeys({ atMs, keys });
    atMs = came.atMs;
    added += came.added;
    watched += came.known;
    return came.repeated;
  });
  await reading.readAll(request);
  return answer({ source: id, added, known: watched, ...reading.rejected() });
}

/** Takes keys off, as they come. */
export async function removeKeys(
  env: ApiEnv,
  known: Known,
  { id, request }: { id: string; request: StreamedRequest },
): Promise<Response> {
  const { stub, rules } = targetOf(env, known, id);
  let removed = 0;
  let unknown = 0;
  const reading = new Reading(rules, async keys => {
    const count = await stub.unwatchKeys(keys.map(({ key }) => key));
    removed += count;
    unknown += keys.length - count;
    return [];
  });
  await reading.readAll(request);
  return answer({ source: id, removed, unknown, ...reading.rejected() });
}

/** Watched keys in order, each with its last visit and its next. */
export async function listKeys(
  env: ApiEnv,
  known: Known,
  { id, query }: { id: string; query: Record<string, unknown> },
): Promise<Response> {
  const { stub } = targetOf(env, known, id);
  const text = String(query.limit ?? 100);
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > LIMITS.watchedListMax)
    throw new ApiError(
      'invalid_setting',
      `limit: expected 1 to ${LIMITS.watchedListMax}, got ${text.slice(0, 100)}`,
      LIST_HINT,
    );
  const keys = await stub.watchedKeys({ after: query.after === undefined ? null : String(query.after), limit });
  return answer({ keys, next: keys.length === limit ? keys.at(-1)!.key : null });
}

/** One watched key, in whatever form its name is given. */
export async function showKey(
  env: ApiEnv,
  known: Known,
  { id, name }: { id: string; name: string },
): Promise<Response> {
  const { stub, rules } = targetOf(env, known, id);
  const read = rules.read(name);
  const watched = 'key' in read ? await stub.watchedKey(read.key) : null;
  if (watched === null) throw notWatched(id);
  return answer(watched);
}

/** Takes one key off. */
export async function removeKey(
  env: ApiEnv,
  known: Known,
  { id, name }: { id: string; name: string },
): Promise<Response> {
  const { stub, rules } = targetOf(env, known, id);
  const read = rules.read(name);
  const removed = 'key' in read ? await stub.unwatchKeys([read.key]) : 0;
  if (removed === 0) throw notWatched(id);
  return answer({ source: id, removed });
}

function targetOf(env: ApiEnv, known: Known, id: string): Target {
  const stub = stubOf(env, known, id);
  const rules = known.sources.find(source => source.id === id)?.agenda;
  const hint = 'Keys are watched for sources whose upstream tells nothing of changes.';
  if (!rules) throw new ApiError('conflict', `${id} follows a feed: it has no keys to watch.`, hint);
  return { id, stub, rules };
}

function notWatched(id: string): ApiError {
  return new ApiError('not_found', 'There is no such key.', `GET /v1/sources/${id}/keys lists those that are watched.`);
}

/** JSON that is no name: `7` and `null` are no JSON text, and no domain either. */
const OTHER_JSON = /^\s*(null|true|false|-?\d+(\.\d+)?(e[+-]?\d+)?)\s*$/i;

/** One request's lines: read, checked, and sent in parts; the rejected ones counted by reason and told one by one. */
class Reading {
  readonly #rules: Target['rules'];
  /** Gives the lines whose key an earlier part had. */
  readonly #send: (keys: WatchPart['keys']) => Promise<number[]>;
  readonly #rejections: Rejection[] = [];
  readonly #reasons: Record<string, number> = {};
  #part: WatchPart['keys'] = [];
  /** The lines of the part as they came. */
  readonly #texts = new Map<number, string>();
  #lines = 0;

  constructor(rules: Target['rules'], send: (keys: WatchPart['keys']) => Promise<number[]>) {
    this.#rules = rules;
    this.#send = send;
  }

  async readAll(request: StreamedRequest): Promise<void> {
    for await (const piece of piecesOf(request, HINT)) await this.#add(piece);
    await this.#flush();
  }

  rejected() {
    const count = Object.values(this.#reasons).reduce((sum, lines) => sum + lines, 0);
    // What is repeated is known only when its part has been sent.
    const rejections = this.#rejections.toSorted((a, b) => a.line - b.line);
    return { rejected: count, rejected_by_reason: this.#reasons, rejections };
  }

  async #add({ line, bytes }: Piece): Promise<void> {
    this.#lines += 1;
    if (bytes === null || bytes.length > NAME_BYTES_MAX) return this.#reject({ line, text: '', reason: 'too-long' });
    const text = nameOf(bytes);
    if (text === null) return this.#reject({ line, text: '', reason: 'not-text' });
    if (this.#lines > LIMITS.watchLinesMax) return this.#reject({ line, text, reason: 'too-many' });
    const read = this.#rules.read(text);
    if ('rejected' in read) return this.#reject({ line, text, reason: read.rejected });
    this.#part.push({ line, ...read });
    this.#texts.set(line, text);
    if (this.#part.length >= LIMITS.watchPartKeysMax) await this.#flush();
  }

  async #flush(): Promise<void> {
    if (this.#part.length === 0) return;
    const part = this.#part;
    this.#part = [];
    for (const line of await this.#send(part)) this.#reject({ line, text: this.#texts.get(line)!, reason: 'repeated' });
    this.#texts.clear();
  }

  #reject({ line, text, reason }: Rejection): void {
    this.#reasons[reason] = (this.#reasons[reason] ?? 0) + 1;
    if (this.#rejections.length < LIMITS.watchRejectedMax)
      this.#rejections.push({ line, text: text.slice(0, 100), reason });
  }
}

/** The name of one piece: JSON text, or the piece itself where it is no JSON; null where it is something else. */
function nameOf(bytes: Uint8Array): string | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes);
    if (!/^\s*["[{]/.test(text)) return OTHER_JSON.test(text) ? null : text;
    const value = JSON.parse(text) as unknown;
    return typeof value === 'string' ? value : null;
  } catch {
    return null;
  }
}
