import { ChangeError, CursorError, StepError } from '../../errors.ts';
import { LIMITS, MiB } from '../../limits.ts';
import type { Change, Page } from '../../ports/change.ts';
import type { Body, Refusal, SourceContext } from '../source.ts';
import { type FeedRow, PageChanges } from './changes.ts';
import { feedHostOf, type PypiSettings } from './settings.ts';
import { decodeReferences, readXmlRpc, type XmlRpcAnswer, type XmlRpcValue } from './xml-rpc.ts';

/**
 * A full page of 50,000 rows has about 14 MB, and one of nothing but long names of files 18 MB. The limit is above both,
 * because the feed takes none for a page: one that is refused would be refused again for good.
 */
const PAGE_BYTES_MAX = 24 * MiB;

/** A page without rows, or one number, has 300 bytes. */
const HEAD_BYTES_MAX = 64 * 1024;

/** Characters of a fault's text in a message: they are the index's words, and the longest known has 150. */
const FAULT_LENGTH_MAX = 200;

type Context = SourceContext<PypiSettings>;

/** The rows of a page as changes, and the serial of the last one; null where the page has no rows. */
interface Rows {
  changes: Change[];
  last: number | null;
}

/** The page of rows after a serial. */
export async function fetchPage(cursor: string, ctx: Context): Promise<Page> {
  const { changes, last } = await call('changelog_since_serial', {
    ...ctx,
    subject: 'pypi page',
    parameter: cursor,
    bytesMax: PAGE_BYTES_MAX,
    read: bytes => readRows(bytes, Number(cursor)),
  });
  // A page that is not full ends at the head. Of an empty one only the head says whether the numbering began anew.
  const atHead = changes.length < ctx.settings.pageRows;
  const head = !atHead ? null : (last ?? (await fetchHead(ctx).catch(nullUnlessOurFault)));
  return {
    changes,
    cursor: String(last ?? Number(cursor)),
    head: head === null ? null : String(head),
    atHead,
    belowCursor: head !== null && head < Number(cursor),
  };
}

/** The serial of the feed's newest row. */
export async function fetchHead(ctx: Context): Promise<number> {
  return call('changelog_last_serial', {
    ...ctx,
    subject: 'pypi head',
    parameter: null,
    bytesMax: HEAD_BYTES_MAX,
    read(bytes) {
      const head = answerValue('pypi head', readXmlRpc('pypi head', bytes));
      if (isSerial(head)) return head;
      throw new ChangeError('wrong-shape', `pypi head: expected the answer to be a serial, got ${kindOf(head)}`);
    },
  });
}

interface Call<T> extends Context {
  subject: string;
  parameter: string | null;
  bytesMax: number;
  read: (bytes: Uint8Array) => T;
}

async function call<T>(
  method: string,
  { subject, parameter, bytesMax, read, settings, fetchRaw }: Call<T>,
): Promise<T> {
  // The index takes a serial as a number only.
  const value = parameter === null ? '' : `<param><value><int>${parameter}</int></value></param>`;
  const body = `<?xml version='1.0'?>\n<methodCall><methodName>${method}</methodName><params>${value}</params></methodCall>\n`;
  const answer = await fetchRaw(settings.feedUrl, {
    subject,
    // Without this type the index takes the request for one of its web pages.
    post: { body, contentType: 'text/xml' },
    permitHost: feedHostOf(settings),
    bytesMax,
    checkRefusal: refusal => checkEndpoint(subject, refusal),
    read: ({ bytes }: Body) => read(bytes),
  });
  return answer.value;
}

/** Reads the rows of a page as changes. Throws for an answer that is no page, and for rows whose serials do not rise. */
export function readRows(bytes: Uint8Array, cursor: number): Rows {
  const subject = 'pypi page';
  const page = new PageChanges();
  let last = cursor;
  const answer = readXmlRpc(subject, bytes, (item, index) => {
    const row = rowOf(item, index);
    if (row.serial <= last)
      throw wrongRow(index, { part: ' serial', expected: `above ${last}`, actual: String(row.serial) });
    last = row.serial;
    page.add(row);
  });
  const rows = answerValue(subject, answer);
  if (!Array.isArray(rows))
    throw new ChangeError('wrong-shape', `${subject}: expected rows to be a list, got ${kindOf(rows)}`);
  return { changes: page.changes, last: page.changes.length === 0 ? null : last };
}

