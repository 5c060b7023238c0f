import type { Run } from '../../alarm/run.ts';
import { LIMITS } from '../../limits.ts';
import type { Change } from '../../ports/change.ts';
import type { Ports } from '../../ports/ports.ts';
import type { EngineSource } from '../../ports/source.ts';
import type { Accepted } from '../journal/changes.ts';
import type { Journal } from '../journal/journal.ts';
import type { Admission } from '../load/admission.ts';
import { ask } from '../load/ask.ts';

/** What a probe says of due keys. */
interface Probed {
  /** Visits to load, each with the probe's answer. */
  changed: Change[];
  /** Visits that have ended: the upstream has nothing new. */
  unchanged: Accepted[];
  failed: { key: string; reason: string }[];
}

/** Asks a source's probe for due keys. Keys that it had no time for are in no list: they stay due. Throws `StepError`. */
export async function probeVisits(
  changes: Change[],
  options: { ports: Ports; source: EngineSource; journal: Journal; admission: Admission; run: Run },
): Promise<Probed> {
  const probed: Probed = { changed: [], unchanged: [], failed: [] };
  // Note which evidence the answers do not know of, so that a later one keeps its key due.
  const { evidence } = options.journal;
  const versions = changes.map(({ key }) => evidence?.versionOf(key) ?? null);
  const subject = `probe of ${changes.length} keys`;
  const answers = await ask({
    ...options,
    step: 'probe',
    changes,
    request: { changes },
    ms: LIMITS.visitMsMax,
    subject,
  });
  for (const [index, answer] of answers.entries()) {
    const change = changes[index]!;
    if (answer?.kind === 'changed') probed.changed.push({ ...change, probed: answer.answer });
    if (answer?.kind === 'failed') probed.failed.push({ key: change.key, reason: answer.reason });
    if (answer?.kind !== 'unchanged') continue;
    const seen = { found: true, unchanged: true, facts: answer.facts ?? change.facts ?? {} };
    const outcome = { kind: 'rows' as const, rows: [], revision: null, documentBytes: 0, seen };
    probed.unchanged.push({ change, outcome, evidenceVersion: versions[index]! });
  }
  return probed;
}
