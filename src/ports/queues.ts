import type { Change } from './change.ts';
import type { HostTally, Permit } from './hosts.ts';
import type { LoadOutcome } from './loader.ts';

/** One attempt at a parked change. A queue carries it; it is void once the change has had that attempt. */
export interface Ticket {
  changeNumber: number;
  attempt: number;
}

/** Permission to load the change of a ticket. */
export interface Grant {
  ticket: Ticket;
  change: Change;
  /** The LSN of the key's newest row when the object granted it. A result is rejected if the key got a row since. */
  lastLsn: number;
  /** Bytes of the change's last document; null where none is known. */
  documentBytes: number | null;
}

/** Grants to load in one call. */
export interface AdmittedCall {
  /** The one change gets the whole byte budget, because it is large or ended a call before. */
  alone: boolean;
  grants: Grant[];
  permits: Permit[];
}

/** The object's answer to tickets. */
export interface Admitted {
  calls: AdmittedCall[];
  /** Permits for what the calls share. */
  prepare: Permit[];
}

/** The outcome of one grant. `died`: the call ended without an answer. */
export interface TicketResult extends Ticket {
  lastLsn: number;
  /** The version of the evidence that the load had; null where the source has no inlets. */
  evidenceVersion: number | null;
  outcome: LoadOutcome | { kind: 'deferred'; reason: 'died' };
}

/** The results of one call. `loadMs`: how long it took, null when it ended without an answer. */
export interface HandedBack {
  results: TicketResult[];
  hosts: HostTally[];
  loadMs: number | null;
}

/** Sends tickets to a queue, which may lose, double, delay or reorder them. Throws `StepError` `queue-failed`. */
export interface TicketPort {
  send(tickets: Ticket[]): Promise<void>;
}
