import type { Change } from './change.ts';
import type { HostTally, Permit } from './hosts.ts';
import type { LoadOutcome } from './loader.ts';
/** One look at a parked change: a queue carries it, and it is worth nothing once the change has moved on. */
export interface Ticket {
  changeNumber: number;
  attempt: number;
}

/** A look that the object grants to whoever brought its ticket. `lastLsn`: the key's newest row at that moment. */
export interface Grant {
  ticket: Ticket;
  change: Change;
  lastLsn: number;
  documentBytes: number | null;
}

/** Grants that are loaded in one call. */
export interface AdmittedCall {
  alone: boolean;
  grants: Grant[];
  permits: Permit[];
}

export interface Admitted {
  calls: AdmittedCall[];
  /** Permits for what is fetched in bulk. */
  prepare: Permit[];
}

/** What came of one grant. `died`: the call ended without an answer. */
export interface TicketResult extends Ticket {
  lastLsn: number;
  outcome: LoadOutcome | { kind: 'deferred'; reason: 'died' };
}

/** What came of one call of grants. `loadMs`: how long it took, null when it ended without an answer. */
export interface HandedBack {
  results: TicketResult[];
  hosts: HostTally[];
  loadMs: number | null;
}

/** Takes tickets to where somebody brings them back from, perhaps. */
export interface TicketPort {
  send(tickets: Ticket[]): Promise<void>;
}

/** Takes keys to another source's agenda, perhaps. */
export interface FeedPort {
  send(target: string, keys: { id: number; key: string }[]): Promise<void>;
}
