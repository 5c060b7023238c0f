import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { messageOf } from '../../errors.ts';
import { findRuntimeOn, groupOf } from './processes.ts';

/** Runtimes listen here only, so that no other machine reaches them. */
export const HOST = '127.0.0.1';

/** The port itself where it is free, a free one for 0. Throws with the process that holds it when the port is taken. */
export async function freePort(port: number): Promise<number> {
  const server = createServer();
  server.listen(port, HOST);
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new Error(`PORT: expected a free port, got ${port} (${messageOf(error)})${runtimeText(port)}`);
  }
  const { port: found } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return found;
}

/** Says which runtime holds a port, and how to end one that nothing else ends any more; empty when none does. */
function runtimeText(port: number): string {
  const found = findRuntimeOn(port);
  if (found === null) return '';
  // A launcher leads the group of its runtime, and ends it.
  const isOrphan = !groupOf(found.group).some(({ pid }) => pid === found.group);
  if (!isOrphan) return `: process ${found.pid} holds it, the runtime of another start`;
  return `: process ${found.pid} holds it, which an earlier start left behind; end it with kill ${found.pid}`;
}

/** Whether nothing listens on a port. */
export async function isFree(port: number): Promise<boolean> {
  return freePort(port).then(
    () => true,
    () => false,
  );
}
