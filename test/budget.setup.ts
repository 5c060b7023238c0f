import { DAY, SEED_OF_DAY } from './budget.ts';

/** Prints once a run what the randomised tests play, because the output of tests that pass is not shown. */
export default function setup(): void {
  console.log(`Randomised tests play TEST_DAY=${DAY}, from seed ${SEED_OF_DAY} where the environment names no other.`);
}
