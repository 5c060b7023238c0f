import type { KeyPage } from '../../../src/ports/change.ts';
import { sweepRow } from '../oracle/audit-proof.ts';
import { Damage } from '../world/damage.ts';
import { type Faults, pick, type Random } from '../world/faults.ts';
import { coalescing } from '../world/sources.ts';
import type { World } from '../world/world.ts';
import type { DeadLetterDesk } from './dead-letters.ts';
import type { Act } from './people.ts';
import type { PushDesk } from './push-desk.ts';

/** Keys that upstream has at most; the feed shows those below 30. */
const KEYS = 70;
/** More missed changes than wait for their first look at once. */
const GAP_KEYS = 35;
const SAMPLES = [0.3, 0.7];

/** Starts sweeps and self-checks, knows what feed and bucket hide, and says what may be told of it. */
export class AuditDesk {
  /** Somebody looks at this world: most have nobody, since it takes long. */
  isOn = false;
  hasForgotten = false;
  /** Keys that the last sweep found and had loaded: whatever excuses them does so no longer. */
  owed: ReadonlySet<string> = new Set();
  readonly damage: Damage;
  readonly #world: World;
  readonly #letters: DeadLetterDesk;
  readonly #pushes: PushDesk;
  /** Keys that ever changed without a word in the feed. */
  readonly #silent = new Set<string>();
  /** Keys that upstream held before the tail began. */
  #early: ReadonlySet<string> = new Set();
  /** Keys that a page of the listing left out, and how often. */
  readonly #leftOut = new Map<string, number>();
  /** All keys listed since a sweep began. */
  #listed = { sweep: 0, keys: new Set<string>() };

  constructor(world: World, { letters, pushes }: { letters: DeadLetterDesk; pushes: PushDesk }) {
    this.#world = world;
    this.#letters = letters;
    this.#pushes = pushes;
    this.damage = new Damage(world);
  }

  drawn(random: Random): Act {
    const chance = random();
    if (this.#world.kind !== coalescing || chance < 0.25) return { kind: 'self-check asked', act: () => this.check() };
    if (chance < 0.5) return { kind: 'sample swept', act: () => this.sweep(pick(random, SAMPLES)) };
    return { kind: 'swept', act: () => this.sweep(1) };
  }

  sweep(sample: number): Promise<unknown> {
    return this.#world.ask('object.sweep', engine => {
      if (engine.audit.startSweep(sample)) this.#listed = { sweep: sweepRow(this.#world)!.id, keys: new Set() };
      return engine.poke();
    });
  }

  check(): Promise<unknown> {
    return this.#world.ask('object.check', engine => {
      engine.audit.startSelfCheck();
      return engine.poke();
    });
  }

  /** What upstream holds now came before the tail. */
  beginLate(): void {
    this.#early = new Set(this.#world.upstream.items.keys());
  }

  /** Something changes upstream and the feed says nothing of it; now and then much at once. */
  changeSilently(random: Random): void {
    const { upstream } = this.#world;
    const isGap = random() < 0.15;
    for (let count = isGap ? GAP_KEYS : 1 + Math.floor(random() * 3); count > 0; count--) {
      const key = `package-${Math.floor(random() * KEYS)}`;
      const isHeld = upstream.items.get(key)?.deleted === false;
      upstream.changeSilently(key, { deleted: isHeld && !isGap && random() < 0.6 });
      this.#silent.add(key);
    }
  }

  /** Lists as upstreams do: short pages, keys twice, keys left out, each as its draw says. */
  disturbListing(faults: Faults): void {
    this.#world.upstream.alterList = (page, after) => {
      const { id, random } = faults.draw('listing');
      const kind = random() < 0.25 ? pick(random, LISTING_FAULTS) : null;
      const call = `list ${after}`;
      const isDrawn = kind !== null && page.keys.length > 1;
      const happens = isDrawn && faults.happens({ id, kind, atMs: this.#world.clock.elapsedMs, call });
      const { keys, next } = happens ? this.#altered(kind, page, after) : page;
      for (const key of keys) this.#listed.keys.add(key);
      return { keys, next };
    };
  }

  /** Whether a sweep may find a key missing: its feed need not have shown it, or what was shown was not wanted. */
  mayMiss(key: string): boolean {
    const isDismissed = [...this.#letters.dismissed].some(cursor => cursor.startsWith(`${key}@`));
    return this.#silent.has(key) || this.#early.has(key) || isDismissed;
  }

  /** Whether a sweep may find that upstream does not have a key. */
  mayBeExtra(key: string): boolean {
    const isUnlisted = (this.#leftOut.get(key) ?? 0) > 1;
    return this.#silent.has(key) || isUnlisted || this.isPushed(key) || this.#world.upstream.lagged.has(key);
  }

  /** Key and place of what the feed does not show: nobody owes a row of it but a sweep. */
  get unshown(): string[] {
    const { items, silent } = this.#world.upstream;
    return [...silent].map(key => `${key}@${items.get(key)!.seq}`);
  }

  isPushed(key: string): boolean {
    return this.#pushes.has(key);
  }

  /** Dead changes of keys that upstream took away without a word: no replay brings them back. A sweep's own end. */
  get deadSilently(): number {
    const statement = 'SELECT key FROM parked WHERE died_ms IS NOT NULL AND from_sweep = 0';
    const dead = this.#world.storage.sql.exec<{ key: string }>(statement);
    return dead.filter(({ key }) => this.#silent.has(key)).length;
  }

  /** Keys listed since a sweep began; null where that was not seen. */
  listedIn(sweep: number): ReadonlySet<string> | null {
    return this.#listed.sweep === sweep ? this.#listed.keys : null;
  }

  /** The object lost its storage, and with it what it had looked at. What is damaged must not stay so. */
  forget(): void {
    this.hasForgotten = true;
    this.damage.putBack();
  }

  #altered(kind: (typeof LISTING_FAULTS)[number], { keys, next }: KeyPage, after: string | null): KeyPage {
    const [first, ...rest] = keys as [string, ...string[]];
    if (kind === 'short page') return { keys: [first], next: first };
    if (kind === 'keys listed twice') return { keys: [first, first, ...rest], next };
    if (kind === 'page overlaps') return { keys: [after ?? first, ...keys], next };
    this.#leftOut.set(first, (this.#leftOut.get(first) ?? 0) + 1);
    return { keys: rest, next };
  }
}

const LISTING_FAULTS = ['short page', 'keys listed twice', 'page overlaps', 'key left out'] as const;
