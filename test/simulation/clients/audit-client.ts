import type { KeyPage } from '../../../src/ports/change.ts';
import { sweepRow } from '../oracle/audit-proof.ts';
import { Damage } from '../world/damage.ts';
import { type Faults, pick, type Random } from '../world/faults.ts';
import { coalescing } from '../world/sources.ts';
import type { World } from '../world/world.ts';
import type { ClientAction } from './clients.ts';
import type { LetterClient } from './letter-client.ts';
import type { PushClient } from './push-client.ts';

/** Upstream has at most this many keys; the feed shows those below 30. */
const KEYS_MAX = 70;
/** More than the object keeps parked at once of the keys that a sweep found missing. */
const GAP_KEYS = 35;
const SAMPLES = [0.3, 0.7];

/**
 * Starts sweeps and self-checks, hides changes from the feed, damages files, and knows which keys a sweep may report
 * because of that.
 */
export class AuditClient {
  /** False in most worlds, because sweeps and self-checks take long. */
  isEnabled = false;
  hasLostStorage = false;
  /** Keys that the last sweep had loaded: from then on they must have a row, whatever excused them before. */
  reloadedKeys: ReadonlySet<string> = new Set();
  readonly damage: Damage;
  readonly #world: World;
  readonly #letters: LetterClient;
  readonly #pushes: PushClient;
  /** Keys with a change that the feed never showed. */
  readonly #silent = new Set<string>();
  /** Keys that upstream had before the tail's first cursor. */
  #early: ReadonlySet<string> = new Set();
  /** How often a page of the listing left out a key. */
  readonly #leftOut = new Map<string, number>();
  /** The keys listed since a sweep started, and that sweep's id. */
  #listed = { sweep: 0, keys: new Set<string>() };

  constructor(world: World, { letters, pushes }: { letters: LetterClient; pushes: PushClient }) {
    this.#world = world;
    this.#letters = letters;
    this.#pushes = pushes;
    this.damage = new Damage(world);
  }

  draw(random: Random): ClientAction {
    const chance = random();
    if (this.#world.kind !== coalescing || chance < 0.25)
      return { kind: 'self-check requested', run: () => this.check() };
    if (chance < 0.5) return { kind: 'sample sweep requested', run: () => this.sweep(pick(random, SAMPLES)) };
    return { kind: 'sweep requested', run: () => this.sweep(1) };
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

  /** The tail starts after all that upstream has now. */
  startLate(): void {
    this.#early = new Set(this.#world.upstream.items.keys());
  }

  /** Changes or removes documents without showing it in the feed; sometimes many at once. */
  changeSilently(random: Random): void {
    const { upstream } = this.#world;
    const isGap = random() < 0.15;
    for (let count = isGap ? GAP_KEYS : 1 + Math.floor(random() * 3); count > 0; count--) {
      const key = `package-${Math.floor(random() * KEYS_MAX)}`;
      const isHeld = upstream.items.get(key)?.deleted === false;
      upstream.changeSilently(key, { deleted: isHeld && !isGap && random() < 0.6 });
      this.#silent.add(key);
    }
  }

  /** From now on some pages of the listing are short, or list keys twice, or leave keys out. */
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

  /** Whether a sweep may find a key missing: the feed need not have shown it, or its change was dismissed. */
  mayBeMissing(key: string): boolean {
    const isDismissed = [...this.#letters.dismissed].some(cursor => cursor.startsWith(`${key}@`));
    return this.#silent.has(key) || this.#early.has(key) || isDismissed;
  }

  /** Whether a sweep may find that upstream does not have a key. */
  mayBeExtra(key: string): boolean {
    const isUnlisted = (this.#leftOut.get(key) ?? 0) > 1;
    return this.#silent.has(key) || isUnlisted || this.isPushed(key) || this.#world.upstream.lagged.has(key);
  }

  /** Changes that the feed does not show, as `<key>@<cursor>`: only a sweep must bring their rows. */
  get unshown(): string[] {
    const { items, silent } = this.#world.upstream;
    return [...silent].map(key => `${key}@${items.get(key)!.seq}`);
  }

  isPushed(key: string): boolean {
    return this.#pushes.has(key);
  }

  /**
   * Dead changes of keys that upstream removed without showing it: a replay cannot load them. Those of a sweep end. So are
   * older changes, which a range loads, of a removed key whose newest row was pushed.
   */
  get deadUnshown(): number {
    const statement = 'SELECT key FROM parked WHERE died_ms IS NOT NULL AND from_sweep = 0';
    const dead = this.#world.storage.sql.exec<{ key: string }>(statement);
    const isRemoved = (key: string) => this.#world.upstream.items.get(key)?.deleted === true;
    return dead.filter(({ key }) => this.#silent.has(key) || (this.isPushed(key) && isRemoved(key))).length;
  }

  /** Keys listed since a sweep started; null when this client did not start it. */
  listedIn(sweep: number): ReadonlySet<string> | null {
    return this.#listed.sweep === sweep ? this.#listed.keys : null;
  }

  /** Without its storage the object no longer knows which files it checked: nothing may stay damaged. */
  onStorageLost(): void {
    this.hasLostStorage = true;
    this.damage.restore();
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
