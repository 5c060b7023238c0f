import { readFileSync } from 'node:fs';

/** No path of a worker, so that it answers at once. */
const WAKE_PATH = '/wake';

interface Answer {
  id: number;
  result?: Record<string, unknown>;
  error?: { message: string };
}

/** A connection to the inspector of one isolate of the runtime. */
export interface Inspector {
  /** Rejects once the connection has ended. */
  send<R>(method: string, params?: Record<string, unknown>): Promise<R>;
  close(): void;
}

/** Connects to the isolate of the worker in the runtime whose inspector is at this address. */
export async function connectInspector({ host }: URL): Promise<Inspector> {
  const response = await fetch(`http://${host}/json`);
  const targets = (await response.json()) as { id: string; webSocketDebuggerUrl: string }[];
  const target = targets.find(({ id }) => id.startsWith('core:user:'));
  if (!target)
    throw new Error(`inspector: expected an isolate core:user:…, got ${targets.map(({ id }) => id).join(', ')}`);
  return open(target.webSocketDebuggerUrl);
}

/** Resident memory of a process, and the most it ever was, in bytes. */
export function residentBytes(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const read = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) * 1024;
  return { now: read('VmRSS'), peak: read('VmHWM') };
}

/** Processor time of a process so far, in steps of a hundredth of a second: a busy machine changes it little. */
export function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** What an isolate holds now, garbage included, in bytes. */
export async function heapOf(inspector: Inspector): Promise<number> {
  const { usedSize, backingStorageSize } = await inspector.send<Record<string, number>>('Runtime.getHeapUsage');
  return usedSize! + backingStorageSize!;
}

/** What the isolate of a worker holds after its garbage was collected, in bytes. */
export async function heapWithoutGarbageOf(inspector: Inspector, { url }: { url: string }): Promise<number> {
  let isCollected = false;
  const collected = inspector.send('HeapProfiler.collectGarbage').finally(() => {
    isCollected = true;
  });
  // V8 collects in a task of its own, and the runtime runs tasks of an isolate only while a request is in it.
  const woken = (async () => {
    while (!isCollected) await (await fetch(`${url}${WAKE_PATH}`)).arrayBuffer();
  })();
  await Promise.all([collected, woken]);
  return heapOf(inspector);
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
