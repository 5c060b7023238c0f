import { ALIVE, CALLS_WITHOUT_DEADLINE, type Mutant, PAUSED, schedules } from './mutant.ts';

const ENGINE = 'src/engine/engine.ts';
const LOOP = 'src/alarm/alarm-loop.ts';
const RUN = 'src/alarm/run.ts';

/** Mutants of runs, alarms and controls. */
export const RUN_MUTANTS: Mutant[] = [
  {
    name: 'run without a deadline',
    breaks: ALIVE,
    caughtBy: schedules(),
    edits: [
      {
        file: LOOP,
        text: "await clock.within(work(run), LIMITS.runMsMax, 'run');",
        instead: 'await work(run);',
      },
      CALLS_WITHOUT_DEADLINE,
    ],
  },
  {
    name: 'alarm not armed before the work',
    breaks: ALIVE,
    caughtBy: schedules({ from: 3 }),
    edits: [
      {
        file: RUN,
        text: "await this.#clock.within(this.#wake.set(this.#armedMs), LIMITS.alarmCallMsMax, 'alarm of the run');",
        instead: '',
      },
    ],
  },
  {
    name: 'alarm not armed after the work',
    breaks: ALIVE,
    caughtBy: schedules({ from: 3 }),
    edits: [
      {
        file: LOOP,
        text: "await clock.within(wake.set(nextMs), LIMITS.alarmCallMsMax, 'alarm after the run');",
        instead: '',
      },
    ],
  },
  {
    name: 'alarm call without a deadline',
    breaks: ALIVE,
    caughtBy: schedules({ from: 6 }),
    edits: [
      {
        file: RUN,
        text: "await this.#clock.within(this.#wake.set(this.#armedMs), LIMITS.alarmCallMsMax, 'alarm of the run');",
        instead: 'await this.#wake.set(this.#armedMs);',
      },
      {
        file: LOOP,
        text: "await clock.within(wake.set(nextMs), LIMITS.alarmCallMsMax, 'alarm after the run');",
        instead: 'await wake.set(nextMs);',
      },
    ],
  },
  {
    name: 'paused source follows its feed',
    breaks: PAUSED,
    caughtBy: schedules(),
    edits: [
      {
        file: ENGINE,
        text: 'if (!this.paused) {\n      // Check',
        instead: 'if (this.paused !== null) {\n      // Check',
      },
    ],
  },
  {
    name: 'paused source does not flush',
    breaks: PAUSED,
    caughtBy: schedules({ from: 11 }),
    edits: [
      {
        file: ENGINE,
        text: 'await run.keepArmed();\n    for (const flusher of this.#flushers)',
        instead: 'await run.keepArmed();\n    if (this.paused) return;\n    for (const flusher of this.#flushers)',
      },
    ],
  },
  {
    name: 'watchdog starts sources but never wakes them',
    breaks: ALIVE,
    caughtBy: schedules({ from: 15 }),
    edits: [
      {
        file: ENGINE,
        text: 'await this.#loop.watch();',
        instead: 'if (source.started === 0) await this.#loop.watch();',
      },
    ],
  },
];
