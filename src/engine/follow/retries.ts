import { LIMITS, type RetryPace } from '../../config.ts';
import { messageOf, StepError } from '../../errors.ts';
import type { Permit } from '../../ports/hosts.ts';
import type { Ports } from '../../ports/ports.ts';
import type { Admitted, Grant, HandedBack, Ticket, TicketResult } from '../../ports/queues.ts';
import type { EngineSource } from '../../ports/source.ts';
import type { ParkedChange } from '../journal/changes.ts';
import { appendOrPark, type Outcome } from '../journal/changes.ts';
import type { Journal } from '../journal/journal.ts';
import type { Admission } from '../load/admission.ts';

/** Tickets that one run sends: as many messages as one send to a queue takes. */
const TICKETS_PER_RUN = 100;

interface RetriesOptions {
  ports: Ports;
  source: EngineSource;
  journal: Journal;
  admission: Admission;
  /** Whether the tail has a newer change of the key pending: nothing else of the key may be accepted before it. */
  isPending: (key: string) => boolean;
  pace: RetryPace;
}

/**
 * The object's side of retrying parked changes. It sends a ticket for each due change to a queue, admits the load when
 * the queue's consumer presents the ticket, and takes the result while the change is still parked as it was when the
 * ticket was sent. Only the object knows what is parked, so tickets that the queue loses, doubles, delays or reorders do
 * no harm.
 */
export class Retries {
  readonly #ports: Ports;
  readonly #source: EngineSource;
  readonly #journal: Journal;
  readonly #admission: Admission;
  readonly #isPending: (key: string) => boolean;
  readonly #pace: RetryPace;

  constructor({ ports, source, journal, admission, isPending, pace }: RetriesOptions) {
    this.#ports = ports;
    this.#source = source;
    this.#journal = journal;
    this.#admission = admission;
    this.#isPending = isPending;
    this.#pace = pace;
  }

  /** Sends tickets of the changes that are due. Each is noted as sent first, for the time of a lease; then it is sent again. */
  async send(): Promise<void> {
    const { parked } = this.#journal;
    const nowMs = this.#ports.clock.now();
    const tickets = parked.due(nowMs, TICKETS_PER_RUN).map(ticketOf);
    if (tickets.length === 0) return;
    for (const ticket of tickets) parked.defer(ticket, { nowMs, dueMs: nowMs + this.#pace.leaseMs });
    const sent = this.#ports.tickets.send(tickets);
    try {
      await this.#ports.clock.within(sent, LIMITS.queueCallMsMax, `send of ${tickets.length} tickets`);
    } catch (error) {
      // The queue may have taken some all the same: the second ticket of one attempt is refused once the first is used.
      for (const ticket of tickets) parked.defer(ticket, { nowMs, dueMs: nowMs });
      throw error instanceof StepError ? error : new StepError('queue-failed', messageOf(error));
    }
    this.#ports.log('tickets_sent', { source: this.#source.id, changes: tickets.length });
  }

  /** Grants the loads of presented tickets for which there are permits; the others are sent again later. */
  admit(tickets: Ticket[]): Admitted {
    const nowMs = this.#ports.clock.now();
    const admitted: Admitted = { calls: [], prepare: [] };
    for (const ticket of tickets) this.#eachAlone(ticket, nowMs, () => this.#admitOne(ticket, admitted, nowMs));
    const changes = admitted.calls.flatMap(({ grants }) => grants.map(({ change }) => change));
    if (this.#source.prepares && changes.length > 0)
      admitted.prepare = this.#admission.takeSome(this.#source.requests('prepare', changes), nowMs);
    return admitted;
  }

  /** Takes the results of loads. Returns whether any row was accepted. */
  take({ results, hosts, loadMs }: HandedBack): boolean {
    const nowMs = this.#ports.clock.now();
    this.#admission.learn(hosts, nowMs, loadMs);
    const lsnBefore = this.#journal.state.lastLsn();
    for (const result of results) {
      const { changeNumber, attempt } = result;
      this.#eachAlone({ changeNumber, attempt }, nowMs, () => this.#takeOne(result, nowMs));
    }
    return this.#journal.state.lastLsn() > lsnBefore;
  }

  /** Takes tickets that a queue gave up: they are due again now. */
  expire(tickets: Ticket[]): void {
    const nowMs = this.#ports.clock.now();
    for (const ticket of tickets) this.#journal.parked.defer(ticket, { nowMs, dueMs: nowMs });
  }

  /** Works on one ticket. When that fails, its change is due again later, so that the other tickets go on all the same. */
  #eachAlone(ticket: Ticket, nowMs: number, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#ports.log('tickets_failed', { source: this.#source.id, changes: 1, reason: messageOf(error) });
      this.#journal.parked.defer(ticket, { nowMs, dueMs: nowMs + this.#pace.leaseMs });
    }
  }

  #admitOne(ticket: Ticket, admitted: Admitted, nowMs: number): void {
    const { parked, state } = this.#journal;
    const change = parked.findByTicket(ticket);
    if (!change || state.source().paused === 1) return;
    const grant = this.#grant(change, nowMs);
    const { permits, waitUntilMs } = this.#permits(grant.change, nowMs);
    if (!permits) {
      parked.defer(ticket, { nowMs, dueMs: waitUntilMs });
      return;
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

  #takeOne({ changeNumber, attempt, lastLsn, evidenceVersion, outcome }: TicketResult, nowMs: number): void {
    const ticket = { changeNumber, attempt };
    const parked = this.#journal.parked.findByTicket(ticket);
    if (!parked) return;
    if (outcome.kind === 'deferred') {
      this.#journal.parked.defer(ticket, { nowMs, dueMs: nowMs + this.#deferredMs(parked, outcome.reason, nowMs) });
      return;
    }
    const judged: Outcome = outcome.kind === 'unanswered' ? { ...outcome, kind: 'park' } : outcome;
    const lsnBefore = this.#journal.state.lastLsn();
    const retry = { parked, outcome: judged, lastLsn, evidenceVersion, nowMs };
    const isTaken = !this.#isPending(parked.key) && this.#accept(retry);
    if (isTaken) this.#log(parked, this.#journal.state.lastLsn() - lsnBefore);
    else this.#journal.parked.defer(ticket, { nowMs, dueMs: nowMs + this.#pace.waitMs });
  }

  /** A change whose rows SQLite refuses stays parked. */
  #accept(retry: Parameters<Journal['acceptRetry']>[0]): boolean {
    const change = { ...retry.parked, deleted: retry.parked.deleted === 1, skip: null };
    const accepted = [{ change, outcome: retry.outcome }];
    return appendOrPark(this.#journal, { accepted, nowMs: retry.nowMs }, ([taken]) =>
      this.#journal.acceptRetry({ ...retry, outcome: taken!.outcome }),
    );
  }

