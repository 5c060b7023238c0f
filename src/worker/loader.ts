import { connect } from 'cloudflare:sockets';
import { WorkerEntrypoint } from 'cloudflare:workers';
import { clockOf, readSettings } from '../config.ts';
import { type Loading, listStep, loadStep, prepareStep, pullStep, serversStep, startStep } from '../loader/steps.ts';
import type { Change, KeyPage, Page, PullRequest, Servers } from '../ports/change.ts';
import type { Permit } from '../ports/hosts.ts';
import type { Answer, LoadOutcome, LoadPort, LoadRequest } from '../ports/loader.ts';
import { sourceNamed } from '../sources/registry.ts';
import { bucketPort } from './r2.ts';

/** The stateless entrypoint a source's object fans out to: fetches, parses, and puts documents into the bucket. */
export class Loader extends WorkerEntrypoint<Env> {
  start(source: string, permits: Permit[]): Promise<Answer<string>> {
    return startStep(this.#loading(source), permits);
  }

  pull(source: string, request: PullRequest, permits: Permit[]): Promise<Answer<Page>> {
    return pullStep(this.#loading(source), { request, permits });
  }

  servers(source: string, known: Servers | null, permits: Permit[]): Promise<Answer<Servers>> {
    return serversStep(this.#loading(source), { known, permits });
  }

  prepare(source: string, changes: Change[], permits: Permit[]): Promise<Answer<unknown>> {
    return prepareStep(this.#loading(source), { changes, permits });
  }

  load(source: string, request: LoadRequest): Promise<Answer<LoadOutcome[]>> {
    return loadStep(this.#loading(source), request);
  }

  list(source: string, after: string | null, permits: Permit[]): Promise<Answer<KeyPage>> {
    return listStep(this.#loading(source), { after, permits });
  }

  ping(): void {}

  #loading(id: string): Loading {
    const env = this.env as unknown as Record<string, unknown>;
    const source = sourceNamed(id);
    const settings = source.settings(env);
    // A host that an answer names can be asked only with a slot of the object that paces all who ask it. Where no answer
    // names any, a request without a permit is a fault of ours.
    const { others } = source.pace(settings);
    const permit = others && ((host: string) => this.env.SOURCES_NS.getByName(id).permit(host));
    return {
      source,
      settings,
      ...(permit && { permit }),
      contact: readSettings(env).contact,
      bucket: bucketPort(this.env.LAKE),
      connect,
      now: clockOf(env),
    };
  }
}

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
