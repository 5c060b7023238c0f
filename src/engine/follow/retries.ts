import { LIMITS, type RetryPace } from '../../config.ts';
import { messageOf, StepError } from '../../errors.ts';
import type { Permit } from '../../ports/hosts.ts';
import type { Ports } from '../../ports/ports.ts';
import type { Admitted, Grant, HandedBack, Ticket, TicketResult } from '../../ports/queues.ts';
import type { EngineSource } from '../../ports/source.ts';
import type { ParkedChange } from '../journal/changes.ts';
import { type Outcome, refusedRows } from '../journal/changes.ts';
import type { Journal } from '../journal/journal.ts';
import type { Admission } from '../load/admission.ts';

interface Parts {
  ports: Ports;
  source: EngineSource;
  journal: Journal;
  admission: Admission;
  /** A newer change of the key is at hand, loaded or not: nothing else of it may come in before. */
  isExpected: (key: string) => boolean;
  pace: RetryPace;
}

/**
 * The object's side of looking again at parked changes. It hands tickets out to a queue, lets whoever brings one ask
 * the upstream, and takes the result while the change is still parked as it was handed out. What the queue loses,
 * doubles, delays or reorders makes no difference: only the object knows what is parked.
 */
export class Retries {
  readonly #ports: Ports;
  readonly #source: EngineSource;
  readonly #journal: Journal;
  readonly #admission: Admission;
  readonly #isExpected: (key: string) => boolean;
  readonly #pace: RetryPace;

  constructor({ ports, source, journal, admission, isExpected, pace }: Parts) {
    this.#ports = ports;
    this.#source = source;
    this.#journal = journal;
    this.#admission = admission;
    this.#isExpected = isExpected;
    this.#pace = pace;
  }

