import { enableCompileCache } from 'node:module';
import { importEdited } from './edits.ts';
import type { CaughtBy, Mutant } from './mutant.ts';

export interface Caught {
  /** The seed of the schedule or scene that caught it; null for a scenario. */
  seed: number | null;
  /** Schedules, scenes or scenarios played, that one included. */
  played: number;
  message: string;
}

/**
 * Plays what must catch a mutant, on code that has it; null when nothing does. Only for a process that has imported no
 * file of `src` yet.
 */
export function playMutant({ edits, caughtBy }: Mutant): Promise<Caught | null> {
  // The compile cache halves the start, which is most of a short play. It checks each source, so edits are compiled.
  enableCompileCache();
  importEdited(edits);
  return play(caughtBy);
}

async function play(caughtBy: CaughtBy): Promise<Caught | null> {
  switch (caughtBy.play) {
    case 'schedules':
    case 'scene': {
      const { trySeeds } = await import('../schedules/seeds.ts');
      const { failed, seeds } = await trySeeds({ from: 1, failuresMax: 1, ...caughtBy });
      return failed[0] ? { ...failed[0], played: seeds } : null;
    }
    case 'catalog': {
      const { CALL_FAULTS, playCatalog } = await import('../schedules/catalog-scenario.ts');
      return playScenario(CALL_FAULTS, playCatalog);
    }
    case 'stream': {
      const { CALL_FAULTS, playStream } = await import('../schedules/stream-scenario.ts');
      return playScenario(CALL_FAULTS, playStream);
    }
    case 'commits': {
      const { playCommits } = await import('../schedules/commit-schedule.ts');
      for (let played = 1; played <= caughtBy.seeds; played++) {
        const { seed, error } = await playCommits(caughtBy.from + played - 1);
        if (error) return { seed, played, message: error.message };
      }
      return null;
    }
  }
}

/** Lets each call of a scenario go wrong in each way, until one ends in an error. */
async function playScenario<Fault>(
  faults: readonly Fault[],
  playOnce: (nth: number, fault: Fault) => Promise<boolean>,
): Promise<Caught | null> {
  let played = 0;
  try {
    for (const fault of faults)
      for (let nth = 0, wasMade = true; wasMade; nth++) {
        played += 1;
        wasMade = await playOnce(nth, fault);
      }
    return null;
  } catch (error) {
    return { seed: null, played, message: (error as Error).message };
  }
}
