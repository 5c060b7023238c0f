import type { LoadPort } from '../../../src/ports/loader.ts';
import type { ClockPort } from '../../../src/ports/platform.ts';
import type { Admitted, HandedBack, Ticket } from '../../../src/ports/queues.ts';
import { presentTickets } from '../../../src/queues/tickets.ts';
import { loadPort } from './ports.ts';
import type { World } from './world.ts';

/** What a consumer is given at once, and how long the queue waits for so many. */
const BATCH_SIZE = 10;
const BATCH_WAIT_MS = 1_000;
/** Deliveries of one batch before it is given up, and what lies between them. */
const DELIVERIES_MAX = 3;
const REDELIVERY_MS = 30_000;

/** What becomes of one batch on its way. */
export interface Delivered {
  /** How long each of its copies takes; none of a batch that is lost. */
  delaysMs: number[];
  /** Its object is only told that it was given up. */
  expires?: boolean;
  /** Its consumer is gone, and the batch with it, after so many calls. */
  callsMax?: number;
}

export type Delivery = (batch: Ticket[]) => Delivered;

/** What a consumer that is gone hears. */
const NEVER = new Promise<never>(() => undefined);

/** A queue of tickets and its consumers. Each consumer lives on when the object dies, and calls whoever is its instance then. */
export class SimulatedQueue {
  /** Batches delivered so far. */
  deliveries = 0;
  deliver: Delivery = () => ({ delaysMs: [0] });
  /** The Loader that consumers have, where it is not that of the simulated source. */
  load: LoadPort | null = null;
  /** The last look at each change that tickets were sent for. */
  readonly lastSent = new Map<number, number>();
  /** Told of what the object lets be loaded. */
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

  async #deliver(tickets: Ticket[], way: { delayMs: number; delivery: number; callsMax: number }): Promise<void> {
    const { clock } = this.#world;
    const { delayMs, delivery, callsMax } = way;
    await clock.sleep(delayMs);
    this.deliveries += 1;
    try {
      if (delivery <= DELIVERIES_MAX) await this.#consume(tickets, callsMax);
      else await this.#world.ask('queue.expire', engine => engine.expire(tickets));
    } catch {
      // Who tells of expired tickets may fail too, and is not called again.
      if (delivery < DELIVERIES_MAX) await this.#again(tickets, { ...way, delayMs: REDELIVERY_MS });
      else if (delivery === DELIVERIES_MAX) await this.#again(tickets, { ...way, delayMs: 0 });
    }
  }

  #again(tickets: Ticket[], way: { delayMs: number; delivery: number; callsMax: number }): Promise<void> {
    return this.#deliver(tickets, { ...way, delivery: way.delivery + 1 });
  }

  #consume(tickets: Ticket[], callsMax: number): Promise<void> {
    const { calls, clock } = this.#world;
    let callsLeft = callsMax;
    const heard = <T>(answer: Promise<T>): Promise<T> => {
      callsLeft -= 1;
      return callsLeft < 0
        ? answer.then(
            () => NEVER,
            () => NEVER,
          )
        : answer;
    };
    const object = {
      admitTickets: (brought: Ticket[]) =>
        heard(
          this.#world.ask('queue.admit', ({ retries }) => {
            const admitted = retries.admit(brought);
            this.onAdmit(admitted);
            return admitted;
          }),
        ),
      takeBack: (handedBack: HandedBack) => heard(this.#world.ask('queue.take', engine => engine.takeBack(handedBack))),
    };
    const own = loadPort(this.#world, (call, effect) => heard(calls.make(`queue.${call}`, effect)));
    // A dead consumer waits for nothing: it must not see a deadline pass either.
    const within: ClockPort['within'] = (work, ms, subject) =>
      callsLeft < 0 ? NEVER : clock.within(work, ms, subject);
    const consumer = { load: this.load ?? own, clock: { now: () => clock.now(), within } };
    return presentTickets({ tickets, object, ...consumer });
  }
}
