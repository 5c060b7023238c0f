import type { VisitOracle } from '../oracle/visit-oracle.ts';
import { pick, type Random } from '../world/faults.ts';
import { coalescing } from '../world/sources.ts';
import type { World } from '../world/world.ts';
import { AgendaDesk } from './agenda-desk.ts';
import { AuditDesk } from './audit-desk.ts';
import { DeadLetterDesk } from './dead-letters.ts';
import { PushDesk } from './push-desk.ts';
import { RangeDesk } from './range-desk.ts';

/** Something that somebody asks of the object. It may be refused, or end with the object. */
export interface Act {
  kind: string;
  act: () => Promise<unknown>;
}

/** Those who ask more of an object than to start, pause or flush. */
export class People {
  readonly letters: DeadLetterDesk;
  readonly ranges: RangeDesk;
  readonly pushes: PushDesk;
  readonly audits: AuditDesk;
  /** Of a source without a feed: who says what it visits, and what must hold of that. */
  agenda: AgendaDesk | null = null;
  visits: VisitOracle | null = null;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
    this.letters = new DeadLetterDesk(world);
    this.ranges = new RangeDesk(world);
    this.pushes = new PushDesk(world);
    this.audits = new AuditDesk(world, this);
  }

  /** There is no feed, but keys to visit. */
  watch(visits: VisitOracle): void {
    this.visits = visits;
    this.agenda = new AgendaDesk(this.#world, visits);
  }

  /** What one of them does; null where there is nothing to do. */
  drawn(random: Random): Act | null {
    const chance = random();
    if (this.audits.isOn && random() < 0.3) return this.audits.drawn(random);
    if (this.agenda && chance < 0.5) return this.agenda.drawn(random);
    if (this.agenda) return chance < 0.7 ? this.pushes.drawn(random) : this.letters.drawn(random);
    if (chance < 0.2) return this.#published(random);
    if (chance < 0.4) return this.pushes.drawn(random);
    if (chance < 0.65) return this.ranges.drawn(random);
    return this.letters.drawn(random);
  }

  /** What a change failed by passes, mostly with a new document of its key, as its tail may just be loading it. */
  #published(random: Random): Act | null {
    const { kind, upstream, engine } = this.#world;
    const owed = engine.journal.parked.due(Number.MAX_SAFE_INTEGER, 10);
    if (kind !== coalescing || owed.length === 0) return null;
    const { key } = pick(random, owed);
    const isNew = random() < 0.7;
    const act = async () => {
      upstream.faults.delete(key);
      if (isNew) upstream.publish(key);
    };
    return { kind: isNew ? 'mended and published' : 'mended', act };
  }

  /** Keys and places of changes that need not have a row. */
  get excused(): ReadonlySet<string> {
    const places = [...this.letters.dismissed, ...this.ranges.unasked(), ...this.audits.unshown];
    return new Set(places.filter(cursor => !this.audits.owed.has(cursor.slice(0, cursor.lastIndexOf('@')))));
  }

  /** The object lost its storage. */
  forget(): void {
    this.letters.forget();
    this.ranges.forget();
    this.audits.forget();
  }
}
