import { createHash } from 'node:crypto';
import type { Answer, Faults } from '../../stand-in/faults.ts';
import type { Sent } from '../../stand-in/server.ts';
import { type DownloadsTable, downloadsAnswer } from './downloads.ts';
import type { Feed } from './feed.ts';
import { feedAnswer, readFeedPath } from './feed-api.ts';
import type { Projects } from './projects.ts';
import type { RateLimit } from './rate-limit.ts';
import { keyOf } from './recordings.ts';
import { SIMPLE_JSON, simpleIndex, simpleProject } from './simple.ts';
import { tooManyRequests } from './xml-rpc.ts';

/** All that the stand-in answers from. */
export interface Index {
  feed: Feed;
  projects: Projects;
  faults: Faults;
  limit: RateLimit;
  /** The most rows of a page. */
  pageRows: number;
  downloads: DownloadsTable;
  /** The simple index in the CDN, by the form asked for; null while the CDN has none. */
  cachedIndex: Map<boolean, Answer> | null;
  origin(): string;
}

export const DOWNLOADS_PATH = '/clickhouse/';

/** Replaces the feed's path in the list of faults, because its path is the beginning of the documents' paths. */
const FEED_TARGET = '/feed:';

const DOCUMENT = /^\/pypi\/([^/]+)\/json$/;
const SIMPLE = /^\/simple\/([^/]+)\/$/;

/** A target of faults as the list of faults has it: a key, a path, or the mark of the feed. */
export function faultTarget(target: string): string {
  if (!target.startsWith('/')) return keyOf(target);
  return readFeedPath(target) ? FEED_TARGET : target;
}

/** Answers a request: with the next fault of its project or path, else as the index does. */
export function answerTo(index: Index, url: URL, sent: Sent): Answer {
  const { faults } = index;
  const feedPath = readFeedPath(url.pathname);
  const name = nameIn(url.pathname);
  if (name === undefined) return textAnswer(400, 'Bad Request');
  const failedBefore = faults.failed();
  const path = feedPath ? FEED_TARGET : url.pathname;
  const fault = faults.next({ path, name: name === null ? null : keyOf(name) });
  // The feed throttles with status 200.
  const isChance = faults.failed() > failedBefore;
  if (isChance && feedPath && fault?.status === 429) return tooManyRequests(1);
  if (fault?.status !== undefined) return fault;
  if (!feedPath) return { ...usualAnswer(index, { url, sent, name }), ...fault };
  const { feed, limit, pageRows } = index;
  const rows = feedPath.pageRows ?? pageRows;
  return { ...feedAnswer(sent, { feed, limit, pageRows: rows, nowMs: Date.now() }), ...fault };
}

function usualAnswer(index: Index, { url, sent, name }: { url: URL; sent: Sent; name: string | null }): Answer {
  const { pathname, searchParams } = url;
  if (pathname === DOWNLOADS_PATH) {
    if (sent.method !== 'POST') return textAnswer(400, 'expected a query in the body of a POST');
    const format = searchParams.get('default_format');
    return downloadsAnswer(sent.body.toString(), Object.assign({ format }, index.downloads));
  }
  if (sent.method !== 'GET' && sent.method !== 'HEAD') return textAnswer(405, '405 Method Not Allowed');
  const accept = sent.headers.accept ?? '';
  if (pathname === '/simple/') return indexAnswer(index, accept);
  if (name === null) return textAnswer(404, '404 Not Found');
  return SIMPLE.test(pathname) ? simpleAnswer(index, { name, accept }) : documentAnswer(index, name);
}

function indexAnswer({ projects, feed, cachedIndex }: Index, accept: string): Answer {
  const isJson = accept.includes(SIMPLE_JSON);
  const answer = cachedIndex?.get(isJson) ?? simpleIndex(projects, { serial: feed.lastSerial(), accept });
  cachedIndex?.set(isJson, answer);
  return answer;
}

function documentAnswer({ projects }: Index, name: string): Answer {
  const project = projects.find(name);
  const version = project ? projects.served(project) : null;
  if (!project || version?.presence !== 'present') return { status: 404, body: '{"message": "Not Found"}' };
  if (name !== project.key) return moved(`/pypi/${project.key}/json`);
  const { bytes, serial } = projects.body(project, version);
  const etag = `"${createHash('md5').update(bytes).digest('base64').slice(0, 22)}"`;
  const headers = { 'cache-control': 'max-age=900, public', etag, 'x-pypi-last-serial': String(serial) };
  return { status: 200, headers, body: bytes };
}

function simpleAnswer({ projects, origin }: Index, { name, accept }: { name: string; accept: string }): Answer {
  const project = projects.find(name);
  const version = project ? projects.served(project) : null;
  if (!project || version === null || version.presence === 'absent') return textAnswer(404, '404 Not Found');
  if (name !== project.key) return moved(`/simple/${project.key}/`);
  const serial = projects.serialOf(project, version);
  return simpleProject(project, { version, serial, accept, origin: origin() });
}

/** The name in the path of a document or of a project's page, null in another path, undefined where it is badly encoded. */
function nameIn(pathname: string): string | null | undefined {
  const encoded = DOCUMENT.exec(pathname)?.[1] ?? SIMPLE.exec(pathname)?.[1];
  if (encoded === undefined) return null;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

function moved(location: string): Answer {
  return { status: 301, headers: { location, 'content-type': 'text/plain; charset=UTF-8' }, body: '' };
}

function textAnswer(status: number, body: string): Answer {
  return { status, headers: { 'content-type': 'text/plain; charset=UTF-8' }, body };
}
