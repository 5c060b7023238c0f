import type { LoadPort } from '../ports/ports.ts';
import type { Loader } from './loader.ts';

/** Binds the Loader to one source. Loopback calls: each may run in an isolate of its own. */
export function loadPort(loader: Service<typeof Loader>, source: string): LoadPort {
  return {
    start: permits => loader.start(source, permits),
    pull: (request, permits) => loader.pull(source, request, permits),
    servers: (known, permits) => loader.servers(source, known, permits),
    prepare: (changes, permits) => loader.prepare(source, changes, permits),
    load: request => loader.load(source, request),
    list: (after, permits) => loader.list(source, after, permits),
    ping: async () => loader.ping(),
  };
}
