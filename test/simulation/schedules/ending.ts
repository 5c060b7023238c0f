import assert from 'node:assert/strict';
import { repairAgenda } from '../clients/agenda-step.ts';
import { expectLetters } from '../clients/letter-client.ts';
import { expectVisits, visitAll } from '../oracle/agenda-ending.ts';
import { expectSelfChecked, expectSwept } from '../oracle/audit-proof.ts';
import {
  expectAccounted,
  expectInOrder,
  expectNewest,
  expectOnce,
  expectPages,
  expectProof,
  expectSameBytes,
  expectStatuses,
} from '../oracle/proof.ts';
import { NO_OUTAGES } from '../world/disturb.ts';
import { rounding } from '../world/serials.ts';
import { coalescing, pages } from '../world/sources.ts';
import { pass, runUntil } from '../world/world.ts';
import { DELAY_MS_MAX, type Schedule, SEEDS_PER_PARQUET } from './schedule.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** Ends all faults, and lets time pass until every accepted change has its outcome and all is in files. */
export async function finish(schedule: Schedule): Promise<void> {
  const { world, faults, oracle, clients, outages, mayStall } = schedule;
  const { upstream, bucket } = world;
  faults.areOver = true;
  Object.assign(outages, NO_OUTAGES);
  upstream.faults.clear();
  upstream.lagging.clear();
  upstream.feedFault = null;
  upstream.documentsFault = null;
  if (clients.agenda) repairAgenda(world);
  world.feeding.settle();
  await world.engine.watch();
  // Calls that are delayed land first.
  await pass(world, DELAY_MS_MAX, () => world.calls.underWay === 0);
  // Nothing more is published, so frequent pulls would only take time.
  world.pollEvery(60 * MINUTE);
  for (const [key, { head }] of bucket.objects) if (head.metadata.digest === 'foreign') bucket.objects.delete(key);
  oracle.check();
  await world.engine.watch();
  if (faults.draw('paused at the end').random() < 0.25) await emptyPaused(schedule);
  if (world.engine.paused) await world.engine.control('start');
  await clients.ranges.finish(faults.draw('ranges at the end').random);
  await clients.pushes.finish();
  await becomeQuiet(schedule);
  if (!isStalled(schedule) && !oracle.hasLostStorage) expectLetters(world);
  await clients.letters.replay({});
  await becomeQuiet(schedule);
  if (isStalled(schedule)) return;
  await visitAll(schedule, () => becomeQuiet(schedule));
  if (world.kind === rounding && !mayStall) await roundEnded(schedule);
  if (!clients.audits.isEnabled) return;
  await expectSelfChecked(schedule);
  if (world.kind === coalescing && !mayStall) await expectSwept(schedule, () => becomeQuiet(schedule));
}

/** Lets a whole pass of the round end, and its changes be loaded: each key then has the status of its upstream. */
async function roundEnded(schedule: Schedule): Promise<void> {
  const { world, oracle } = schedule;
  const round = () => world.engine.journal.round!;
  const pass = round().current()?.pass ?? 0;
  // The pass that is under way has checked some keys before their last change.
  const until = () =>
    oracle.violation !== null || round().countKeys() === 0 || (round().current()?.pass ?? 0) > pass + 1;
  await runUntil(world, { until, withinMs: 3 * DAY });
  await becomeQuiet(schedule);
}

/** Lets time pass until all is followed, no change is parked, no range is under way, and each letter is published. */
async function becomeQuiet(schedule: Schedule): Promise<void> {
  const { world, oracle, clients } = schedule;
  const isPublished = () => world.engine.journal.parked.letters.unpublished(1).length === 0;
  const isDone = () =>
    world.isFollowed && world.isFed && world.parked.length === 0 && clients.ranges.areDone && isPublished();
  const until = () => oracle.violation !== null || isDone() || isStalled(schedule);
  // A host may be blocked for a day, and for two when a clock that was ahead set the block.
  await runUntil(world, { until, withinMs: 3 * DAY });
  oracle.check();
}

function isStalled({ world, mayStall }: Schedule): boolean {
  return mayStall && world.state === 'stalled';
}

/** A paused source flushes all it has accepted, and writes the files to the database. */
async function emptyPaused({ world, oracle, mayStall }: Schedule): Promise<void> {
  await world.engine.control('pause');
  const isEmpty = () => world.engine.files.backlog().rows === 0 && world.engine.files.unpublished(1).length === 0;
  const isStalled = () => mayStall && world.engine.journal.state.faults().some(({ stalls }) => stalls === 1);
  const until = () => oracle.violation !== null || isEmpty() || isStalled();
  await runUntil(world, { until, withinMs: 60 * MINUTE });
  oracle.check();
}

/** Checks all guarantees at the end. */
export async function expectAll(schedule: Schedule, seed: number): Promise<void> {
  const { world, oracle, clients, mayStall } = schedule;
  if (isStalled(schedule)) return expectOnce(world);
  await expectProof(world);
  const { deadUnshown } = clients.audits;
  assert.equal(world.balance.dead, deadUnshown, 'balance: expected no dead change after all were replayed');
  if (!oracle.hasLostStorage) expectLetters(world);
  const { excused } = clients;
  const isMissed = (key: string) => clients.audits.mayBeMissing(key) || world.upstream.restated.has(key);
  if (clients.visits) await expectVisits(world, clients.visits);
  else if (world.kind === pages) await expectPages(world, excused);
  else await expectNewest(world, excused);
  if (world.kind === rounding && !mayStall) await expectStatuses(world, excused);
  if (!oracle.hasLostStorage) await expectAnswered(schedule);
  // `expectVisits` has checked the cursors of visits.
  const shown = clients.visits ? { has: () => true } : oracle.shown;
  if (!mayStall) await expectAccounted(world, { shown, pushed: clients.pushes.cursors, isMissed });
  if (seed % SEEDS_PER_PARQUET === 0) await expectSameBytes(world);
}

/** Checks what the object has answered, which holds only when it never lost its storage. */
async function expectAnswered({ world, clients }: Schedule): Promise<void> {
  if (!clients.visits) await expectInOrder(world);
  await clients.ranges.expect(clients.letters.dismissed);
  await clients.pushes.expect();
}
