import type { Ticket } from '../engine/journal/parked.ts';
import { messageOf } from '../errors.ts';
import type { LogFields } from '../log.ts';
import type { LoadPort } from '../ports/ports.ts';
import { bringTickets, type TicketOffice } from './tickets.ts';

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
