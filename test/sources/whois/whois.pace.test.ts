import { expect, it } from 'vitest';
import type { Change } from '../../../src/ports/change.ts';
import { serve } from '../upstream/fetcher.ts';
import { loadAll, loadingOf, worldOf } from './world.ts';

const VISITS = 30;
const INTERVAL_MS = 10;
/** In place of a visit's 20 s. */
const VISIT_MS = 3_000;

it('a registry that answers too late and one that refuses all requests do not slow down a third', async () => {
  const { settings } = await worldOf();
  const done = Promise.withResolvers<{ slow: number; answered: number }>();
  const held: (() => void)[] = [];
  const slow = await serve((_request, response) => {
    held.push(() => response.end('{}'));
  });
  const refusing = await serve((_request, response) => {
    response.writeHead(403).end();
  });
  let answered = 0;
  const healthy = await serve((request, response) => {
    const domain = request.url!.split('/').at(-1);
    response.end(JSON.stringify({ objectClassName: 'domain', ldhName: domain }));
    answered += 1;
    if (answered === VISITS) done.resolve({ slow: slow.requests.length, answered });
  });
  // In turns, as the agenda orders them.
  const changes = Array.from({ length: VISITS }, (_, n) =>
    [slow, refusing, healthy].map(
      ({ url }, server): Change => ({
        key: `visit-${n}-${server}.com`,
        cursor: `${n}-${server}`,
        deleted: false,
        revision: null,
        skip: null,
        server: `${url}/`,
      }),
    ),
  ).flat();
  const startedAt = Date.now();
  const loaded = loadAll(loadingOf({ settings }), changes, { ms: VISIT_MS, intervalMs: INTERVAL_MS });
  // The slow registry holds its own share of the concurrent requests, and none of another host's.
  expect(await done.promise).toEqual({ slow: 2, answered: VISITS });
  expect(Date.now() - startedAt).toBeLessThan(VISIT_MS);
  const answer = await loaded;
  if (!answer.ok) throw new Error(answer.failure.message);
  const kinds = (server: number) =>
    new Set(
      answer.value
        .filter((_, index) => index % 3 === server)
        .map(outcome => ('reason' in outcome ? `${outcome.kind} ${outcome.reason}` : outcome.kind)),
    );
  expect(kinds(0)).toEqual(new Set(['deferred deadline']));
  expect(kinds(1)).toEqual(new Set(['park http-403']));
  expect(kinds(2)).toEqual(new Set(['rows']));
  const tallyOf = ({ host }: { host: string }) => answer.hosts.find(tally => tally.host === host)!;
  // A host that only refuses has its pace halved.
  expect(tallyOf(refusing)).toMatchObject({ requests: VISITS, refused: VISITS });
  expect(tallyOf(healthy)).toMatchObject({ requests: VISITS, refused: 0, throttled: 0, errors: 0 });
});
