import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A local server in place of R2 SQL that gives prepared answers. */
export interface ServiceServer {
  /** Settings with which the worker calls this server. */
  settings: Record<string, string>;
  requests: { path: string; headers: IncomingHttpHeaders; body: { query: string } }[];
  /** The answer to the next requests; with null they get none. */
  answer: { status: number; headers?: Record<string, string>; body: string } | null;
  close(): Promise<void>;
}

export async function startServiceServer(): Promise<ServiceServer> {
  const state: Pick<ServiceServer, 'requests' | 'answer'> = { requests: [], answer: null };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = JSON.parse(Buffer.concat(chunks).toString());
    state.requests.push({ path: request.url!, headers: request.headers, body });
    if (state.answer === null) return;
    const { status, headers = { 'content-type': 'application/json' }, body: text } = state.answer;
    response.writeHead(status, headers).end(text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return Object.assign(state, {
    settings: { R2_SQL_URL: url, R2_SQL_ACCOUNT_ID: 'account', R2_SQL_TOKEN: 'secret-token' },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  });
}

/** The body of an answer with rows. */
export function serviceAnswer(rows: Record<string, unknown>[], names = Object.keys(rows[0] ?? {})): string {
  const schema = names.map(name => ({ name, descriptor: { type: { name: 'string' }, nullable: true } }));
  const metrics = { r2_requests_count: 5, files_scanned: 2, bytes_scanned: 1_234 };
  return JSON.stringify({
    success: true,
    errors: [],
    messages: [],
    result: { request_id: 'r', schema, rows, metrics },
  });
}

/** The body of an answer with an error. */
export function serviceFailure(code: number, message: string): string {
  return JSON.stringify({ success: false, errors: [{ code, message }], messages: [], result: null });
}
