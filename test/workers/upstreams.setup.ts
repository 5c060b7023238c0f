import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { TestProject } from 'vitest/node';
import { type NpmStandIn, type NpmStandInOptions, startStandIn } from '../../src/sources/npm/stand-in/stand-in.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The URL at which the worker's tests open upstreams: see `upstream.ts`. */
    upstreams: string;
  }
}

/** The methods of an upstream that a test may call. */
const METHODS = [
  ...(['release', 'waiting', 'pushChange', 'fault', 'clearFaults'] as const),
  ...(['rows', 'updateSeq', 'documentOf', 'stop'] as const),
];
type Method = (typeof METHODS)[number];

/**
 * Runs stand-ins of npm in Node, because the tests run in the worker's runtime. `POST /` with options opens one and
 * answers with its address; `POST /<port>/<method>` with arguments calls a method.
 */
export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const standIns = new Map<string, NpmStandIn>();
  const server = createServer(async (request, response) => {
    try {
      const result = await answerTo(standIns, request.url ?? '/', await json(request));
      response.end(result instanceof Uint8Array ? result : JSON.stringify(result ?? null));
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  provide('upstreams', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return async () => {
    await Promise.all([...standIns.values()].map(standIn => standIn.stop()));
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
  };
}

async function answerTo(standIns: Map<string, NpmStandIn>, path: string, args: unknown): Promise<unknown> {
  if (path === '/') {
    const standIn = await startStandIn(args as NpmStandInOptions);
    standIns.set(new URL(standIn.origin).port, standIn);
    return standIn.origin;
  }
  const [, port, method] = path.split('/');
  const standIn = standIns.get(port ?? '');
  if (!standIn) throw new Error(`upstream: expected an open one, got port ${port}`);
  if (method === 'requests') return standIn.requests.recent.map(({ path }) => path);
  if (!METHODS.includes(method as Method)) throw new Error(`upstream: expected one of ${METHODS}, got ${method}`);
  return (standIn[method as Method] as (...given: unknown[]) => unknown)(...(args as unknown[]));
}
