import { LIMITS } from '../config.ts';
import { messageOf } from '../errors.ts';
import type { Change } from '../ports/change.ts';
import type { HostTally, Permit } from '../ports/hosts.ts';
import { callLoader, loadRequest } from '../ports/load-call.ts';
import type { LoadPort } from '../ports/loader.ts';
import type { ClockPort, LogPort } from '../ports/platform.ts';
import type { Admitted, AdmittedCall, HandedBack, Ticket, TicketResult } from '../ports/queues.ts';

/** The object of a source, as the consumer of tickets calls it. */
export interface TicketObject {
  admitTickets(tickets: Ticket[]): Promise<Admitted>;
  takeBack(handedBack: HandedBack): Promise<void>;
}

const KILLS_LOADER: TicketResult['outcome'] = {
  kind: 'park',
  reason: 'document-kills-loader',
  detail: 'its Loader died again',
  retryAfterMs: null,
};

interface LoadOptions {
  load: LoadPort;
  clock: Pick<ClockPort, 'now' | 'within'>;
}

/**
 * Presents tickets of one source to its object, loads afresh what it admits, and hands back the results. Holds nothing:
 * when it dies anywhere, the object hears nothing and sends the tickets again. Every call has a deadline, so that nothing
 * that hangs holds the queue. Throws what the object throws.
 */
export async function presentTickets({
  tickets,
  object,
  ...options
}: { tickets: Ticket[]; object: TicketObject } & LoadOptions): Promise<void> {
  const { clock } = options;
  // Ask the object which of the changes are still parked and may be loaded now.
  const admitting = object.admitTickets(tickets);
  const { calls, prepare } = await clock.within(admitting, LIMITS.queueCallMsMax, 'admission of tickets');
  if (calls.length === 0) return;
  // Fetch what the changes share; loads do without it when that fails.
  const changes = calls.flatMap(({ grants }) => grants.map(({ change }) => change));
  const { prepared, hosts } = await prepareFor(changes, prepare, options);
  // Load one call after the other, because a call of many shares a budget that one large document may need alone.
  for (const call of calls) {
    const { hosts: asked, ...result } = await loadCall(call, prepared, options);
    const takingBack = object.takeBack({ ...result, hosts: [...hosts.splice(0), ...asked] });
    await clock.within(takingBack, LIMITS.queueCallMsMax, 'results of tickets');
  }
}

async function prepareFor(
  changes: Change[],
  permits: Permit[],
  { load, clock }: LoadOptions,
): Promise<{ prepared: unknown; hosts: HostTally[] }> {
  if (permits.length === 0) return { prepared: null, hosts: [] };
  const preparing = load.run('prepare', { changes, permits });
  const ms = LIMITS.sliceLoadMsMax + LIMITS.recoveryMs;
  const answer = await clock.within(preparing, ms, `prepare of ${changes.length} changes`).catch(() => null);
  return { prepared: answer?.ok ? answer.value : null, hosts: answer?.hosts ?? [] };
}

async function loadCall(
  { alone, grants, permits }: AdmittedCall,
  prepared: unknown,
  { load, clock }: LoadOptions,
): Promise<HandedBack> {
  const startedMs = clock.now();
  const request = loadRequest({
    changes: grants.map(({ change }) => change),
    prepared,
    permits,
    afresh: true,
    alone,
    callsAtOnce: LIMITS.loadCallsAtOnce,
    knownBytes: grants.map(({ documentBytes }) => documentBytes),
    deadlineAtMs: startedMs + LIMITS.sliceLoadMsMax,
  });
  const ms = LIMITS.sliceLoadMsMax + LIMITS.recoveryMs;
  const call = () => clock.within(load.run('load', request), ms, `load of ${grants.length} tickets`);
  const answer = await callLoader(call, { alone, load, clock });
  const resultsOf = (outcomeAt: (index: number) => TicketResult['outcome']): TicketResult[] =>
    grants.map(({ ticket, lastLsn, change: { evidence } }, index) => {
      const evidenceVersion = evidence?.version ?? null;
      return { ...ticket, lastLsn, evidenceVersion, outcome: outcomeAt(index) };
    });
  if ('died' in answer) {
    const outcome = answer.died === 'document' ? KILLS_LOADER : ({ kind: 'deferred', reason: 'died' } as const);
    return { results: resultsOf(() => outcome), hosts: [], loadMs: null };
  }
  // A failure of one of our own parts counts as no attempt at any of the changes.
  const deferred = { kind: 'deferred', reason: 'deadline' } as const;
  const results = resultsOf(index => (answer.ok ? answer.value[index]! : deferred));
  return { results, hosts: answer.hosts, loadMs: clock.now() - startedMs };
}

/** The part of a queue's batch that is used. */
interface TicketBatch {
  queue: string;
  messages: readonly { body: unknown; ack(): void; retry(): void }[];
}

interface ConsumerOptions {
  objectOf: (source: string) => TicketObject & { expireTickets(tickets: Ticket[]): Promise<void> };
  loadOf: (source: string) => LoadPort;
  clock: LoadOptions['clock'];
  log: LogPort;
}

/** Consumes tickets. Those of a queue named `…-expired` failed too often: their object takes them back as they are. */
export async function consumeTickets(
  { queue, messages }: TicketBatch,
  { objectOf, loadOf, clock, log }: ConsumerOptions,
): Promise<void> {
  const isExpired = queue.endsWith('-expired');
  for (const [source, group] of Map.groupBy(messages, ({ body }) => sourceOf(body))) {
    if (source === null) {
      log('ticket_refused', { reason: `${queue}: expected tickets, got ${group.length} messages that are none` });
      for (const message of group) message.ack();
      continue;
    }
    const tickets = group.map(({ body }) => ticketOf(body as Ticket));
    try {
      if (isExpired) await objectOf(source).expireTickets(tickets);
      else await presentTickets({ tickets, object: objectOf(source), load: loadOf(source), clock });
      for (const message of group) message.ack();
    } catch (error) {
      log('tickets_failed', { source, changes: tickets.length, reason: messageOf(error) });
      for (const message of group) message.retry();
    }
  }
}

/** The source of a ticket; null where the message is not a ticket. */
function sourceOf(body: unknown): string | null {
  const { source, changeNumber, attempt } = (body ?? {}) as Record<string, unknown>;
  const isTicket = typeof source === 'string' && Number.isSafeInteger(changeNumber) && Number.isSafeInteger(attempt);
  return isTicket ? source : null;
}

function ticketOf({ changeNumber, attempt }: Ticket): Ticket {
  return { changeNumber, attempt };
}
