import { connect } from 'cloudflare:sockets';
import { WorkerEntrypoint } from 'cloudflare:workers';
import { clockOf, readSettings } from '../config.ts';
import { type Loading, runStep } from '../loader/steps.ts';
import type { Answer, LoaderSteps, LoadPort } from '../ports/loader.ts';
import { sourceNamed } from '../sources/registry.ts';
import { bucketPort } from './r2.ts';

/** The stateless entrypoint that a source's object fans out to: fetches, parses, and puts documents into the bucket. */
export class Loader extends WorkerEntrypoint<Env> {
  run<S extends keyof LoaderSteps>(
    source: string,
    step: S,
    request: LoaderSteps[S]['request'],
  ): Promise<Answer<LoaderSteps[S]['value']>> {
    return runStep(this.#loading(source), step, request);
  }

  ping(): void {}

  #loading(id: string): Loading {
    const env = this.env as unknown as Record<string, unknown>;
    const source = sourceNamed(id);
    const settings = source.settings(env);
    return {
      source,
      settings,
      // Only the object paces hosts, so a permit for a host that an answer names, or for a further page, is taken there.
      permit: async (host: string) => this.env.SOURCES_NS.getByName(id).permit(host),
      contact: readSettings(env).contact,
      bucket: bucketPort(this.env.LAKE),
      connect,
      now: clockOf(env),
    };
  }
}

/** Binds the Loader to one source. Each call may run in an isolate of its own. */
export function loadPort(loader: Service<typeof Loader>, source: string): LoadPort {
  return {
    run: (step, request) => loader.run(source, step, request) as ReturnType<LoadPort['run']> as never,
    ping: async () => loader.ping(),
  };
}
