import type { EngineSource } from '../ports/source.ts';
import type { Source } from './source.ts';

/** What the engine knows of a source with these settings. `feeding`: the sources that it sends keys to. */
export function engineSourceOf<S>(source: Source<S>, settings: S, feeding: string[] = []): EngineSource {
  const { id, tables, resumable, compare, parse, agenda = null, documentBytes = null } = source;
  const { others = null, ...pace } = source.pace(settings);
  const requests: EngineSource['requests'] = (step, changes) => source.requests(step, changes, settings);
  const feeds = Object.fromEntries(Object.entries(source.feeds ?? {}).filter(([target]) => feeding.includes(target)));
  const can = { prepares: source.prepare !== undefined, lists: source.list !== undefined };
  return { id, tables, resumable, compare, parse, agenda, documentBytes, ...pace, others, feeds, requests, ...can };
}
