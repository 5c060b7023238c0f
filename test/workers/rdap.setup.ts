import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Port of a server that lists itself as the one of `com` and `org`, and answers for domains there: see `rdap.ts`. */
    rdap: number;
  }
}

/** What the server is told: domains with what they say, or null for those that are gone, and whether answers are held back. */
export interface RdapOrders {
  domains?: Record<string, string | null>;
  hold?: boolean;
}

/** Registers what `POST /orders` says, tells its requests so far, and answers as a registry does. */
export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const domains = new Map<string, string>();
  const requests: string[] = [];
  let held: (() => void)[] | null = null;

  function order({ domains: given = {}, hold }: RdapOrders): void {
    for (const [name, status] of Object.entries(given))
      if (status === null) domains.delete(name);
      else domains.set(name, status);
    if (hold === true) held ??= [];
    if (hold !== false) return;
    for (const release of held ?? []) release();
    held = null;
  }

  function answer(name: string, response: ServerResponse): void {
    const status = domains.get(name);
    response.writeHead(status === undefined ? 404 : 200, { 'content-type': 'application/rdap+json' });
    response.end(JSON.stringify({ objectClassName: 'domain', ldhName: name, status: [status] }));
  }

  const server = createServer(async (request, response) => {
    const url = request.url ?? '/';
    if (request.method === 'POST') {
      order((await json(request)) as RdapOrders);
      return response.end(JSON.stringify(requests));
    }
    if (url === '/dns.json') {
      const { port } = server.address() as AddressInfo;
      const services = [[['com', 'org'], [`http://localhost:${port}/`]]];
      return response.end(JSON.stringify({ services }));
    }
    const name = url.replace('/domain/', '');
    requests.push(name);
    if (held) held.push(() => answer(name, response));
    else answer(name, response);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  provide('rdap', (server.address() as AddressInfo).port);
  return async () => {
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
  };
}
