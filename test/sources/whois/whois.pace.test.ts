import { expect, it } from 'vitest';
import type { Change } from '../../../src/ports/change.ts';
import { serve } from '../upstream/fetcher.ts';
import { loadAll, loadingOf, worldOf } from './world.ts';

const VISITS = 30;
const INTERVAL_MS = 10;
/** Stands for the 20 s of a visit. */
const VISIT_MS = 3_000;

it('one registry that answers too late and one that bans slow no other down', async () => {
  const { settings } = await worldOf();
  const done = Promise.withResolvers<{ slow: number; answered: number }>();
  const held: (() => void)[] = [];
  const slow = await serve((_request, response) => {
    held.push(() => response.end('{}'));
  });
  const banning = await serve((_request, response) => {
    response.writeHead(403).end();
  });
  let answered = 0;
  const healthy = await serve((request, response) => {
    const domain = request.url!.split('/').at(-1);
    response.end(JSON.stringify({ objectClassName: 'domain', ldhName: domain }));
    answered += 1;
    if (answered === VISITS) done.resolve({ slow: slow.requests.length, answered });
  });
  // In turns, as the agenda picks them.
  const changes = Array.from({ length: VISITS }, (_, n) =>
    [slow, banning, healthy].map(
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
  // The slow one holds as many requests as it has askers of its own, and nobody else's.
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
  // What halves a host's pace: it only refused.
  expect(tallyOf(banning)).toMatchObject({ requests: VISITS, refused: VISITS });
  expect(tallyOf(healthy)).toMatchObject({ requests: VISITS, refused: 0, throttled: 0, errors: 0 });
});