  /** Hands out tickets of what is due. They are noted as out first: an object that dies meanwhile sends them again. */
  async send(): Promise<void> {
    const { parked } = this.#journal;
    const nowMs = this.#ports.clock.now();
    const tickets = parked.due(nowMs, LIMITS.ticketsPerRun).map(ticketOf);
    if (tickets.length === 0) return;
    for (const ticket of tickets) parked.defer(ticket, { nowMs, dueMs: nowMs + this.#pace.leaseMs });
    const sent = this.#ports.tickets.send(tickets);
    try {
      await this.#ports.clock.within(sent, LIMITS.queueCallMsMax, `send of ${tickets.length} tickets`);
    } catch (error) {
      // Some may be out all the same: a second ticket of one look is refused when the first has come back.
      for (const ticket of tickets) parked.defer(ticket, { nowMs, dueMs: nowMs });
      throw error instanceof StepError ? error : new StepError('queue-failed', messageOf(error));
    }
    this.#ports.log('tickets_sent', { source: this.#source.id, changes: tickets.length });
  }

  /** What may be loaded of the tickets somebody has brought, and the permits for it. What may not is handed out later. */
  admit(tickets: Ticket[]): Admitted {
    const nowMs = this.#ports.clock.now();
    const { parked, state } = this.#journal;
    const admitted: Admitted = { calls: [], prepare: [] };
    for (const ticket of tickets) {
      const change = parked.ofTicket(ticket);
      if (!change || state.source().paused === 1) continue;
      const grant = this.#grant(change, nowMs);
      const { permits, waitUntilMs } = this.#permits(grant.change, nowMs);
      if (!permits) {
        parked.defer(ticket, { nowMs, dueMs: waitUntilMs });
        continue;
      }
      parked.defer(ticket, { nowMs, dueMs: nowMs + this.#pace.leaseMs });
      const isAlone = (grant.documentBytes ?? 0) > LIMITS.documentBytesLarge || state.suspect(change.cursor) !== null;
      const together = isAlone ? undefined : admitted.calls.find(call => !call.alone);
      if (!together) admitted.calls.push({ alone: isAlone, grants: [grant], permits });
      else {
        together.grants.push(grant);
        together.permits = merged(together.permits, permits);
      }
    }
    const changes = admitted.calls.flatMap(({ grants }) => grants.map(({ change }) => change));
    if (this.#source.prepares && changes.length > 0)
      admitted.prepare = this.#admission.takeSome(this.#source.requests('prepare', changes), nowMs);
    return admitted;
  }

  /** Takes what came of loads. Returns whether any row came in. */
  take({ results, hosts, loadMs }: HandedBack): boolean {
    const nowMs = this.#ports.clock.now();
    this.#admission.learn(hosts, nowMs, loadMs);
    const lsnBefore = this.#journal.state.lastLsn();
    for (const result of results) this.#takeOne(result, nowMs);
    return this.#journal.state.lastLsn() > lsnBefore;
  }

  /** Tickets that a queue gave up: they are handed out again. */
  expire(tickets: Ticket[]): void {
    const nowMs = this.#ports.clock.now();
    for (const ticket of tickets) this.#journal.parked.defer(ticket, { nowMs, dueMs: nowMs });
  }

  #takeOne({ changeNumber, attempt, lastLsn, outcome }: TicketResult, nowMs: number): void {
    const ticket = { changeNumber, attempt };
    const parked = this.#journal.parked.ofTicket(ticket);
    if (!parked) return;
    if (outcome.kind === 'deferred') {
      this.#journal.parked.defer(ticket, { nowMs, dueMs: nowMs + this.#deferredMs(parked, outcome.reason, nowMs) });
      return;
    }
    const settled: Outcome = outcome.kind === 'unanswered' ? { ...outcome, kind: 'park' } : outcome;
    const lsnBefore = this.#journal.state.lastLsn();
    const isTaken = !this.#isExpected(parked.key) && this.#accept({ parked, outcome: settled, lastLsn, nowMs });
    if (isTaken) this.#tell(parked, this.#journal.state.lastLsn() - lsnBefore);
    else this.#journal.parked.defer(ticket, { nowMs, dueMs: nowMs + this.#pace.waitMs });
  }

  /** Rows that SQLite refuses leave the change parked. */
  #accept(retry: Parameters<Journal['acceptRetry']>[0]): boolean {
    try {
      return this.#journal.acceptRetry(retry);
    } catch (error) {
      if (retry.outcome.kind !== 'rows') throw error;
      return this.#journal.acceptRetry({ ...retry, outcome: refusedRows(error) });
    }
  }

  /** Tells of a look that counted. What came of it is read back: a look may bring what was known already. */
  #tell({ change_number, key, attempts }: ParkedChange, rows: number): void {
    const left = this.#journal.parked.find(change_number);
    if (left?.attempts === attempts) return;
    const state = left ? (left.died_ms === null ? 'parked' : 'dead') : rows > 0 ? 'rows' : 'skipped';
    const told = { key, attempt: attempts + 1, state, rows, reason: left?.reason ?? null };
    this.#ports.log('retry_accepted', { source: this.#source.id, ...told });
  }

  /** How long one waits that was not looked at, whatever the reason. */
  #deferredMs(parked: ParkedChange, reason: string, nowMs: number): number {
    // What is too large for a call of many, or ended one, gets a call of its own the next time.
    if (reason === 'large' || reason === 'died')
      this.#journal.state.suspectChange(parked.cursor, { deaths: 0, throttled: 0 });
    const blockedMs = this.#admission.blockedMs(this.#requests(this.#changeOf(parked, nowMs)), nowMs);
    return Math.max(this.#pace.waitMs, blockedMs);
  }

  #grant(parked: ParkedChange, nowMs: number): Grant {
    return {
      ticket: ticketOf(parked),
      change: this.#changeOf(parked, nowMs),
      lastLsn: this.#journal.state.lastLsnOf(parked.key),
      documentBytes: this.#journal.state.documentBytesOf(parked.key),
    };
  }

  #permits(change: Grant['change'], nowMs: number): { permits: Permit[] | null; waitUntilMs: number } {
    const wanted = Object.entries(this.#requests(change));
    const windowMs = LIMITS.slicePermitMsMax;
    for (const [host, want] of wanted) {
      const { count, atMs } = this.#admission.room({ host, want, nowMs, windowMs });
      if (count < want) return { permits: null, waitUntilMs: Math.max(atMs, nowMs + this.#pace.waitMs) };
    }
    return { permits: wanted.map(([host, count]) => this.#admission.take({ host, count, nowMs })), waitUntilMs: nowMs };
  }

  /** A second host that may not be asked is not waited for. */
  #changeOf({ key, cursor, deleted, revision }: ParkedChange, nowMs: number): Grant['change'] {
    const hosts = this.#journal.agenda?.hostsOf(key);
    if (hosts?.alsoHost && this.#admission.isBlocked(hosts.alsoHost, nowMs)) hosts.alsoHost = null;
    return { key, cursor, deleted: deleted === 1, revision, skip: null, ...hosts };
  }

  /** Another look asks for deleted items as well. */
  #requests(change: Grant['change']): Record<string, number> {
    return this.#source.requests('load', [{ ...change, deleted: false }]);
  }
}

function ticketOf({ change_number, attempts }: ParkedChange): Ticket {
  return { changeNumber: change_number, attempt: attempts };
}

/** Permits taken one after the other on one host's timeline, as one. */
function merged(before: Permit[], more: Permit[]): Permit[] {
  const hosts = new Map(before.map(permit => [permit.host, permit]));
  for (const permit of more) {
    const first = hosts.get(permit.host);
    hosts.set(permit.host, first ? { ...first, count: first.count + permit.count } : permit);
  }
  return [...hosts.values()];
}
