import type { Column } from '../../schemas/column.ts';
import type { Row, Table } from '../../schemas/table.ts';
import { LIMITS } from '../config.ts';
import type { Pushed, PushedPart } from '../contract/controls.ts';
import { ApiError, answer } from './answer.ts';
import { piecesOf, type StreamedRequest } from './body.ts';
import type { ApiEnv, Known } from './env.ts';
import type { Piece } from './json-stream.ts';
import { stubOf } from './sources.ts';

const HINT =
  'Send NDJSON (content-type application/x-ndjson), or a JSON object or list (application/json), and the header Idempotency-Key to be able to repeat it.';
const REPEAT_HINT = 'Repeat the request with the same key then; the status of the source says what is wrong with it.';
const KEY_HINT = 'Send 1 to 200 printable ASCII characters, the same ones when the request is repeated.';
/** Set by the append itself. */
const STAMPED = 'updated_at';

/** Why a line was not taken: what was expected of a column, and what it had. Never the value itself. */
interface Rejection {
  line: number;
  column: string | null;
  expected: string;
  actual: string;
}

interface PushRequest extends StreamedRequest {
  query: Record<string, unknown>;
}

/**
 * Takes records that somebody pushes, as they come: one JSON object, a list of them, or one a line. Each is checked
 * against the source's table. What is accepted is in the source's journal; a request repeated under its key adds only
 * what is not.
 */
export async function pushRecords(
  env: ApiEnv,
  known: Known,
  { id, request }: { id: string; request: PushRequest },
): Promise<Response> {
  const stub = stubOf(env, known, id);
  const table = tableOf(known, { id, name: request.query.table });
  const identity = identityOf(request.headers.get('idempotency-key'));
  const push = new Push({ table, identity, send: part => stub.push(part) });
  try {
    for await (const piece of piecesOf(request, HINT)) await push.add(piece);
    await push.flush();
  } catch (error) {
    // Also where the client is gone: what is in stays in, and the same key adds the rest.
    throw error instanceof ApiError ? push.told(error) : error;
  }
  return answer({ source: id, table: table.name, idempotency_key: identity, ...push.result() });
}

type Send = (part: PushedPart) => Promise<Pushed>;

/** One request under way: gathers rows to parts, and counts. */
class Push {
  readonly #table: Table;
  readonly #identity: string;
  readonly #send: Send;
  readonly #reasons: Rejection[] = [];
  #rows: PushedPart['rows'] = [];
  #bytes = 0;
  #accepted = 0;
  #repeated = 0;
  #rejected = 0;

  constructor({ table, identity, send }: { table: Table; identity: string; send: Send }) {
    this.#table = table;
    this.#identity = identity;
    this.#send = send;
  }

  async add({ line, bytes }: Piece): Promise<void> {
    const read = readRecord(this.#table, bytes);
    if ('expected' in read) {
      this.#rejected += 1;
      if (this.#reasons.length < LIMITS.pushRejectedMax) this.#reasons.push({ line, ...read });
      return;
    }
    this.#rows.push({ line, row: read.row });
    this.#bytes += bytes!.length;
    if (this.#bytes >= LIMITS.pushPartBytesMax || this.#rows.length >= LIMITS.pushPartRowsMax) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#rows.length === 0) return;
    const rows = this.#rows;
    this.#rows = [];
    this.#bytes = 0;
    const part = { identity: this.#identity, table: this.#table.name, rows };
    const { refused, accepted, repeated } = await this.#send(part).catch(() => {
      throw new ApiError('conflict', 'The source could not take these rows.', REPEAT_HINT);
    });
    if (refused) throw new ApiError('conflict', refused.message, `${refused.hint} ${REPEAT_HINT}`);
    this.#accepted += accepted;
    this.#repeated += repeated;
  }

  result() {
    const { accepted, repeated, rejected } = {
      accepted: this.#accepted,
      repeated: this.#repeated,
      rejected: this.#rejected,
    };
    return { accepted, repeated, rejected, rejections: this.#reasons };
  }

  /** The error with what was taken before it. */
  told({ code, message, hint }: ApiError): ApiError {
    const { accepted, repeated, rejected } = this.result();
    const counts = `${accepted} accepted, ${repeated} repeated, ${rejected} rejected before it`;
    return new ApiError(code, `${message} (${counts}; idempotency key ${this.#identity})`, hint);
  }
}

function tableOf(known: Known, { id, name }: { id: string; name: unknown }): Table {
  const tables = known.sources.find(source => source.id === id)!.tables;
  const table = name === undefined ? tables[0] : tables.find(candidate => candidate.name === name);
  if (table && (name !== undefined || tables.length === 1)) return table;
  const names = tables.map(candidate => candidate.name).join(', ');
  throw new ApiError('invalid_setting', `table: expected one of ${names}`, `Ask for ?table=<name>.`);
}

function identityOf(given: string | null): string {
  if (given === null) return crypto.randomUUID();
  if (/^[\x21-\x7e]{1,200}$/.test(given)) return given;
  throw new ApiError('invalid_body', 'Idempotency-Key: expected printable ASCII, got something else', KEY_HINT);
}

type Read = { row: Row } | Omit<Rejection, 'line'>;

/** The row of a record: columns it does not name are null. */
function readRecord(table: Table, bytes: Uint8Array | null): Read {
  if (bytes === null) return { column: null, expected: `at most ${LIMITS.pushLineBytesMax} bytes`, actual: 'more' };
  const record = parse(bytes);
  if (typeof record === 'string') return { column: null, expected: 'a JSON object in UTF-8', actual: record };
  const columns = table.columns.filter(({ name }) => !name.startsWith('_'));
  const unknown = Object.keys(record).find(name => !columns.some(column => column.name === name));
  if (unknown !== undefined)
    return { column: unknown.slice(0, 100), expected: `a column of ${table.name}`, actual: 'no such column' };
  const row = Object.fromEntries(columns.map(({ name }) => [name, name === STAMPED ? null : (record[name] ?? null)]));
  const checked = table.validator.safeParse(row);
  if (checked.success) return bytes.length > LIMITS.rowBytesMax ? tooLarge(bytes) : { row: checked.data };
  const [name] = checked.error.issues[0]!.path;
  const column = columns.find(candidate => candidate.name === name);
  return { column: String(name ?? ''), expected: expectedOf(column), actual: kindOf(record[String(name)]) };
}

function tooLarge(bytes: Uint8Array): Read {
  return { column: null, expected: `a row of at most ${LIMITS.rowBytesMax} bytes`, actual: `${bytes.length} bytes` };
}

/** The object a piece is, or what it is instead. */
function parse(bytes: Uint8Array): Record<string, unknown> | string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    return 'invalid UTF-8';
  }
  try {
    const value = JSON.parse(text) as unknown;
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : kindOf(value);
  } catch {
    return 'no JSON';
  }
}

const EXPECTED: Record<Column['type'], string> = {
  utf8: 'text',
  int32: 'a whole number of 32 bits',
  int64: 'a whole number up to 2^53',
  float: 'a number',
  boolean: 'true or false',
};

function expectedOf(column: Column | undefined): string {
  if (!column) return 'another row';
  return `${EXPECTED[column.type]}${column.required ? '' : ' or null'}`;
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return (
    { string: 'text', number: 'another number', boolean: 'true or false', object: 'an object' }[
      typeof value as string
    ] ?? 'another value'
  );
}
