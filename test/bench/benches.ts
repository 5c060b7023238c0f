import { agenda } from './agenda.ts';
import { encoder } from './encoder.ts';
import { evidence } from './evidence.ts';
import { feedPage } from './feed-page.ts';
import { heap } from './heap.ts';
import { immutableKeys } from './immutable-keys.ts';
import { operations } from './operations.ts';
import { pace } from './pace.ts';
import { recovery } from './recovery.ts';
import type { Bench } from './report.ts';

/** All benches, in the order they run. */
export const BENCHES: readonly Bench[] = [
  encoder,
  pace,
  heap,
  recovery,
  operations,
  agenda,
  immutableKeys,
  evidence,
  feedPage,
];
