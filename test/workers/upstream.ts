import { inject } from 'vitest';
import type { Answer, FeedRow, NpmStandInOptions, PushedChange } from '../../src/sources/npm/stand-in/stand-in.ts';

/** A stand-in of npm for one test file, reached over HTTP like the real npm. */
export interface Upstream {
  origin: string;
  release(count: number): Promise<FeedRow[]>;
  pushChange(change: PushedChange): Promise<FeedRow>;
  fault(target: string, answers: Answer[], options?: { repeat?: boolean }): Promise<void>;
  clearFaults(): Promise<void>;
  rows(): Promise<FeedRow[]>;
  updateSeq(): Promise<number>;
  documentOf(name: string): Promise<Uint8Array>;
  /** Paths of all requests so far. */
  requests(): Promise<string[]>;
}

/** Opens an upstream. It is closed when all tests have ended. */
export async function openUpstream(options: NpmStandInOptions = {}): Promise<Upstream> {
  const origin = (await (await post('/', options)).json()) as string;
  const call = (method: string, ...args: unknown[]) => post(`/${new URL(origin).port}/${method}`, args);
  const json = async (method: string, ...args: unknown[]) => (await (await call(method, ...args)).json()) as never;
  return {
    origin,
    release: count => json('release', count),
    pushChange: change => json('pushChange', change),
    fault: (target, answers, faultOptions = {}) => json('fault', target, answers, faultOptions),
    clearFaults: () => json('clearFaults'),
    rows: () => json('rows'),
    updateSeq: () => json('updateSeq'),
    documentOf: async name => new Uint8Array(await (await call('documentOf', name)).arrayBuffer()),
    requests: () => json('requests'),
  };
}

async function post(path: string, body: unknown): Promise<Response> {
  const response = await fetch(`${inject('upstreams')}${path}`, { method: 'POST', body: JSON.stringify(body) });
  if (!response.ok) throw new Error(await response.text());
  return response;
}
