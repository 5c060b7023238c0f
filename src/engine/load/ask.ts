import type { Run } from '../../alarm/run.ts';
import { LIMITS } from '../../config.ts';
import { type ErrorKind, StepError } from '../../errors.ts';
import type { Change } from '../../ports/change.ts';
import type { AskedStep } from '../../ports/hosts.ts';
import type { Answer, LoaderSteps, LoadFailure } from '../../ports/loader.ts';
import type { Ports } from '../../ports/ports.ts';
import type { EngineSource } from '../../ports/source.ts';
import type { Admission } from './admission.ts';

/** A step that asks the source's own hosts, in whole or not at all. */
type Step = 'start' | 'pull' | 'servers' | 'list' | 'probe';

/** What each of them is called where a source says how many requests it makes. */
const REQUESTED_AS: Record<Step, AskedStep> = {
  start: 'pull',
  pull: 'pull',
  servers: 'pull',
  list: 'list',
  probe: 'probe',
};

interface AskOptions<S extends Step> {
  ports: Pick<Ports, 'load' | 'clock'>;
  source: Pick<EngineSource, 'requests'>;
  admission: Admission;
  run: Run;
  step: S;
  /** The changes that the step asks for, where it asks for some. */
  changes?: Change[];
  /** What the step is asked, without its permits. */
  request: Omit<LoaderSteps[S]['request'], 'permits'>;
  /** The Loader's own deadline. */
  ms: number;
  subject: string;
}

/** Asks one step of a Loader. Throws `StepError`; `upstream-throttled` where a host has no room for it yet. */
export async function ask<S extends Step>(options: AskOptions<S>): Promise<LoaderSteps[S]['value']> {
  const { ports, source, admission, run, step, changes = [], request, ms, subject } = options;
  // Take permits of every host that the step asks.
  const permits = admission.takeAll(source.requests(REQUESTED_AS[step], changes), ports.clock.now());
  // Call the Loader.
  const whole = { ...request, permits } as LoaderSteps[S]['request'];
  const answer: Answer<LoaderSteps[S]['value']> = await run.call(() => ports.load.run(step, whole), {
    ms: loaderCallMs(ms),
    subject,
  });
  // Learn from what the hosts answered.
  admission.learn(answer.hosts, ports.clock.now());
  if (!answer.ok) throw failureError(answer.failure);
  return answer.value;
}

/** How long a Loader's answer is waited for: longer than its own deadline, so that its answer says what went wrong. */
export function loaderCallMs(deadlineMs: number): number {
  return deadlineMs + LIMITS.recoveryMs;
}

const KIND_OF_FAILURE: Record<LoadFailure['kind'], ErrorKind> = {
  unreachable: 'upstream-unreachable',
  throttled: 'upstream-throttled',
  status: 'upstream-status',
  shape: 'upstream-shape',
  cursor: 'cursor-refused',
  own: 'loader-failed',
};

/** A Loader step's failure as the error that ends this step of the run. */
export function failureError({ kind, message, retryAfterMs }: LoadFailure): StepError {
  return new StepError(KIND_OF_FAILURE[kind], message, retryAfterMs);
}