  /** Logs an attempt that counted. Its result is read back, because an attempt may bring what was known already. */
  #log({ change_number, key, attempts }: ParkedChange, rows: number): void {
    const left = this.#journal.parked.find(change_number);
    if (left?.attempts === attempts) return;
    const state = left ? (left.died_ms === null ? 'parked' : 'dead') : rows > 0 ? 'rows' : 'skipped';
    const facts = { key, attempt: attempts + 1, state, rows, reason: left?.reason ?? null };
    this.#ports.log('retry_accepted', { source: this.#source.id, ...facts });
  }

  /** How long a change waits whose load was deferred. */
  #deferredMs(parked: ParkedChange, reason: string, nowMs: number): number {
    // Load it alone the next time where it was too large for a shared call, or the call died.
    if (reason === 'large' || reason === 'died')
      this.#journal.state.suspectChange(parked.cursor, { deaths: 0, throttled: 0 });
    const blockedMs = this.#admission.blockedMs(this.#requests(this.#changeOf(parked, nowMs)), nowMs);
    return Math.max(this.#pace.waitMs, blockedMs);
  }

  #grant(parked: ParkedChange, nowMs: number): Grant {
    const change = this.#changeOf(parked, nowMs);
    const evidence = this.#journal.evidence?.of(parked.key).evidence;
    return {
      ticket: ticketOf(parked),
      change: evidence ? { ...change, evidence } : change,
      lastLsn: this.#journal.state.lastLsnOf(parked.key),
      documentBytes: this.#source.documentBytes ?? this.#journal.state.documentBytesOf(parked.key),
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

  /** The change as it is loaded now: without the hosts beside its server's where one of them is blocked. */
  #changeOf({ key, cursor, deleted, revision }: ParkedChange, nowMs: number): Grant['change'] {
    const visit = this.#journal.agenda?.visitOf(key);
    if (visit?.moreHosts?.some(host => this.#admission.isBlocked(host, nowMs))) visit.moreHosts = [];
    const change = { key, cursor, deleted: deleted === 1, revision, skip: null, ...visit };
    return this.#journal.round ? this.#journal.round.withFacts(change) : change;
  }

  /** A retry fetches deleted items as well, so their requests count. */
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
