import type { VisitOracle } from '../oracle/visit-oracle.ts';
import { pick, type Random } from '../world/faults.ts';
import { coalescing } from '../world/sources.ts';
import type { World } from '../world/world.ts';
import { AgendaClient } from './agenda-client.ts';
import { AuditClient } from './audit-client.ts';
import { LetterClient } from './letter-client.ts';
import { PushClient } from './push-client.ts';
import { RangeClient } from './range-client.ts';

/** A request to the object. It may be refused, or fail because the object dies. */
export interface ClientAction {
  kind: string;
  run: () => Promise<unknown>;
}

/** The clients of one object, for all requests but those that start, pause or flush it. */
export class Clients {
  readonly letters: LetterClient;
  readonly ranges: RangeClient;
  readonly pushes: PushClient;
  readonly audits: AuditClient;
  /** Only for a source with an agenda: the client that adds and removes keys, and the oracle of its visits. */
  agenda: AgendaClient | null = null;
  visits: VisitOracle | null = null;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
    this.letters = new LetterClient(world);
    this.ranges = new RangeClient(world);
    this.pushes = new PushClient(world);
    this.audits = new AuditClient(world, this);
  }

  followAgenda(visits: VisitOracle): void {
    this.visits = visits;
    this.agenda = new AgendaClient(this.#world, visits);
  }

  /** One request of one client; null when that client has nothing to ask. */
  draw(random: Random): ClientAction | null {
    const chance = random();
    if (this.audits.isEnabled && random() < 0.3) return this.audits.draw(random);
    if (this.agenda && chance < 0.5) return this.agenda.draw(random);
    if (this.agenda) return chance < 0.7 ? this.pushes.draw(random) : this.letters.draw(random);
    if (chance < 0.2) return this.#repair(random);
    if (chance < 0.4) return this.pushes.draw(random);
    if (chance < 0.65) return this.ranges.draw(random);
    return this.letters.draw(random);
  }

  /** Ends the fault that parked a change, mostly with a new document of its key, which the tail may just be loading. */
  #repair(random: Random): ClientAction | null {
    const { kind, upstream, engine } = this.#world;
    const parked = engine.journal.parked.due(Number.MAX_SAFE_INTEGER, 10);
    if (kind !== coalescing || parked.length === 0) return null;
    const { key } = pick(random, parked);
    const isNew = random() < 0.7;
    const run = async () => {
      upstream.faults.delete(key);
      if (isNew) upstream.publish(key);
    };
    return { kind: isNew ? 'fault ended, key published' : 'fault ended', run };
  }

  /** Changes that need not have a row, as `<key>@<cursor>`. */
  get excused(): ReadonlySet<string> {
    const changes = [...this.letters.dismissed, ...this.ranges.unrequested(), ...this.audits.unshown];
    return new Set(changes.filter(change => !this.audits.reloadedKeys.has(change.slice(0, change.lastIndexOf('@')))));
  }

  onStorageLost(): void {
    this.letters.onStorageLost();
    this.ranges.onStorageLost();
    this.audits.onStorageLost();
  }
}
