import type { Column } from '../../schemas/column.ts';
import type { Row, Table } from '../../schemas/table.ts';
import type { PushPart, PushResult } from '../contract/push.ts';
import { isNestedTooDeep, JSON_DEPTH_MAX } from '../json-depth.ts';
import { LIMITS, MiB } from '../limits.ts';
import { ApiError, answer } from './answer.ts';
import { piecesOf } from './body.ts';
import type { ApiCall } from './env.ts';
import { invalid } from './fields.ts';
import type { Piece } from './json-stream.ts';
import { sourceOf } from './sources.ts';

/** Pushed rows go to the object in parts of at most so many bytes and rows: each is one transaction, and far below the 32 MiB of one call. */
const PUSH_PART_BYTES_MAX = 4 * MiB;
const PUSH_PART_ROWS_MAX = 2_000;
/** Rejected lines that an answer lists. */
const PUSH_REJECTED_MAX = 20;

const HINT =
  'Send NDJSON (content-type application/x-ndjson), or a JSON object or list (application/json). The header Idempotency-Key makes the request safe to repeat.';
const REPEAT_HINT = 'Repeat the request with the same key later; the status of the source says what is wrong with it.';
const KEY_HINT = 'Send 1 to 200 printable ASCII characters, the same ones when the request is repeated.';
/** The append sets this column. */
const SET_BY_APPEND = 'updated_at';

/** Why a line was rejected: what its column should hold, and the kind of value it holds. Never the value. */
interface Rejection {
  line: number;
  column: string | null;
  expected: string;
  actual: string;
}

/**
 * Appends records of a request: one JSON object, a list of them, or one a line. Each is checked against the source's
 * table. An accepted record is in the source's journal; a request that is repeated under its key adds only the records
 * that are missing there.
 */
export async function pushRecords(call: ApiCall): Promise<Response> {
  const { known, request } = call;
  const { id, stub } = sourceOf(call);
  const table = tableOf(known.sources.find(source => source.id === id)!.tables, request.query.table);
  const identity = identityOf(request.headers.get('idempotency-key'));
  const push = new Push({ table, identity, send: part => stub.push(part) });
  try {
    for await (const piece of piecesOf(request, HINT)) await push.add(piece);
    await push.flush();
  } catch (error) {
    // The accepted parts stay accepted, also when the client broke off: the same key adds the rest.
    throw error instanceof ApiError ? push.withCounts(error) : error;
  }
  return answer({ source: id, table: table.name, idempotency_key: identity, ...push.result() });
}

type Send = (part: PushPart) => Promise<PushResult>;

/** One request: gathers its rows into parts, sends them to the source's object, and counts. */
class Push {
  readonly #table: Table;
  readonly #identity: string;
  readonly #send: Send;
  readonly #rejections: Rejection[] = [];
  #rows: PushPart['rows'] = [];
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
      if (this.#rejections.length < PUSH_REJECTED_MAX) this.#rejections.push({ line, ...read });
      return;
    }
    this.#rows.push({ line, row: read.row });
    this.#bytes += bytes!.length;
    if (this.#bytes >= PUSH_PART_BYTES_MAX || this.#rows.length >= PUSH_PART_ROWS_MAX) await this.flush();
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
    if (refused) throw new ApiError('conflict', refused.message, hintOf(refused));
    this.#accepted += accepted;
    this.#repeated += repeated;
  }

  result() {
    return {
      accepted: this.#accepted,
      repeated: this.#repeated,
      rejected: this.#rejected,
      rejections: this.#rejections,
    };
  }

  /** Adds to an error what was counted before it. */
  withCounts({ code, message, hint }: ApiError): ApiError {
    const { accepted, repeated, rejected } = this.result();
    const counts = `${accepted} accepted, ${repeated} repeated, ${rejected} rejected before it`;
    return new ApiError(code, `${message} (${counts}; idempotency key ${this.#identity})`, hint);
  }
}

/** The table that the query names; without a name, the only table of the source. */
function tableOf(tables: readonly Table[], name: unknown): Table {
  const table = name === undefined ? tables[0] : tables.find(candidate => candidate.name === name);
  if (table && (name !== undefined || tables.length === 1)) return table;
  const names = tables.map(candidate => candidate.name).join(', ');
  throw invalid(name, `one of ${names}`, { name: 'table', code: 'invalid_setting', hint: 'Use ?table=<name>.' });
}

function identityOf(given: string | null): string {
  if (given === null) return crypto.randomUUID();
  if (/^[\x21-\x7e]{1,200}$/.test(given)) return given;
  throw new ApiError('invalid_body', 'Idempotency-Key: expected printable ASCII, got something else', KEY_HINT);
}

function hintOf({ hint, isFinal = false }: NonNullable<PushResult['refused']>): string {
  return isFinal ? hint : `${hint} ${REPEAT_HINT}`;
}

type ReadRecord = { row: Row } | Omit<Rejection, 'line'>;

/** Turns a record into a row: a column that the record does not name is null. */
function readRecord(table: Table, bytes: Uint8Array | null): ReadRecord {
  if (bytes === null) return { column: null, expected: `at most ${LIMITS.pushLineBytesMax} bytes`, actual: 'more' };
  const record = parse(bytes);
  if (typeof record === 'string') return { column: null, expected: 'a JSON object in UTF-8', actual: record };
  const columns = table.columns.filter(({ name }) => !name.startsWith('_'));
  const unknown = Object.keys(record).find(name => !columns.some(column => column.name === name));
  if (unknown !== undefined)
    return { column: unknown.slice(0, 100), expected: `a column of ${table.name}`, actual: 'no such column' };
  const row = Object.fromEntries(
    columns.map(({ name }) => [name, name === SET_BY_APPEND ? null : (record[name] ?? null)]),
  );
  const checked = table.validator.safeParse(row);
  const deep = columns.find(({ name }) => typeof row[name] === 'string' && isNestedTooDeep(row[name]));
  if (checked.success && deep)
    return { column: deep.name, expected: `JSON at most ${JSON_DEPTH_MAX} deep`, actual: 'JSON nested deeper' };
  if (checked.success) return bytes.length > LIMITS.rowBytesMax ? tooLarge(bytes) : { row: checked.data };
  const [name] = checked.error.issues[0]!.path;
  const column = columns.find(candidate => candidate.name === name);
  return { column: String(name ?? ''), expected: expectedOf(column), actual: kindOf(record[String(name)]) };
}

function tooLarge(bytes: Uint8Array): ReadRecord {
  return { column: null, expected: `a row of at most ${LIMITS.rowBytesMax} bytes`, actual: `${bytes.length} bytes` };
}

/** The JSON object of a piece; for anything else, words for what it is. */
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
