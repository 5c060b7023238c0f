import type { Admitted, HandedBack, LoadPort } from '../../src/engine/ports.ts';
import type { Ticket } from '../../src/failures/parked.ts';
import { bringTickets } from '../../src/failures/tickets.ts';
import { loadPort } from './ports.ts';
import type { World } from './world.ts';

/** What a consumer is given at once, and how long the queue waits for so many. */
const BATCH_SIZE = 10;
const BATCH_WAIT_MS = 1_000;
/** Deliveries of one batch before it is given up, and what lies between them. */
const DELIVERIES_MAX = 3;
const REDELIVERY_MS = 30_000;

/** What becomes of one batch on its way: nothing, or how long each of its copies takes. */
export type Delivery = (batch: Ticket[]) => { delaysMs: number[] };

/** A queue of tickets and its consumers. Each consumer lives on when the object dies, and calls whoever is its instance then. */
export class SimulatedQueue {
  /** Batches delivered so far. */
  deliveries = 0;
  deliver: Delivery = () => ({ delaysMs: [0] });
  /** The Loader that consumers have, where it is not that of the simulated source. */
  load: LoadPort | null = null;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  send(tickets: Ticket[]): void {
    for (let first = 0; first < tickets.length; first += BATCH_SIZE) {
      const batch = tickets.slice(first, first + BATCH_SIZE);
      for (const delayMs of this.deliver(batch).delaysMs) void this.#deliver(batch, BATCH_WAIT_MS + delayMs, 1);
    }
  }

  async #deliver(tickets: Ticket[], delayMs: number, delivery: number): Promise<void> {
    const { clock } = this.#world;
    await clock.sleep(delayMs);
    this.deliveries += 1;
    try {
      await this.#consume(tickets);
    } catch {
      if (delivery < DELIVERIES_MAX) return this.#deliver(tickets, REDELIVERY_MS, delivery + 1);
      await this.#call('queue.expire', () => this.#world.engine.expire(tickets)).catch(() => undefined);
    }
  }

  #consume(tickets: Ticket[]): Promise<void> {
    const { calls, clock } = this.#world;
    const office = {
      admitTickets: (brought: Ticket[]): Promise<Admitted> =>
        this.#call('queue.admit', () => this.#world.engine.retries.admit(brought)),
      takeBack: (handedBack: HandedBack) => this.#call('queue.take', () => this.#world.engine.takeBack(handedBack)),
    };
    const load = this.load ?? loadPort(this.#world, (call, effect) => calls.make(`queue.${call}`, effect));
    return bringTickets({ tickets, office, load, now: () => clock.now() });
  }

  /** A call of the object: its answer waits until what it wrote is safe. What crosses is a copy. */
  #call<T>(call: string, effect: () => T | Promise<T>): Promise<T> {
    const { calls, storage } = this.#world;
    return calls.make(call, async () => {
      const answer = await effect();
      storage.flush();
      return structuredClone(answer);
    });
  }
}
