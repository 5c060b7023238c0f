import type { AgendaRules, EngineSource } from '../ports/source.ts';
import { countCursor } from './count-cursor.ts';
import type { Agenda, Source } from './source.ts';

/** The cursor of an agenda counts the accepted visits, and it can resume at each. */
const VISITS = { ...countCursor({ subject: 'agenda cursor', expected: 'a count of visits' }), resumable: true };

/** Of a source without settings. It is not enabled, so it asks no host. */
const UNSET_PACE = { pollMs: 60_000, settleMs: 0, hosts: { unset: { requestsPerSecond: 1, burst: 1 } } };

/**
 * What the engine knows of a source with these settings; with null it knows the source's tables and keys only.
 * `feeding`: the sources whose tables feed it.
 */
export function engineSourceOf<S>(source: Source<S>, settings: S | null, feeding: string[] = []): EngineSource {
  const { id, tables, feed, documentBytes = null } = source;
  const agenda = source.agenda ? { ...source.agenda, next: bindNext(source.agenda, settings) } : null;
  const { others, ...pace }: ReturnType<Source<S>['pace']> = settings === null ? UNSET_PACE : source.pace(settings);
  const { resumable, compare, parse } = feed ?? VISITS;
  const requests: EngineSource['requests'] = (step, changes) =>
    settings === null ? {} : source.requests(step, changes, settings);
  const inlets = (source.agenda?.inlets ?? []).filter(inlet => feeding.includes(inlet.source));
  const probeKeysMax = source.agenda?.probe?.keysMax ?? null;
  const listsWhole = feed?.listing !== undefined;
  const can = {
    probeKeysMax,
    prepares: source.prepare !== undefined,
    lists: listsWhole || feed?.list !== undefined,
    listsWhole,
    roundMs: feed?.round?.everyMs ?? null,
  };
  return {
    id,
    tables,
    resumable,
    compare,
    parse,
    agenda,
    documentBytes,
    ...pace,
    others: others ?? null,
    inlets,
    requests,
    ...can,
  };
}

/** Of a source without settings, a visit may still be accepted that an earlier run began: its key is due when it goes on. */
function bindNext<S>(agenda: Agenda<S>, settings: S | null): AgendaRules['next'] {
  return visit => (settings === null ? { atMs: visit.nowMs, reason: 'unset' } : agenda.next(visit, settings));
}
