import { createServer, type Socket as NodeSocket } from 'node:net';

export interface TextServer {
  /** Host and port. */
  address: string;
  /** The first line of each connection, in order. */
  queries: string[];
  close(): Promise<void>;
}

/** Starts a TCP server on the loopback interface, which calls `answer` with the first line of each connection. */
export async function startTextServer(answer: (socket: NodeSocket, query: string) => void): Promise<TextServer> {
  const queries: string[] = [];
  const open = new Set<NodeSocket>();
  const server = createServer({ allowHalfOpen: true }, socket => {
    open.add(socket);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
    socket.once('data', line => {
      queries.push(line.toString('utf8'));
      answer(socket, line.toString('utf8'));
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const address = server.address() as { port: number };
  return {
    address: `127.0.0.1:${address.port}`,
    queries,
    async close() {
      const closed = new Promise<unknown>(resolve => server.close(resolve));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
