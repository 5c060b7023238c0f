import assert from 'node:assert/strict';
import { LIMITS } from '../../../src/config.ts';
import type { EngineOptions } from '../../../src/engine/engine.ts';
import { expectProof } from '../oracle/proof.ts';
import { PARQUET } from '../world/encode.ts';
import { expectStreamed } from '../world/stream.ts';
import { pass, runUntil, startedWorld, type World } from '../world/world.ts';
import { faultNthCall } from './nth-call.ts';

const MINUTE = 60_000;
/** The calls of the step that sends rows to streams. */
const STREAM_CALL = /^(stream\.send|bucket\.range)/;
const PAGES = [['c', 'a', 'e', 'b', 'd'], ['b'], ['z', 'y', 'a', 'x', 'w', 'v', 'u']];
const ROWS = PAGES.flat().length;

export const STREAMED: Pick<EngineOptions, 'streams'> = { streams: { npm_package: 'NPM_STREAM' } };

/** `refused`: the stream refuses one row for ten minutes. */
export const CALL_FAULTS = ['refused', 'held', 'after', 'before', 'late', 'answer lost'] as const;
type StreamCallFault = (typeof CALL_FAULTS)[number];

/**
 * Settles files of several row groups, each sent in several requests, with a fault at the nth call of the step. Throws
 * what the stream or the proof found. Returns whether there was such a call.
 */
export async function playStream(nth: number, fault: StreamCallFault): Promise<boolean> {
  // Small row groups and requests show the same as full ones, in less time.
  Object.assign(LIMITS, { rowGroupBytes: 600, streamRequestBytesMax: 320 });
  const world = await startedWorld({ encoding: PARQUET, ...STREAMED });
  const stream = world.streams.get('npm_package')!;
  const wasMade =
    fault === 'refused' ? refuseRow(world, nth) : faultNthCall(world, { pattern: STREAM_CALL, nth, fault });
  for (const keys of PAGES) {
    world.upstream.publish(keys);
    await runUntil(world, { until: () => world.isFollowed, withinMs: 30 * MINUTE });
  }
  await runUntil(world, { until: () => world.isStreamed, withinMs: 30 * MINUTE });
  // Until the latest call has landed; pulls in this time would find nothing.
  world.pollEvery(10 * MINUTE);
  await pass(world, 5 * MINUTE);
  await expectStreamed(world);
  await expectProof(world);
  assert.equal(stream.records.size, ROWS);
  // A fault repeats one request, not all before it.
  const repeatedMax = Math.max(...stream.requests);
  assert.ok(stream.repeated <= repeatedMax, `expected at most ${repeatedMax} rows twice, got ${stream.repeated}`);
  return wasMade();
}

/** Refuses the nth row of all for ten minutes. */
function refuseRow(world: World, nth: number): () => boolean {
  const endMs = world.clock.elapsedMs + 10 * MINUTE;
  const stream = world.streams.get('npm_package')!;
  stream.refuses = ({ _lsn: lsn }) => lsn === nth + 1 && world.clock.elapsedMs < endMs;
  return () => nth < ROWS;
}
