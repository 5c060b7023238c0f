import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer } from '../../stand-in/faults.ts';
import { toBytes } from '../../stand-in/server.ts';

/** A server that answers one line with a text, as WHOIS does (RFC 3912). */
export interface TextServer {
  /** Host and port. */
  address: string;
  /** The lines it received, in order. */
  queries: string[];
  close(): Promise<void>;
}

/** Far longer than any query; the server answers such a line without waiting for its end. */
const QUERY_BYTES_MAX = 1_000;

/** Starts a server on the loopback interface; port 0 is any free port. Of an answer, `body`, `cut`, `hold` and `delayMs` count. */
export async function startTextServer(
  { port }: { port: number },
  answerTo: (query: string) => Answer,
): Promise<TextServer> {
  const queries: string[] = [];
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, socket => {
    open.add(socket);
    socket.on('close', () => open.delete(socket)).on('error', () => socket.destroy());
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
      const [query = '', ...rest] = text.split(/\r?\n/);
      if (rest.length === 0 && text.length <= QUERY_BYTES_MAX) return;
      socket.removeAllListeners('data').resume();
      queries.push(query);
      void send(socket, answerTo(query));
    });
    // A client that closes before the end of its line gets no answer.
    socket.on('end', () => socket.end());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    queries,
    async close() {
      const closed = new Promise<unknown>(resolve => server.close(resolve));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

async function send(socket: Socket, { body, cut = false, hold = false, delayMs = 0 }: Answer): Promise<void> {
  if (hold) return;
  if (delayMs > 0) await sleep(delayMs);
  const bytes = toBytes(body);
  if (cut) socket.write(bytes.subarray(0, bytes.length >> 1), () => socket.resetAndDestroy());
  else socket.end(bytes);
}
