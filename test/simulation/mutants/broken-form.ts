import type { SceneName } from '../schedules/directed.ts';

/** A mistake that an engine could have: exact texts of its source and what stands there instead. */
export interface Broken {
  name: string;
  /** What is no longer true of it. */
  breaks: string;
  edits: { file: string; text: string; instead: string }[];
  /** The oracle must see it within so many seeds from the first. */
  firstSeed: number;
  seeds: number;
  /** From one seed to the next; those between are of another kind. */
  apart?: number;
  /** Somebody sweeps and checks in each. */
  audited?: boolean;
  /** Played instead of random schedules. */
  scene?: SceneName;
}

export const LOST = 'nothing is lost';
export const DOUBLED = 'nothing is doubled';
export const DURABLE = 'durable never runs ahead';
export const SAME = 'files are deterministic';
export const ALIVE = 'the loop cannot die';
export const NEWEST = 'newest means newest';
export const PAUSED = 'paused asks for nothing, and keeps nothing back';

const RUN = 'src/alarm/run.ts';

/** A Loader call that hangs is waited for until its run is given up. */
export const CALLS_WITHOUT_END = {
  file: RUN,
  text: 'return await this.#clock.within(begin(), ms, subject);',
  instead: 'return await begin();',
};

/** Answers to a run that was given up are heard: what else holds them off is seen only then. */
export const ANSWERS_TO_NOBODY = [
  { file: RUN, text: 'finally {\n      this.#checkAbandoned();', instead: 'finally {' },
  CALLS_WITHOUT_END,
];

/** One edit breaks it. */
export const one = (
  name: string,
  breaks: string,
  edit: Broken['edits'][number],
  seeds = 300,
  firstSeed = 1,
): Broken => ({
  name,
  breaks,
  edits: [edit],
  firstSeed,
  seeds,
});

/** One edit breaks it, and each seed of a scene shows that. */
export const inScene = (scene: SceneName, name: string, breaks: string, edit: Broken['edits'][number]): Broken => ({
  name,
  breaks,
  edits: [edit],
  firstSeed: 1,
  seeds: 5,
  scene,
});

/** One edit breaks it, and somebody who sweeps and checks sees that. */
export const audited = (...broken: Parameters<typeof one>): Broken => ({ ...one(...broken), audited: true });
