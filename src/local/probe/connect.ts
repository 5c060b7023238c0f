import { connect as openSocket } from 'node:net';
import { Duplex } from 'node:stream';
import type { Connect } from '../../sources/upstream/line-over-tcp.ts';

/** Node's TCP connections with the interface of the worker runtime's, where the end of one side ends both. */
export const connect: Connect = ({ hostname, port }) => {
  const socket = openSocket({ host: hostname, port, allowHalfOpen: false });
  const { readable, writable } = Duplex.toWeb(socket);
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  socket
    .once('connect', () => opened.resolve())
    .once('error', error => {
      const lost = new Error(`Network connection lost: ${error.message}`, { cause: error });
      opened.reject(lost);
      closed.reject(lost);
    })
    .once('close', () => closed.resolve());
  return {
    opened: opened.promise,
    closed: closed.promise,
    readable: readable as unknown as ReadableStream<Uint8Array>,
    writable: writable as WritableStream<Uint8Array>,
    async close() {
      socket.destroy();
    },
  };
};
