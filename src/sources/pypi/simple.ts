import { joinBytes } from '../../bytes.ts';
import { ChangeError } from '../../errors.ts';
import { LIMITS } from '../../limits.ts';
import type { Body, SourceContext } from '../source.ts';
import { isObject, notJsonFault, parseJson, wrongShape } from '../upstream/json.ts';
import { endOfText } from '../upstream/json-values.ts';
import type { PypiSettings } from './settings.ts';

/** The JSON form of the simple index (PEP 691). Without it the answer is HTML. */
export const SIMPLE_JSON = 'application/vnd.pypi.simple.v1+json';

/**
 * A page has about 700 bytes for each file. Those of a few projects with over 5,000 files are longer and stay unread,
 * because several pages are in memory at once.
 */
const PAGE_BYTES_MAX = LIMITS.documentBytesLarge;

/** Values of a page without its lists. There are ten; a tree of many would fill memory. */
const VALUES_MAX = 1000;

/** Lists of a page: files and versions, and any that an index adds. */
const LISTS_MAX = 100;

const SUBJECT = 'pypi simple';

const PLACEHOLDER = new TextEncoder().encode('[0]');

const [QUOTE, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT, SPACE] = new TextEncoder().encode('"[]{} ');

/** What the simple index says of one project. */
export interface SimplePage {
  /** `active`, `archived` or `quarantined` (PEP 792). */
  status: string;
  hasFiles: boolean;
  /** As `last_serial` of a document. */
  serial: number | null;
}

/** Asks the simple index for one project. Throws `ChangeError`, with status 404 where the index does not list it. */
export async function fetchSimplePage(
  key: string,
  { settings, fetchRaw }: SourceContext<PypiSettings>,
): Promise<SimplePage> {
  const answer = await fetchRaw(`${settings.indexUrl}/simple/${key}/`, {
    subject: SUBJECT,
    headers: { accept: SIMPLE_JSON },
    bytesMax: PAGE_BYTES_MAX,
    read: (body: Body) => readSimplePage(body, key),
  });
  return answer.value;
}

/** Reads a page without its lists of files and versions, whose tree would be many times as large as the rest. */
export function readSimplePage(body: Pick<Body, 'bytes' | 'contentType'>, key: string): SimplePage {
  const page = parseOutline(body);
  if (!isObject(page)) throw wrongShape(SUBJECT, { path: [], expected: 'an object', value: page });
  const { name, meta, files, 'project-status': given } = page;
  if (name !== key)
    throw new ChangeError('name-mismatch', `${SUBJECT}: expected name to be the requested project, got another`);
  if (!Array.isArray(files)) throw wrongShape(SUBJECT, { path: ['files'], expected: 'a list', value: page });
  const status = isObject(given) ? given.status : undefined;
  if (given !== undefined && typeof status !== 'string')
    throw wrongShape(SUBJECT, { path: ['project-status', 'status'], expected: 'text', value: page });
  const serial = isObject(meta) ? meta['_last-serial'] : null;
  return {
    // An index from before there was a status has only active projects.
    status: typeof status === 'string' ? status : 'active',
    hasFiles: files.length > 0,
    serial: Number.isSafeInteger(serial) ? (serial as number) : null,
  };
}

/** The page as JSON, with `[0]` in place of each list in it that is not empty. Throws for an answer that is no JSON. */
function parseOutline({ bytes, contentType }: Pick<Body, 'bytes' | 'contentType'>): unknown {
  const notJson = notJsonFault(SUBJECT, { bytes, contentType });
  if (notJson) throw notJson;
  const { spans, isWhole } = listsIn(bytes);
  if (!isWhole) throw new ChangeError('truncated', `${SUBJECT}: expected JSON, got its beginning`);
  if (spans.length > LISTS_MAX)
    throw new ChangeError('wrong-shape', `${SUBJECT}: expected at most ${LISTS_MAX} lists, got more`);
  const parts: Uint8Array[] = [];
  let from = 0;
  for (const { start, end } of spans) {
    parts.push(bytes.subarray(from, start), PLACEHOLDER);
    from = end;
  }
  const outline = joinBytes([...parts, bytes.subarray(from)]);
  return parseJson(SUBJECT, { bytes: outline, contentType, encoded: false }, VALUES_MAX);
}

/** The lists of the page that are not empty, up to one too many, and whether every bracket is closed. It only counts brackets. */
function listsIn(bytes: Uint8Array): { spans: { start: number; end: number }[]; isWhole: boolean } {
  const spans: { start: number; end: number }[] = [];
  let depth = 0;
  let start = -1;
  let at = 0;
  let isBlank = true;
  for (; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte > SPACE! && byte !== CLOSE_LIST) isBlank = false;
    if (byte === QUOTE) at = endOfText(bytes, at) - 1;
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      depth += 1;
      if (depth === 2) [start, isBlank] = [byte === OPEN_LIST ? at : -1, true];
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
      depth -= 1;
      if (depth === 1 && start >= 0 && !isBlank && spans.length <= LISTS_MAX) spans.push({ start, end: at + 1 });
      if (depth === 1) start = -1;
    }
  }
  return { spans, isWhole: depth === 0 };
}
