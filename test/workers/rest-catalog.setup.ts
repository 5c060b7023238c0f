import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { TestProject } from 'vitest/node';
import { MemoryCatalog, URI } from '../iceberg/rest-catalog.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The URI of an Iceberg REST catalog whose tables are in the worker's own bucket. */
    restCatalog: string;
  }
}

/** Serves the catalog over HTTP from Node, because the worker's runtime cannot listen. */
export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const catalog = new MemoryCatalog();
  catalog.checksList = false;
  const server = createServer(async (request, response) => {
    const { method = 'GET', url = '/', headers } = request;
    const body = await text(request);
    const init = { method, headers: headers as Record<string, string>, ...(body !== '' && { body }) };
    catalog.nowMs = Date.now();
    const answer = await catalog.fetch(`${URI}${url}`, init);
    response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text());
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  provide('restCatalog', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return async () => {
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
  };
}
