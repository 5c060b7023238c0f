import type { LoadPort } from '../../../src/ports/loader.ts';
import type { ClockPort } from '../../../src/ports/platform.ts';
import type { Admitted, HandedBack, Ticket } from '../../../src/ports/queues.ts';
import { presentTickets } from '../../../src/queues/tickets.ts';
import { loadPort } from './ports.ts';
import type { World } from './world.ts';

/** Tickets in a batch, and how long the queue waits for that many. */
const BATCH_SIZE = 10;
const BATCH_WAIT_MS = 1_000;
/** Deliveries of a batch before the queue gives it up, and the time between them. */
const DELIVERIES_MAX = 3;
const REDELIVERY_MS = 30_000;

/** How one batch is delivered. */
export interface DeliveryPlan {
  /** The delay of each of its copies; empty when the batch is lost. */
  delaysMs: number[];
  /** The batch is given up before its first delivery. */
  expires?: boolean;
  /** The consumer dies after this many calls, and the batch is lost. */
  callsMax?: number;
}

/** The answer to a call of a dead consumer. */
const NEVER = new Promise<never>(() => undefined);

/** A queue of tickets and its consumers. A consumer lives on when the object dies, and calls the next instance. */
export class SimulatedQueue {
  /** Batches delivered so far. */
  deliveries = 0;
  deliver: (batch: Ticket[]) => DeliveryPlan = () => ({ delaysMs: [0] });
  /** The Loader of the consumers; null for that of the simulated source. */
  load: LoadPort | null = null;
  /** By change number: the last attempt that a ticket was sent for. */
  readonly lastSent = new Map<number, number>();
  /** Called with the tickets that the object admits. */
  onAdmit: (admitted: Admitted) => void = () => undefined;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  send(tickets: Ticket[]): void {
    for (const { changeNumber, attempt } of tickets)
      this.lastSent.set(changeNumber, Math.max(attempt, this.lastSent.get(changeNumber) ?? 0));
    for (let first = 0; first < tickets.length; first += BATCH_SIZE) {
      const batch = tickets.slice(first, first + BATCH_SIZE);
      const { delaysMs, expires = false, callsMax = Number.POSITIVE_INFINITY } = this.deliver(batch);
      const delivery = expires ? DELIVERIES_MAX + 1 : 1;
      for (const delayMs of delaysMs)
        void this.#deliver(batch, { delayMs: BATCH_WAIT_MS + delayMs, delivery, callsMax });
    }
  }

  async #deliver(tickets: Ticket[], options: { delayMs: number; delivery: number; callsMax: number }): Promise<void> {
    const { clock } = this.#world;
    const { delayMs, delivery, callsMax } = options;
    await clock.sleep(delayMs);
    this.deliveries += 1;
    try {
      if (delivery <= DELIVERIES_MAX) await this.#consume(tickets, callsMax);
      else await this.#world.ask('queue.expire', engine => engine.expire(tickets));
    } catch {
      // The platform calls the consumer of expired tickets only once, even when that call fails.
      if (delivery < DELIVERIES_MAX) await this.#again(tickets, { ...options, delayMs: REDELIVERY_MS });
      else if (delivery === DELIVERIES_MAX) await this.#again(tickets, { ...options, delayMs: 0 });
    }
  }

  #again(tickets: Ticket[], options: { delayMs: number; delivery: number; callsMax: number }): Promise<void> {
    return this.#deliver(tickets, { ...options, delivery: options.delivery + 1 });
  }

  #consume(tickets: Ticket[], callsMax: number): Promise<void> {
    const { calls, clock } = this.#world;
    let callsLeft = callsMax;
    const whileAlive = <T>(answer: Promise<T>): Promise<T> => {
      callsLeft -= 1;
      return callsLeft < 0
        ? answer.then(
            () => NEVER,
            () => NEVER,
          )
        : answer;
    };
    const object = {
      admitTickets: (presented: Ticket[]) =>
        whileAlive(
          this.#world.ask('queue.admit', ({ retries }) => {
            const admitted = retries.admit(presented);
            this.onAdmit(admitted);
            return admitted;
          }),
        ),
      takeBack: (handedBack: HandedBack) =>
        whileAlive(this.#world.ask('queue.take', engine => engine.takeBack(handedBack))),
    };
    const own = loadPort(this.#world, (call, effect) => whileAlive(calls.make(`queue.${call}`, effect)));
    // A dead consumer must not see a deadline pass either.
    const within: ClockPort['within'] = (work, ms, subject) =>
      callsLeft < 0 ? NEVER : clock.within(work, ms, subject);
    const consumer = { load: this.load ?? own, clock: { now: () => clock.now(), within } };
    return presentTickets({ tickets, object, ...consumer });
  }
}
