import { LIMITS } from '../config.ts';
import { messageOf } from '../errors.ts';
import type { LogFields } from '../log.ts';
import type { HostTally } from '../ports/hosts.ts';
import type { LoadPort } from '../ports/loader.ts';
import type { Admitted, AdmittedCall, HandedBack, Ticket, TicketResult } from '../ports/queues.ts';

/** A source's object as whoever brings tickets sees it. */
export interface TicketOffice {
  admitTickets(tickets: Ticket[]): Promise<Admitted>;
  takeBack(handedBack: HandedBack): Promise<void>;
}

/**
 * Brings tickets of one source to its object, loads afresh what it grants, and hands back what came of it. Holds
 * nothing: when it dies anywhere, the object hears nothing and hands the tickets out again. Throws what the object
 * throws.
 */
export async function bringTickets({
  tickets,
  office,
  load,
  now,
}: {
  tickets: Ticket[];
  office: TicketOffice;
  load: Pick<LoadPort, 'prepare' | 'load' | 'ping'>;
  now: () => number;
}): Promise<void> {
  const { calls, prepare } = await office.admitTickets(tickets);
  if (calls.length === 0) return;
  const changes = calls.flatMap(({ grants }) => grants.map(({ change }) => change));
  const hosts: HostTally[] = [];
  let prepared: unknown = null;
  if (prepare.length > 0) {
    // What is fetched in bulk is a help only: loads do without.
    const answer = await load.prepare(changes, prepare).catch(() => null);
    hosts.push(...(answer?.hosts ?? []));
    prepared = answer?.ok ? answer.value : null;
  }
  // One after the other: a call of many shares a budget that one large document may need alone.
  for (const call of calls) {
    const { hosts: asked, ...came } = await loadCall(call, { load, prepared, now });
    await office.takeBack({ ...came, hosts: [...hosts.splice(0), ...asked] });
  }
}

async function loadCall(
  call: AdmittedCall,
  { load, prepared, now }: { load: Pick<LoadPort, 'load' | 'ping'>; prepared: unknown; now: () => number },
): Promise<HandedBack> {
  const { alone, grants, permits } = call;
  const results = (outcomes: TicketResult['outcome'][]): TicketResult[] =>
    grants.map(({ ticket, lastLsn }, index) => ({ ...ticket, lastLsn, outcome: outcomes[index]! }));
  const startedMs = now();
  try {
    const answer = await load.load({
      changes: grants.map(({ change }) => change),
      prepared,
      permits,
      afresh: true,
      large: alone,
      budgetBytes: alone ? LIMITS.loadBytesMax : LIMITS.loadBytesMax / LIMITS.loadCallsAtOnce,
      knownBytes: grants.map(({ documentBytes }) => documentBytes),
      rowBytesMax: LIMITS.sliceRowBytesMax / LIMITS.loadCallsAtOnce,
      deadlineAtMs: startedMs + LIMITS.sliceLoadMsMax,
    });
    // One of our own parts failed: that is no look at any of them.
    const outcomes = answer.ok ? answer.value : grants.map(() => ({ kind: 'deferred', reason: 'deadline' }) as const);
    return { results: results(outcomes), hosts: answer.hosts, loadMs: now() - startedMs };
  } catch {
    const isDocuments =
      alone &&
      (await load.ping().then(
        () => true,
        () => false,
      ));
    const died = isDocuments
      ? ({
          kind: 'park',
          reason: 'document-kills-loader',
          detail: 'its Loader died again',
          retryAfterMs: null,
        } as const)
      : ({ kind: 'deferred', reason: 'died' } as const);
    return { results: results(grants.map(() => died)), hosts: [], loadMs: null };
  }
}

/** What is used of a batch that a queue delivers. */
interface TicketBatch {
  queue: string;
  messages: readonly { body: unknown; ack(): void; retry(): void }[];
}

interface Parts {
  /** A source's object. */
  office: (source: string) => TicketOffice & { expireTickets(tickets: Ticket[]): Promise<void> };
  load: (source: string) => Pick<LoadPort, 'prepare' | 'load' | 'ping'>;
  now: () => number;
  log: (event: string, fields: LogFields) => void;
}

/** Consumes tickets. Those of a queue named `…-expired` have gone round too often: their object is only told. */
export async function consumeTickets(
  { queue, messages }: TicketBatch,
  { office, load, now, log }: Parts,
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
      if (isExpired) await office(source).expireTickets(tickets);
      else await bringTickets({ tickets, office: office(source), load: load(source), now });
      for (const message of group) message.ack();
    } catch (error) {
      log('tickets_failed', { source, changes: tickets.length, reason: messageOf(error) });
      for (const message of group) message.retry();
    }
  }
}

/** The source of a ticket; null of a message that is none. */
function sourceOf(body: unknown): string | null {
  const { source, changeNumber, attempt } = (body ?? {}) as Record<string, unknown>;
  const isTicket = typeof source === 'string' && Number.isSafeInteger(changeNumber) && Number.isSafeInteger(attempt);
  return isTicket ? source : null;
}

function ticketOf({ changeNumber, attempt }: Ticket): Ticket {
  return { changeNumber, attempt };
}
