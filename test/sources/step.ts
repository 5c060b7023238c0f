import type { HostTally } from '../../src/engine/ports.ts';
import { createFetcher } from '../../src/sources/http.ts';
import type { Change, LoadContext, Source } from '../../src/sources/source.ts';

/** Does one step of a source as the Loader does it: over HTTP, with no more permits than the source says it needs. */
export async function runStep<S, P, T>(
  source: Source<S, P>,
  {
    settings,
    step,
    changes = [],
    prepared = null,
    afresh = false,
  }: {
    settings: S;
    step: 'pull' | 'prepare' | 'load' | 'list';
    changes?: Change[];
    prepared?: P | null;
    afresh?: boolean;
  },
  work: (ctx: LoadContext<S, P>) => Promise<T>,
): Promise<{ value: T; tallies: HostTally[] }> {
  const asks = source.requests(step, changes, settings);
  const permits = Object.entries(asks).map(([host, count]) => ({ host, count, startAtMs: 0, intervalMs: 0 }));
  const { fetchJson, fetchRaw, fetchDocument, askText, tallies } = createFetcher({
    contact: 'tests',
    permits,
    deadlineAtMs: Date.now() + 60_000,
    retryMsMin: 1,
  });
  const value = await work({
    settings,
    nowMs: Date.now(),
    prepared,
    afresh,
    fetchJson,
    fetchRaw,
    fetchDocument,
    askText,
  });
  return { value, tallies: tallies() };
}

/** Pulls one page. */
export async function pull<S, P>(source: Source<S, P>, settings: S, cursor: string, poll = 0) {
  return (await runStep(source, { settings, step: 'pull' }, ctx => source.pull!({ cursor, poll }, ctx))).value;
}

/** Pulls pages from a cursor to the head and gives their changes. */
export async function pullAll<S, P>(source: Source<S, P>, settings: S, cursor: string): Promise<Change[]> {
  const changes: Change[] = [];
  for (let from = cursor; ; ) {
    const page = await pull(source, settings, from);
    changes.push(...page.changes);
    if (page.atHead) return changes;
    from = page.cursor;
  }
}

/** Loads one change. */
export async function load<S, P>(
  source: Source<S, P>,
  settings: S,
  change: Change,
  { prepared = null, afresh = false }: { prepared?: P | null; afresh?: boolean } = {},
) {
  const options = { settings, changes: [change], prepared, afresh };
  return (await runStep(source, { ...options, step: 'load' }, ctx => source.load(change, ctx))).value;
}
