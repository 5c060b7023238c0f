import type { TestProject } from 'vitest/node';
import { startTextServer } from '../sources/whois/text/text-server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Host and port of a TCP server whose queries name the behaviour of its answer. */
    textServer: string;
  }
}

/** Runs the server in Node, because the worker's runtime can open connections and cannot listen. */
export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const server = await startTextServer(async (socket, question) => {
    switch (question.trim()) {
      case 'parts':
        for (const part of ['Domain', ' Name: ', 'EXAMPLE.TEST', '\r\n'])
          await new Promise<unknown>(resolve => socket.write(part, resolve));
        return socket.end();
      case 'end':
        return socket.end();
      case 'cut':
        return socket.write('Domain Na', () => socket.resetAndDestroy());
      case 'silence':
        return;
      case 'flood':
        return socket.end(Buffer.alloc(1024 * 1024 + 1, 'a'));
      default:
        return socket.end(`question: ${question}`);
    }
  });
  provide('textServer', server.address);
  return () => server.close();
}
