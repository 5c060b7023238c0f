import { afterEach } from 'vitest';
import {
  type FeedRow,
  type NpmStandIn,
  type NpmStandInOptions,
  startStandIn,
} from '../../../../src/sources/npm/stand-in/stand-in.ts';

const started: NpmStandIn[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map(standIn => standIn.stop()));
});

/** Starts a stand-in that stops with the test. */
export async function start(options: NpmStandInOptions = {}): Promise<NpmStandIn> {
  const standIn = await startStandIn(options);
  started.push(standIn);
  return standIn;
}

export interface FeedPage {
  results: FeedRow[];
  last_seq: number;
}

export async function json<T>(url: string, init?: RequestInit): Promise<T> {
  return (await (await fetch(url, init)).json()) as T;
}

export function page(standIn: NpmStandIn, query: string): Promise<FeedPage> {
  return json<FeedPage>(`${standIn.feedUrl}/_changes?${query}`);
}

export function urlOf(standIn: NpmStandIn, name: string): string {
  return `${standIn.registryUrl}/${encodeURIComponent(name)}`;
}

export async function statusOf(url: string, init?: RequestInit): Promise<number> {
  const response = await fetch(url, init);
  await response.arrayBuffer();
  return response.status;
}

export async function bytesOf(standIn: NpmStandIn, name: string): Promise<Uint8Array> {
  return new Uint8Array(await (await fetch(urlOf(standIn, name))).arrayBuffer());
}

export async function documentOf(standIn: NpmStandIn, name: string): Promise<Record<string, unknown>> {
  return json(urlOf(standIn, name));
}
