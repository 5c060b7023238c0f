import type { SceneName } from '../schedules/directed.ts';
import type { Edit } from './edits.ts';

/** A bug that the code could have, and the play that must catch it. */
export interface Mutant {
  name: string;
  /** The guarantee that no longer holds. */
  breaks: string;
  edits: Edit[];
  caughtBy: CaughtBy;
}

export type CaughtBy =
  /** Random schedules of the engine. Seeds are `step` apart; `audited`: each of them sweeps and self-checks. */
  | { play: 'schedules'; from: number; seeds: number; step: number; audited: boolean }
  | { play: 'scene'; scene: SceneName; seeds: number }
  /** Each fault at each call of the catalog step, or of the stream step. */
  | { play: 'catalog' }
  | { play: 'stream' }
  /** Random schedules of the Iceberg committer. */
  | { play: 'commits'; from: number; seeds: number };

export const LOST = 'nothing is lost';
export const DOUBLED = 'nothing is doubled';
export const DURABLE = 'durable never runs ahead';
export const SAME = 'files are deterministic';
export const ALIVE = 'the loop cannot die';
export const NEWEST = 'newest means newest';
export const PAUSED = 'a paused source makes no requests and flushes what it accepted';
export const CATALOG =
  'every object that a root of the catalog names is there, unchanged, and no root is older than one before';
export const STREAMED = 'a stream gets each settled row, in the order of LSNs';
export const ONCE = 'the Iceberg table has each settled row once';
export const LIMITED = 'the committer keeps the limits of the Iceberg catalog';

const RUN = 'src/alarm/run.ts';

/** The engine waits for a Loader call that hangs until the run is given up. */
export const CALLS_WITHOUT_DEADLINE: Edit = {
  file: RUN,
  text: 'return await this.#clock.within(begin(), ms, subject);',
  instead: 'return await begin();',
};

/** A run that was given up still gets its answers. Only then is it seen whether another check refuses them. */
export const ANSWERS_TO_ABANDONED_RUNS: Edit[] = [
  { file: RUN, text: 'finally {\n      this.#checkAbandoned();', instead: 'finally {' },
  CALLS_WITHOUT_DEADLINE,
];

const SEEDS = 300;
/** One seed in eight follows an agenda, and this is the first. */
const AGENDA = { from: 6, step: 8 };
/** One seed in four follows whole pages, and this is the first. */
const PAGES = { from: 3, step: 4 };

export const CATALOG_SCENARIO: CaughtBy = { play: 'catalog' };
export const STREAM_SCENARIO: CaughtBy = { play: 'stream' };

export function schedules({ from = 1, seeds = SEEDS } = {}): CaughtBy {
  return { play: 'schedules', from, seeds, step: 1, audited: false };
}

export function auditedSchedules({ from = 1, seeds = SEEDS } = {}): CaughtBy {
  return { play: 'schedules', from, seeds, step: 1, audited: true };
}

export function agendaSchedules({ from = AGENDA.from } = {}): CaughtBy {
  return { play: 'schedules', from, seeds: 60, step: AGENDA.step, audited: false };
}

export function pageSchedules({ from = PAGES.from } = {}): CaughtBy {
  return { play: 'schedules', from, seeds: 60, step: PAGES.step, audited: false };
}

export function commitSchedules({ from = 1 } = {}): CaughtBy {
  return { play: 'commits', from, seeds: 60 };
}

export function scene(name: SceneName): CaughtBy {
  return { play: 'scene', scene: name, seeds: 5 };
}
