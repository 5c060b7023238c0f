import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Loopback {
  url: string;
  host: string;
  /** Requests so far, in order. */
  requests: IncomingMessage[];
  close(): Promise<void>;
}

/** Starts a server on the loopback interface. `answer` gets the number of requests before this one. */
export async function startLoopback(
  answer: (request: IncomingMessage, response: ServerResponse, before: number) => void,
): Promise<Loopback> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    answer(request, response, requests.length - 1);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `http://${host}`,
    host,
    requests,
    async close() {
      const closed = new Promise<unknown>(resolve => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
