import type { Answer } from '../../stand-in/faults.ts';
import type { Sent } from '../../stand-in/server.ts';
import type { Feed } from './feed.ts';
import type { RateLimit } from './rate-limit.ts';
import { feedFault, numberXml, pageXml, readCall, tooManyRequests, XML } from './xml-rpc.ts';

/** The paths of the feed. `/rows-<n>` before them gives pages of so many rows, for a test that needs several sizes. */
const FEED_PATH = /^(?:\/rows-(\d+))?\/(?:pypi\/?|RPC2)$/;

/** Methods that the index had once. */
const REMOVED = [
  'changelog',
  'list_packages',
  'package_releases',
  'release_data',
  'release_urls',
  'search',
  'top_packages',
];

/** Whether a request is for the feed, and how many rows its page may have; null where it is for something else. */
export function readFeedPath(pathname: string): { pageRows: number | null } | null {
  const found = FEED_PATH.exec(pathname);
  return found && { pageRows: found[1] === undefined ? null : Number(found[1]) };
}

/** Answers a call of the feed. A refusal has status 200; only a request that is no XML gets a page of the web site. */
export function feedAnswer(
  { method, headers, body }: Sent,
  { feed, limit, pageRows, nowMs }: { feed: Feed; limit: RateLimit; pageRows: number; nowMs: number },
): Answer {
  const isCall = method === 'POST' && /text\/xml/.test(headers['content-type'] ?? '');
  if (!isCall) return { status: 404, headers: { 'content-type': 'text/html; charset=UTF-8' }, body: NOT_FOUND };
  const hit = limit.hit(nowMs);
  const answer = hit.retrySeconds === null ? callAnswer(body, { feed, pageRows }) : tooManyRequests(hit.retrySeconds);
  return { ...answer, headers: { ...answer.headers, ...hit.headers } };
}

const NOT_FOUND = '<!DOCTYPE html>\n<html><head><title>Page Not Found (404)</title></head><body></body></html>\n';

function callAnswer(body: Buffer, { feed, pageRows }: { feed: Feed; pageRows: number }): Answer {
  const call = readCall(body.toString());
  if (call === null) return feedFault(-32700, 'parse error; not well formed');
  if (call.method === 'changelog_last_serial') {
    if (call.arguments.length > 0) return feedFault(-32602, 'client error; Unexpected positional argument');
    return { headers: XML, body: numberXml(feed.lastSerial()) };
  }
  if (call.method === 'changelog_since_serial') {
    const [serial, ...more] = call.arguments;
    if (serial === undefined) return feedFault(-32602, 'client error; serial: Missing required argument');
    if (more.length > 0) return feedFault(-32602, 'client error; Unexpected positional argument');
    const isInteger = (serial.type === 'int' || serial.type === 'i4') && /^\s*[+-]?\d+\s*$/.test(serial.text);
    if (!isInteger) return feedFault(-32602, 'client error; serial: Input should be a valid integer');
    return { headers: XML, body: pageXml(feed.after(Number(serial.text), pageRows)) };
  }
  if (call.method === 'system.multicall')
    return feedFault(-32500, 'ValueError: MultiCall requests have been deprecated');
  if (REMOVED.includes(call.method)) return feedFault(-32500, `RuntimeError: ${call.method} is no longer supported`);
  return feedFault(-32601, 'server error; requested method not found');
}
