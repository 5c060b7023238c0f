import { waitingUntil } from '../../alarm/backoff.ts';
import { LIMITS } from '../../config.ts';
import { messageOf, StepError } from '../../errors.ts';
import type { Ports } from '../../ports/ports.ts';
import type { JournalOutbox } from '../journal/outbox.ts';

/**
 * Sends keys to the agendas of other sources. A key stays in the outbox until the queue's consumer says that it has
 * arrived.
 */
export class Feeder {
  readonly #source: string;
  readonly #ports: Ports;
  readonly #outbox: JournalOutbox;
  readonly #leaseMs: number;

  constructor({
    source,
    ports,
    outbox,
    leaseMs,
  }: { source: string; ports: Ports; outbox: JournalOutbox; leaseMs: number }) {
    this.#source = source;
    this.#ports = ports;
    this.#outbox = outbox;
    this.#leaseMs = leaseMs;
  }

  /**
   * Sends due keys. Each is deferred before it is sent, so that an object that dies meanwhile sends it again. Throws
   * `queue-failed`.
   */
  async send(): Promise<void> {
    const nowMs = this.#ports.clock.now();
    for (const [target, keys] of Map.groupBy(this.#outbox.due(nowMs, LIMITS.feedKeysPerRun), key => key.target)) {
      const ids = keys.map(({ id }) => id);
      this.#outbox.defer(ids, nowMs + this.#leaseMs);
      const sent = this.#ports.feeds.send(
        target,
        keys.map(({ id, key }) => ({ id, key })),
      );
      try {
        await this.#ports.clock.within(sent, LIMITS.queueCallMsMax, `send of ${keys.length} keys`);
      } catch (error) {
        this.#outbox.defer(ids, nowMs);
        throw error instanceof StepError ? error : new StepError('queue-failed', messageOf(error));
      }
      this.#ports.log('keys_sent', { source: this.#source, target, keys: keys.length });
    }
  }

  /** When the next key is due; null when there is none. */
  nextMs(nowMs: number): number | null {
    const dueMs = this.#outbox.nextDueMs();
    return dueMs === null ? null : waitingUntil(dueMs, nowMs, this.#leaseMs);
  }
}
