import { z } from 'zod';
import { ChangeError } from '../../../errors.ts';
import type { Servers } from '../../../ports/change.ts';
import type { SourceContext } from '../../source.ts';
import { mayName } from '../../upstream/named-hosts.ts';

const HOUR = 3_600_000;

/** Bounds of the freshness that IANA sends, and a day if it sends none, because the list changes about daily. */
const FRESH_MS = { min: 1 * HOUR, default: 24 * HOUR, max: 7 * 24 * HOUR };

/**
 * JSON of the list as it is kept: ten times IANA's of 2026, and less than SQLite's 2 MB for a value. A service may repeat
 * one long address for thousands of name spaces, so the size of the answer does not bound it.
 */
const LIST_LENGTH_MAX = 1_000_000;

/** An `etag` that is longer is not kept, and the list is asked for without it. */
const ETAG_LENGTH_MAX = 1_000;

/** Each service is a list of name spaces and a list of base URLs (RFC 9224, section 4). */
const bootstrapShape = z.looseObject({
  services: z.array(z.tuple([z.array(z.string()), z.array(z.string())]).rest(z.unknown())),
});

/**
 * The base URL of each name space's RDAP server, with a slash at its end; the known ones if IANA answers 304. Throws
 * `ChangeError`, also for a list without servers (`wrong-shape`), so that a broken list never replaces a good one.
 */
export async function fetchServers<S>(known: Servers | null, url: string, ctx: SourceContext<S>): Promise<Servers> {
  const headers: Record<string, string> = known?.etag ? { 'if-none-match': known.etag } : {};
  try {
    const options = { subject: 'rdap bootstrap', shape: bootstrapShape, headers, bytesMax: LIST_LENGTH_MAX };
    const { json, etag, freshMs } = await ctx.fetchJson(url, options);
    const servers = serversOf(json.services, url);
    if (Object.keys(servers).length === 0)
      throw new ChangeError('wrong-shape', 'rdap bootstrap: expected servers, got none');
    return {
      servers,
      etag: etag !== null && etag.length <= ETAG_LENGTH_MAX ? etag : null,
      freshUntilMs: freshUntil(freshMs, ctx.nowMs),
    };
  } catch (error) {
    if (!known || !(error instanceof ChangeError) || error.status !== 304) throw error;
    return { ...known, freshUntilMs: freshUntil(null, ctx.nowMs) };
  }
}

/** The server of the longest suffix of a name space that has one (RFC 9224, section 4); null if none has. */
export function longestMatch(space: string, servers: Record<string, string>): string | null {
  for (let suffix = space; suffix !== ''; suffix = suffix.includes('.') ? suffix.slice(suffix.indexOf('.') + 1) : '') {
    if (Object.hasOwn(servers, suffix)) return servers[suffix]!;
  }
  return null;
}

/** Each name space's server, unless the list at `from` may not name it. */
function serversOf(services: z.output<typeof bootstrapShape>['services'], from: string): Record<string, string> {
  const servers: [string, string][] = [];
  let length = 0;
  for (const [spaces, urls] of services) {
    const usable = urls.filter(url => mayName(from, url));
    const url = usable.find(candidate => candidate.startsWith('https:')) ?? usable[0];
    if (!url) continue;
    length += spaces.reduce((sum, space) => sum + space.length + url.length + 8, 0);
    if (length > LIST_LENGTH_MAX)
      throw new ChangeError('wrong-shape', `rdap bootstrap: expected at most ${LIST_LENGTH_MAX} characters, got more`);
    for (const space of spaces) servers.push([space.toLowerCase(), url.endsWith('/') ? url : `${url}/`]);
  }
  return Object.fromEntries(servers);
}

function freshUntil(freshMs: number | null, nowMs: number): number {
  return nowMs + Math.min(Math.max(freshMs ?? FRESH_MS.default, FRESH_MS.min), FRESH_MS.max);
}
