import { LIMITS } from '../../src/config.ts';
import { rootKey } from '../../src/lake/keys.ts';
import { readCatalog, readCatalogAt } from './catalog.ts';
import type { World } from './world.ts';

/** A root somebody has read, and since when no longer it stands. */
interface ReadRoot {
  text: string;
  files: string;
  replacedMs: number | null;
}

/**
 * Reads every table's catalog before and after each call anybody makes, and again all roots it read that were replaced
 * less than an hour ago: what it finds must be whole, never less than it found before, and the same for each root.
 */
export class CatalogReader {
  /** What was wrong first. */
  violation: Error | null = null;
  reads = 0;
  readonly #world: World;
  readonly #known = new Map<string, ReadRoot[]>();
  readonly #newest = new Map<string, { snapshot: number; lastLsn: number }>();

  constructor(world: World) {
    this.#world = world;
    world.calls.before(() => this.read());
    world.calls.after(() => this.read());
  }

  /** A failure here must not look like one of the call. */
  read(): void {
    try {
      for (const { name } of this.#world.engine.source.tables) this.#readTable(name);
    } catch (error) {
      this.violation ??= error as Error;
    }
  }

  check(): void {
    this.read();
    if (this.violation) throw this.violation;
  }

  #readTable(table: string): void {
    const { bucket, clock } = this.#world;
    const read = readCatalog(bucket, table);
    const known = this.#known.get(table) ?? [];
    this.#known.set(table, known);
    if (read === null) {
      if (known.length > 0) throw new Error(`${table}: expected a root to stay, got none`);
      return;
    }
    this.reads += 1;
    const { snapshot, totals } = read.root;
    const before = this.#newest.get(table) ?? { snapshot: 0, lastLsn: 0 };
    if (snapshot < before.snapshot || totals.last_lsn < before.lastLsn)
      throw new Error(
        `${table}: expected no less than snapshot ${before.snapshot} up to ${before.lastLsn}, got ${snapshot} up to ${totals.last_lsn}`,
      );
    this.#newest.set(table, { snapshot, lastLsn: totals.last_lsn });
    const text = Buffer.from(bucket.objects.get(rootKey(table))!.bytes).toString();
    if (known.at(-1)?.text !== text) {
      if (snapshot === before.snapshot) throw new Error(`${table}: expected one root of snapshot ${snapshot}, got two`);
      for (const root of known) root.replacedMs ??= clock.elapsedMs;
      known.push({ text, files: JSON.stringify(read.files), replacedMs: null });
    }
    for (const root of known) {
      const ageMs = clock.elapsedMs - (root.replacedMs ?? clock.elapsedMs);
      if (ageMs >= LIMITS.catalogKeptMs) continue;
      if (JSON.stringify(readCatalogAt(bucket, root.text).files) !== root.files)
        throw new Error(`${table}: expected a root to name the same files for an hour, got others`);
    }
  }
}
