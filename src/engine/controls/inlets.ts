import type { InletStatus } from '../../contract/inlets.ts';
import { policyOf } from '../../failure-policy.ts';
import type { EngineInlet } from '../../ports/source.ts';
import { isoTime } from '../../time.ts';
import type { Engine } from '../engine.ts';
import { inletStep } from '../follow/inlet.ts';

/** How far each inlet of a source has read; none for a source without inlets. */
export function inletsOf(engine: Engine): InletStatus[] {
  const { inlets } = engine.journal;
  return inlets ? engine.source.inlets.map(inlet => inletOf(engine, inlet)) : [];
}

function inletOf({ journal, ports, room }: Engine, inlet: EngineInlet): InletStatus {
  const known = journal.inlets!.find(inlet);
  const fault = journal.state.fault(inletStep(inlet));
  const behind = Math.max(0, known.last_lsn - known.lsn);
  const isWaiting = fault !== null && fault.retry_ms > ports.clock.now();
  const isStalled = fault?.stalls === 1;
  return {
    source: inlet.source,
    table: inlet.table,
    state: isStalled
      ? 'stalled'
      : room.isFull
        ? 'full'
        : isWaiting
          ? 'backing-off'
          : behind > 0
            ? 'reading'
            : 'waiting',
    lsn: known.lsn,
    behind,
    rows: known.rows,
    findings: known.findings,
    added: known.added,
    evidence: known.items,
    passed_over: journal.inlets!.refusals(known.id),
    asked_at: isoTime(known.asked_ms),
    last_error: {
      kind: fault?.kind ?? null,
      reason: fault?.reason ?? null,
      hint: fault ? policyOf(fault.kind).hint : null,
      retry: isoTime(fault?.retry_ms ?? null),
      at: isoTime(fault?.at_ms ?? null),
    },
  };
}
