import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { treeOf } from '../../src/local/runtime/processes.ts';
import type { Runtime } from '../../src/local/runtime/runtime.ts';

const ATTEMPTS_MAX = 5;

interface Answer {
  id: number;
  result?: Record<string, unknown>;
  error?: { message: string };
}

/** A connection to the inspector of one isolate of the runtime. */
export interface Inspector {
  /** Rejects once the connection has ended; another can be opened. */
  send<R>(method: string, params?: Record<string, unknown>): Promise<R>;
  close(): void;
}

/** The process that runs the worker: the workerd whose arguments do not hold the port, which is the front door's. */
export function workerdOf({ pid, port }: Runtime): { pid: number } {
  const servers = treeOf(pid).filter(({ command }) => /\bworkerd serve\b/.test(command));
  const found = servers.find(({ command }) => !command.includes(`:${port} `));
  if (!found) throw new Error('runtime: expected a workerd process, found none');
  return found;
}

/**
 * Connects to the inspector of the worker's isolate, on the port that the runtime chose itself: what the launcher
 * offers is a proxy. The port is found among those the process listens on, so this needs a `/proc`. Of these the last
 * opened is the runtime's debug port, which takes a request of HTTP for a broken message, and ends everything.
 */
export async function connectInspector(runtime: Runtime): Promise<Inspector> {
  const { pid } = workerdOf(runtime);
  for (const port of listeningPorts(pid).slice(0, -1)) {
    const targets = await fetch(`http://127.0.0.1:${port}/json`, { signal: AbortSignal.timeout(1_000) })
      .then(response => response.json() as Promise<{ id: string; webSocketDebuggerUrl: string }[]>)
      .catch(() => null);
    if (!Array.isArray(targets)) continue;
    const target = targets.find(({ id }) => id.startsWith('core:user:'));
    if (target) return connect(target.webSocketDebuggerUrl);
  }
  throw new Error('inspector: expected an isolate core:user:…, found none');
}

/** Resident memory of a process, and the most it ever was, in bytes. */
export function residentBytes(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const read = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) * 1024;
  return { now: read('VmRSS'), peak: read('VmHWM') };
}

/**
 * An isolate has one connection: ours ends the launcher's, and the launcher takes its own back once. So the first
 * that answers is kept.
 */
async function connect(url: string): Promise<Inspector> {
  for (let attempt = 1; ; attempt++) {
    const inspector = await open(url);
    try {
      await inspector.send('Runtime.getHeapUsage');
      return inspector;
    } catch (error) {
      if (attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

async function open(url: string): Promise<Inspector> {
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', () => reject(new Error(`inspector: expected ${url} to open`)));
  });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  socket.addEventListener('close', () => {
    for (const asked of waiting.values()) asked.reject(new Error('inspector: expected an answer, was closed'));
  });
  socket.addEventListener('message', ({ data }) => {
    const { id, result, error } = JSON.parse(String(data)) as Answer;
    const asked = waiting.get(id);
    waiting.delete(id);
    if (error) asked?.reject(new Error(error.message));
    else asked?.resolve(result);
  });
  let asked = 0;
  return {
    send<R>(method: string, params: Record<string, unknown> = {}) {
      if (socket.readyState !== WebSocket.OPEN) return Promise.reject(new Error('inspector: expected it to be open'));
      const answer = Promise.withResolvers<unknown>();
      asked += 1;
      waiting.set(asked, answer);
      socket.send(JSON.stringify({ id: asked, method, params }));
      return answer.promise as Promise<R>;
    },
    close: () => socket.close(),
  };
}

/** In the order they were opened. */
function listeningPorts(pid: number): number[] {
  const lines = readFileSync('/proc/net/tcp', 'utf8').trim().split('\n').slice(1);
  const ports = new Map<string, number>();
  for (const line of lines) {
    const [, address = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    if (state === '0A') ports.set(inode, Number.parseInt(address.split(':')[1]!, 16));
  }
  const descriptors = readdirSync(`/proc/${pid}/fd`).sort((a, b) => Number(a) - Number(b));
  return descriptors.flatMap(descriptor => {
    try {
      const [, inode = ''] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${descriptor}`)) ?? [];
      return ports.get(inode) ?? [];
    } catch {
      return [];
    }
  });
}