/** A row `(name, version, time, action, serial)`. Throws `wrong-shape` for any other value. */
function rowOf(item: XmlRpcValue, index: number): FeedRow {
  if (!Array.isArray(item)) throw wrongRow(index, { part: '', expected: 'a list', actual: kindOf(item) });
  if (item.length !== 5)
    throw wrongRow(index, { part: '', expected: 'a list of 5 values', actual: `one of ${item.length}` });
  const [name, version, , action, serial] = item;
  if (!isSerial(serial))
    throw wrongRow(index, { part: ' serial', expected: 'a whole number below 2^53', actual: kindOf(serial) });
  return {
    name: textOf(name, { index, part: ' name' }),
    version: textOf(version, { index, part: ' version' }),
    // The index replaces characters outside ASCII by references before it makes XML, and of actions only.
    action: mapText(textOf(action, { index, part: ' action' }), decodeReferences),
    serial,
  };
}

function textOf(value: XmlRpcValue | undefined, { index, part }: { index: number; part: string }): string | null {
  if (typeof value === 'string' || value === null) return value;
  throw wrongRow(index, { part, expected: 'text or nothing', actual: kindOf(value) });
}

function mapText(text: string | null, map: (text: string) => string): string | null {
  return text === null ? null : map(text);
}

function wrongRow(
  index: number,
  { part, expected, actual }: { part: string; expected: string; actual: string },
): ChangeError {
  return new ChangeError('wrong-shape', `pypi page: expected rows[${index}]${part} to be ${expected}, got ${actual}`);
}

/** The value of an answer. Throws for a fault, which comes with status 200. */
function answerValue(subject: string, answer: XmlRpcAnswer): XmlRpcValue {
  if (!('fault' in answer)) return answer.value;
  const { code, text } = answer.fault;
  const message = `${subject}: expected an answer, got fault ${code}: ${text.slice(0, FAULT_LENGTH_MAX)}`;
  const status = statusOf(code, text);
  if (status !== null) {
    const seconds = status === 429 ? Number(/reset in (\d{1,9}) seconds?/.exec(text)?.[1] ?? Number.NaN) : Number.NaN;
    const retryAfterMs = Number.isNaN(seconds) ? null : Math.min(seconds * 1000, LIMITS.retryAfterMsMax);
    throw new ChangeError(`http-${status}`, message, { status, retryAfterMs });
  }
  // Of the two methods only one has a parameter, and that is the cursor.
  if (code === INVALID_PARAMETER) throw new CursorError(message);
  throw new ChangeError('wrong-shape', message);
}

const INVALID_PARAMETER = -32602;

/** The HTTP status that says the same as a fault; null where none does. */
function statusOf(code: number | null, text: string): number | null {
  if (code === -32500) return text.startsWith('HTTPTooManyRequests') ? 429 : 500;
  return code === -32403 ? 503 : null;
}

/** Throws where there is no feed at the address, as at a mirror, which has only documents. */
function checkEndpoint(subject: string, { status }: Refusal): void {
  if (status !== 404 && status !== 405) return;
  throw new ChangeError(
    `http-${status}`,
    `${subject}: expected PYPI_FEED_URL to name an index with a feed (XML-RPC), got status ${status}; a mirror has none`,
    { status },
  );
}

/** A page is valid without a head, so a head that the index does not give is null. Rethrows our own faults. */
function nullUnlessOurFault(error: unknown): null {
  if (error instanceof ChangeError || (error instanceof StepError && error.kind === 'deadline')) return null;
  throw error;
}

function isSerial(value: XmlRpcValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function kindOf(value: XmlRpcValue | undefined): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Map) return 'a struct';
  if (typeof value === 'number') return Number.isSafeInteger(value) ? 'a number' : 'a larger number';
  return typeof value === 'string' ? 'text' : 'true or false';
}
