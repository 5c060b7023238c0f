import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Port of an RDAP server for `com` and `org`, which also serves the list that names it. */
    rdap: number;
  }
}

/** Orders to the server: the status of each domain, or null to remove it, and whether to hold back answers. */
export interface RdapOrders {
  domains?: Record<string, string | null>;
  hold?: boolean;
}

/** Answers as a registry does. `POST /orders` changes its answers, and gives the domains of all requests so far. */
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
