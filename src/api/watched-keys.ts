import { LIMITS } from '../config.ts';
import type { SourceStub } from '../contract/objects.ts';
import type { WatchPart } from '../contract/watched-keys.ts';
import type { Agenda } from '../sources/source.ts';
import { ApiError, answer } from './answer.ts';
import { piecesOf, type StreamedRequest } from './body.ts';
import type { ApiCall } from './env.ts';
import { wholeNumber } from './fields.ts';
import type { Piece } from './json-stream.ts';
import { sourceOf } from './sources.ts';

/** Rejected lines that an answer lists. */
const WATCH_REJECTED_MAX = 1_000;
/** Watched keys of one answer. */
const WATCHED_LIST_MAX = 1_000;

const HINT = 'Send a JSON list of names, or one name a line as content-type application/x-ndjson or text/plain.';
const LIST_HINT = `Use ?after=<key>&limit=<number up to ${WATCHED_LIST_MAX}>.`;
const LIST_KEYS_DEFAULT = 100;
/** Bytes of a name in UTF-8 with its quotes: the longest domain has 253 letters. */
const NAME_BYTES_MAX = 2_000;

/** A line that is not a key. `text` is the line as it was sent, cut to 100 characters. */
interface Rejection {
  line: number;
  text: string;
  reason: string;
}

type KeyRules = Pick<Agenda<unknown>, 'read'>;

/**
 * Adds watched keys: a JSON list of names, or one name a line. A name that is not a key is rejected with a reason. New
 * keys are due at once; keys that are watched already do not change. Throws `full` for new keys while the object's database
 * is full; the keys of earlier parts stay.
 */
export async function addKeys(call: ApiCall): Promise<Response> {
  const { id, stub, rules } = agendaOf(call);
  let atMs: number | null = null;
  let added = 0;
  let known = 0;
  const reader = new KeyReader(rules, async keys => {
    const result = await stub.watchKeys({ atMs, keys });
    const { refused } = result;
    if (refused)
      throw new ApiError('full', `${refused.message} (${added} added, ${known} known before it)`, refused.hint);
    atMs = result.atMs;
    added += result.added;
    known += result.known;
    return result.repeated;
  });
  await reader.readAll(call.request);
  return answer({ source: id, added, known, ...reader.rejected() });
}

/** Removes watched keys: a JSON list of names, or one name a line. */
export async function removeKeys(call: ApiCall): Promise<Response> {
  const { id, stub, rules } = agendaOf(call);
  let removed = 0;
  let unknown = 0;
  const reader = new KeyReader(rules, async keys => {
    const count = await stub.unwatchKeys(keys.map(({ key }) => key));
    removed += count;
    unknown += keys.length - count;
    return [];
  });
  await reader.readAll(call.request);
  return answer({ source: id, removed, unknown, ...reader.rejected() });
}

/** Lists watched keys in order, each with its last visit and its next. */
export async function listKeys(call: ApiCall): Promise<Response> {
  const { stub } = agendaOf(call);
  const { after, limit: given = String(LIST_KEYS_DEFAULT) } = call.request.query;
  const limit = wholeNumber(given, {
    name: 'limit',
    min: 1,
    max: WATCHED_LIST_MAX,
    code: 'invalid_setting',
    hint: LIST_HINT,
  });
  const keys = await stub.watchedKeys({ after: after === undefined ? null : String(after), limit });
  return answer({ keys, next: keys.length === limit ? keys.at(-1)!.key : null });
}

/** Shows one watched key. The path may name it in any form that the source reads. */
export async function showKey(call: ApiCall): Promise<Response> {
  const { id, stub, rules } = agendaOf(call);
  const read = rules.read(call.param('key'));
  const watched = 'key' in read ? await stub.watchedKey(read.key) : null;
  if (watched === null) throw notWatched(id);
  return answer(watched);
}

/** Removes one watched key. */
export async function removeKey(call: ApiCall): Promise<Response> {
  const { id, stub, rules } = agendaOf(call);
  const read = rules.read(call.param('key'));
  const removed = 'key' in read ? await stub.unwatchKeys([read.key]) : 0;
  if (removed === 0) throw notWatched(id);
  return answer({ source: id, removed });
}

/** A source with an agenda: its object, and how it reads keys. Throws `conflict` for a source with a feed. */
function agendaOf(call: ApiCall): { id: string; stub: SourceStub; rules: KeyRules } {
  const { id, stub } = sourceOf(call);
  const rules = call.known.sources.find(source => source.id === id)?.agenda;
  if (rules) return { id, stub, rules };
  const hint = 'Keys are watched only for sources whose upstream has no feed of changes.';
  throw new ApiError('conflict', `${id} follows a feed: it has no keys to watch.`, hint);
}

function notWatched(id: string): ApiError {
  return new ApiError('not_found', 'This key is not watched.', `GET /v1/sources/${id}/keys lists the watched keys.`);
}

/** JSON that is not a name: `7` and `null` are neither JSON strings nor domains. */
const OTHER_JSON = /^\s*(null|true|false|-?\d+(\.\d+)?(e[+-]?\d+)?)\s*$/i;

/** Reads and checks the lines of one request, sends their keys in parts, and counts rejected lines by reason. */
class KeyReader {
  readonly #rules: KeyRules;
  /** Resolves with the lines whose key was in an earlier part. */
  readonly #send: (keys: WatchPart['keys']) => Promise<number[]>;
  readonly #rejections: Rejection[] = [];
  readonly #reasons: Record<string, number> = {};
  #part: WatchPart['keys'] = [];
  /** The text of each line of the part. */
  readonly #texts = new Map<number, string>();
  #lines = 0;

  constructor(rules: KeyRules, send: (keys: WatchPart['keys']) => Promise<number[]>) {
    this.#rules = rules;
    this.#send = send;
  }

  async readAll(request: StreamedRequest): Promise<void> {
    for await (const piece of piecesOf(request, HINT)) await this.#add(piece);
    await this.#flush();
  }

  rejected() {
    const count = Object.values(this.#reasons).reduce((sum, lines) => sum + lines, 0);
    // Sort, because a repeated line is found only when its part has been sent.
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
    if (this.#rejections.length < WATCH_REJECTED_MAX) this.#rejections.push({ line, text: text.slice(0, 100), reason });
  }
}

/** The name in a piece: a JSON string, or the piece itself when it is not JSON. Null for other JSON and invalid UTF-8. */
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
