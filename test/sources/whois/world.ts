import { afterEach } from 'vitest';
import { type Loading, runStep } from '../../../src/loader/steps.ts';
import { connect } from '../../../src/local/probe/connect.ts';
import type { Change, Loaded } from '../../../src/ports/change.ts';
import type { Source } from '../../../src/sources/source.ts';
import type { FetcherOptions } from '../../../src/sources/upstream/fetcher.ts';
import {
  startStandIn,
  type WhoisStandIn,
  type WhoisStandInOptions,
} from '../../../src/sources/whois/stand-in/stand-in.ts';
import { whois } from '../../../src/sources/whois/whois.ts';
import { LoaderBucket } from '../../hostile/loader-bucket.ts';
import { load, servers, visitsOf } from '../step.ts';

const open: WhoisStandIn[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map(standIn => standIn.stop()));
});

/** A stand-in for one test, and visits of its domains. */
export interface WhoisWorld {
  standIn: WhoisStandIn;
  settings: ReturnType<typeof whois.settings>;
  change(domain: string, fields?: Partial<Change>): Change;
  visit(domain: string, fields?: Partial<Change>): Promise<Loaded>;
}

/** Starts a stand-in. A request times out when the stand-in holds it, and never otherwise. */
export async function worldOf(
  env: Record<string, unknown> = {},
  options: Omit<WhoisStandInOptions, 'onHold'> = {},
): Promise<WhoisWorld> {
  const due = new Set<() => void>();
  const timer: FetcherOptions['timer'] = (_ms, call) => {
    due.add(call);
    return () => due.delete(call);
  };
  const onHold = () => {
    for (const call of due) call();
  };
  const standIn = await startStandIn({ ...options, onHold });
  open.push(standIn);
  const settings = whois.settings({ ...standIn.settings, ...env });
  const known = await servers(whois, settings);
  const change = (domain: string, fields: Partial<Change> = {}) => ({
    ...visitsOf(whois, [domain], known)[0]!,
    ...fields,
  });
  return {
    standIn,
    settings,
    change,
    visit: (domain, fields) => load(whois, settings, change(domain, fields), { timer }),
  };
}

/** A Loader with a bucket in memory; every host gets its permit at once. */
export function loadingOf({ settings }: Pick<WhoisWorld, 'settings'>): Loading & { bucket: LoaderBucket } {
  return {
    source: whois as unknown as Source,
    settings,
    contact: 'tests',
    bucket: new LoaderBucket(),
    connect,
    permit: async host => ({ host, count: 1, startAtMs: 0, intervalMs: 0 }),
    now: () => Date.now(),
  };
}

/** One Loader call for some visits, with a request every `intervalMs` to each host. */
export function loadAll(
  loading: Loading,
  changes: Change[],
  { ms = 60_000, intervalMs = 0 }: { ms?: number; intervalMs?: number } = {},
) {
  const startAtMs = Date.now();
  const requests = Object.entries(loading.source.requests('load', changes, loading.settings));
  return runStep(loading, 'load', {
    changes,
    prepared: null,
    afresh: true,
    large: false,
    permits: requests.map(([host, count]) => ({ host, count, startAtMs, intervalMs })),
    budgetBytes: 6 * 1024 * 1024,
    knownBytes: changes.map(() => 1),
    rowBytesMax: 8 * 1024 * 1024,
    deadlineAtMs: startAtMs + ms,
  });
}
