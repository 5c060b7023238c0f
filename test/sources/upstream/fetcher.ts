import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, expect } from 'vitest';
import { z } from 'zod';
import { ChangeError } from '../../../src/errors.ts';
import type { Permit } from '../../../src/ports/hosts.ts';
import type { Body } from '../../../src/sources/source.ts';
import { createFetcher, type FetcherOptions } from '../../../src/sources/upstream/fetcher.ts';
import { type Loopback, startLoopback } from './loopback.ts';

export const NOW = Date.parse('2026-11-23T12:00:00Z');

const open: Loopback[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

/** Starts a server that closes after the test. */
export async function serve(
  answer: (request: IncomingMessage, response: ServerResponse, before: number) => void,
): Promise<Loopback> {
  const server = await startLoopback(answer);
  open.push(server);
  return server;
}

/** A fetcher for one server, with permits that need no waiting. */
export function fetcherFor({ host }: { host: string }, options: Partial<FetcherOptions> = {}) {
  const permits: Permit[] = [{ host, count: 10, startAtMs: 0, intervalMs: 0 }];
  return createFetcher({ contact: 'tests', permits, deadlineAtMs: Date.now() + 60_000, retryMsMin: 1, ...options });
}

export const raw = { subject: 'thing', read: ({ bytes }: Body) => bytes };
export const json = { subject: 'thing', shape: z.unknown() };

/** The `ChangeError` that a request rejects with. */
export async function failureOf(request: Promise<unknown>): Promise<ChangeError> {
  const error = await request.then(
    () => 'no error',
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ChangeError);
  return error as ChangeError;
}

/** Announces a length and closes the connection before the body has it. */
export function cut(response: ServerResponse): void {
  response.writeHead(200, { 'content-length': 1000 });
  response.write('{"half":', () => response.socket?.destroy());
}

/** A timer that the test expires, so that no test waits for time; `timesMs` has the times that were set. */
export function manualTimer() {
  const expires: (() => void)[] = [];
  const timesMs: number[] = [];
  return {
    timesMs,
    expire: () => expires.at(-1)?.(),
    timer: (ms: number, expire: () => void) => {
      timesMs.push(ms);
      expires.push(expire);
      return () => {};
    },
  };
}
