import { afterEach } from 'vitest';
import {
  type FeedRow,
  type NpmStandIn,
  type NpmStandInOptions,
  startNpmStandIn,
} from '../../../../src/sources/npm/stand-in/stand-in.ts';

const started: NpmStandIn[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map(replay => replay.close()));
});

/** Starts a replay that ends with the test. */
export async function start(options: NpmStandInOptions = {}): Promise<NpmStandIn> {
  const replay = await startNpmStandIn(options);
  started.push(replay);
  return replay;
}

export interface FeedPage {
  results: FeedRow[];
  last_seq: number;
}

export async function json<T>(url: string, init?: RequestInit): Promise<T> {
  return (await (await fetch(url, init)).json()) as T;
}

export function page(replay: NpmStandIn, query: string): Promise<FeedPage> {
  return json<FeedPage>(`${replay.feedUrl}/_changes?${query}`);
}

export function urlOf(replay: NpmStandIn, name: string): string {
  return `${replay.registryUrl}/${encodeURIComponent(name)}`;
}

export async function statusOf(url: string, init?: RequestInit): Promise<number> {
  const response = await fetch(url, init);
  await response.arrayBuffer();
  return response.status;
}

export async function bytesOf(replay: NpmStandIn, name: string): Promise<Uint8Array> {
  return new Uint8Array(await (await fetch(urlOf(replay, name))).arrayBuffer());
}

export async function documentOf(replay: NpmStandIn, name: string): Promise<Record<string, unknown>> {
  return json(urlOf(replay, name));
}
