import type { Run } from '../alarm/run.ts';
import type { EngineSource, Ports } from '../ports/ports.ts';
import { JournalCatalog } from './journal/catalog.ts';
import { JournalState } from './journal/state.ts';
import { JournalStreams } from './journal/streams.ts';
import { Cataloger } from './publish/catalog.ts';
import { Streamer, streamStep } from './publish/streams.ts';

/** A step that tells others of one table's settled files: repeated until it lands, and nothing waits for it. */
interface Projection {
  readonly step: string;
  readonly isDue: boolean;
  work(run: Run): Promise<void>;
}

/** A source's projections, in the order in which a run takes them. `streams`: by table, the binding of its stream. */
export function projectionsOf({
  ports,
  source: { id: source, tables },
  streams: bindings,
}: {
  ports: Ports;
  source: EngineSource;
  streams: Record<string, string>;
}): Projection[] {
  const catalog = new JournalCatalog(ports.sql);
  const streams = new JournalStreams(ports.sql);
  const state = new JournalState(ports.sql);
  const streamed = tables.filter(({ name }) => Object.hasOwn(bindings, name));
  // A stream that is wanted no more has nothing to mend its failure.
  for (const step of tables.filter(table => !streamed.includes(table)).map(streamStep))
    if (state.fault(step)) state.clearFault(step);
  return [
    ...tables.map(table => new Cataloger({ table, source, ports, catalog })),
    ...streamed.map(table => new Streamer({ table, binding: bindings[table.name]!, source, ports, streams })),
  ];
}
