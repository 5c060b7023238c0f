import { AGENDA_MUTANTS } from './agenda.ts';
import { AUDIT_MUTANTS } from './audit.ts';
import { CATALOG_MUTANTS } from './catalog.ts';
import { COMMITTER_MUTANTS } from './committer.ts';
import { ENGINE_MUTANTS } from './engine.ts';
import { FAILURE_MUTANTS } from './failures.ts';
import { IMMUTABLE_MUTANTS } from './immutable.ts';
import { INLET_MUTANTS } from './inlets.ts';
import { LATE_RESULT_MUTANTS } from './late-results.ts';
import type { Mutant } from './mutant.ts';
import { PROBE_MUTANTS } from './probe.ts';
import { RANGE_AND_PUSH_MUTANTS } from './ranges-and-pushes.ts';
import { RUN_MUTANTS } from './runs.ts';
import { STREAM_MUTANTS } from './streams.ts';
import { WHOLE_MUTANTS } from './whole.ts';

export const MUTANTS: Mutant[] = [
  ENGINE_MUTANTS,
  RUN_MUTANTS,
  FAILURE_MUTANTS,
  RANGE_AND_PUSH_MUTANTS,
  LATE_RESULT_MUTANTS,
  AUDIT_MUTANTS,
  AGENDA_MUTANTS,
  INLET_MUTANTS,
  PROBE_MUTANTS,
  IMMUTABLE_MUTANTS,
  WHOLE_MUTANTS,
  CATALOG_MUTANTS,
  STREAM_MUTANTS,
  COMMITTER_MUTANTS,
].flat();

/** Throws when no mutant has the name. */
export function mutantNamed(name: string): Mutant {
  const mutant = MUTANTS.find(one => one.name === name);
  if (!mutant) throw new Error(`mutant: expected one of ${MUTANTS.map(one => one.name).join(', ')}, got ${name}`);
  return mutant;
}
