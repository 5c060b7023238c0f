import assert from 'node:assert/strict';
import { LIMITS } from '../../../src/config.ts';
import type { EngineOptions } from '../../../src/engine/engine.ts';
import { expectProof } from '../oracle/proof.ts';
import { PARQUET } from '../world/encode.ts';
import { expectStreamed } from '../world/stream.ts';
import { pass, settle, startedWorld, type World } from '../world/world.ts';

const MINUTE = 60_000;
/** What the step asks of others. */
const CALL = /^(stream\.send|bucket\.range)/;
const PAGES = [['c', 'a', 'e', 'b', 'd'], ['b'], ['z', 'y', 'a', 'x', 'w', 'v', 'u']];
const ROWS = PAGES.flat().length;

export const STREAMED: Pick<EngineOptions, 'streams'> = { streams: { npm_package: 'NPM_STREAM' } };

/**
 * What happens at one of its calls: the instance dies before, or after, or the call lands when it is long dead; or the
 * instance lives and hears no answer, or a late one. `refused`: one row is not taken for ten minutes.
 */
export const DEATHS = ['refused', 'held', 'after', 'before', 'late', 'answer lost'] as const;
export type Death = (typeof DEATHS)[number];

/**
 * Some files of several row groups are settled, each group some requests, while one call of the stream's step, the
 * `nth`, goes wrong. Throws what the stream has seen, or the proof. Returns whether there was such a call.
 */
export async function playStream(nth: number, death: Death): Promise<boolean> {
  // What holds of small groups and requests holds of large ones, and takes no minute.
  Object.assign(LIMITS, { rowGroupBytes: 600, streamRequestBytesMax: 320 });
  const world = await startedWorld({ encoding: PARQUET, ...STREAMED });
  const stream = world.streams.get('npm_package')!;
  const isHit = strike(world, nth, death);
  for (const keys of PAGES) {
    world.upstream.publish(keys);
    await settle(world, { until: () => world.isFollowed, withinMs: 30 * MINUTE });
  }
  await settle(world, { until: () => world.isStreamed, withinMs: 30 * MINUTE });
  // Until the latest call has landed; nothing is looked for meanwhile.
  world.pollEvery(10 * MINUTE);
  await pass(world, 5 * MINUTE);
  await expectStreamed(world);
  await expectProof(world);
  assert.equal(stream.records.size, ROWS);
  // Each mishap sends one request again, not all there ever were.
  const most = Math.max(...stream.requests);
  assert.ok(stream.repeated <= most, `expected at most ${most} rows twice, got ${stream.repeated}`);
  return isHit();
}

function strike(world: World, nth: number, death: Death): () => boolean {
  if (death === 'refused') {
    const endMs = world.clock.elapsedMs + 10 * MINUTE;
    const stream = world.streams.get('npm_package')!;
    stream.refuses = ({ _lsn: lsn }) => lsn === nth + 1 && world.clock.elapsedMs < endMs;
    return () => nth < ROWS;
  }
  let calls = 0;
  const isIt = (call: string) => CALL.test(call) && calls++ === nth;
  if (death === 'after' || death === 'answer lost')
    world.calls.after(call => {
      if (!isIt(call)) return;
      if (death === 'after') world.kill();
      else throw new Error('the answer was lost');
    });
  else
    world.calls.before(call => {
      if (!isIt(call)) return;
      if (death !== 'held') world.kill();
      if (death === 'before') throw new Error('the instance is dead');
      return world.clock.sleep(3 * MINUTE);
    });
  return () => calls > nth;
}
