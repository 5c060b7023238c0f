import type { Source } from '../sources/source.ts';
import type { EngineSource } from './ports.ts';

/** What the engine may know of a source with these settings. */
export function engineSourceOf<S>(source: Source<S>, settings: S): EngineSource {
  const { id, tables, resumable, compare, parse, agenda = null, documentBytes = null } = source;
  const { others = null, ...pace } = source.pace(settings);
  const requests: EngineSource['requests'] = (step, changes) => source.requests(step, changes, settings);
  const can = { prepares: source.prepare !== undefined, lists: source.list !== undefined };
  return { id, tables, resumable, compare, parse, agenda, documentBytes, ...pace, others, requests, ...can };
}
