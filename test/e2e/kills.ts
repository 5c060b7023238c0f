import { expect } from 'vitest';
import { groupOf, type Process, sendSignal, treeOf } from '../../src/local/runtime/processes.ts';
import type { Runtime } from '../../src/local/runtime/runtime.ts';

const EVENT = { timeout: 60_000, interval: 20 };

/** The runtime is the workerd without the port in its arguments; the one with the port is the front door. */
function findRuntime({ pid, port }: Runtime): Process | undefined {
  const servers = treeOf(pid).filter(({ command }) => /\bworkerd serve\b/.test(command));
  return servers.find(({ command }) => !command.includes(`:${port} `));
}

/** Kills the process that runs the worker, and waits until another one does. */
export async function killRuntime(runtime: Runtime): Promise<void> {
  const killed = findRuntime(runtime)!;
  sendSignal(killed.pid, 'SIGKILL');
  await expect.poll(() => findRuntime(runtime)?.pid ?? killed.pid, EVENT).not.toBe(killed.pid);
}

/** Kills all processes of a runtime, and waits until none is left. */
export async function killTree({ pid }: Runtime): Promise<void> {
  for (const member of treeOf(pid)) sendSignal(member.pid, 'SIGKILL');
  await expect.poll(() => groupOf(pid).length, EVENT).toBe(0);
}
