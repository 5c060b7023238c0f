import { CATALOG_RETENTION_MS } from '../../../src/engine/publish/catalog.ts';
import { rootKey } from '../../../src/lake/object-keys.ts';
import { readCatalog } from '../world/catalog.ts';
import type { World } from '../world/world.ts';

/** A root that was read, the objects it named, and when another root replaced it. */
interface ReadRoot {
  bytes: Uint8Array;
  objects: { key: string; bytes: Uint8Array }[];
  replacedMs: number | null;
}

/**
 * Reads every table's catalog before and after each call, and again all objects that it read in the last hour. A catalog
 * must be whole and never older than before, and no object of it may change.
 */
export class CatalogReader {
  violation: Error | null = null;
  reads = 0;
  readonly #world: World;
  readonly #roots = new Map<string, ReadRoot[]>();
  readonly #newest = new Map<string, { snapshot: number; lastLsn: number }>();

  constructor(world: World) {
    this.#world = world;
    world.calls.before(() => this.read());
    world.calls.after(() => this.read());
  }

  /** Stores the first error, because an error thrown here would count as a failure of the call. */
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
    const { bucket } = this.#world;
    const roots = this.#roots.get(table) ?? [];
    this.#roots.set(table, roots);
    const bytes = bucket.objects.get(rootKey(table))?.bytes;
    if (!bytes && roots.length > 0) throw new Error(`${table}: expected a root to stay, got none`);
    if (bytes && roots.at(-1)?.bytes !== bytes) this.#readRoot(table, bytes, roots);
    for (const root of roots) this.#readAgain(root);
  }

  #readRoot(table: string, bytes: Uint8Array, roots: ReadRoot[]): void {
    const { bucket, clock } = this.#world;
    this.reads += 1;
    const { snapshot, totals, segments } = readCatalog(bucket, table)!.root;
    const { last_lsn: lastLsn } = totals;
    const before = this.#newest.get(table) ?? { snapshot: 0, lastLsn: 0 };
    if (snapshot < before.snapshot || lastLsn < before.lastLsn)
      throw new Error(
        `${table}: expected snapshot ${before.snapshot} up to ${before.lastLsn} or later, got ${snapshot} up to ${lastLsn}`,
      );
    this.#newest.set(table, { snapshot, lastLsn });
    if (snapshot === before.snapshot) throw new Error(`${table}: expected one root of snapshot ${snapshot}, got two`);
    for (const root of roots) root.replacedMs ??= clock.elapsedMs;
    const keys = segments.flatMap(({ key, index }) => [key, index]);
    const objects = keys.map(key => ({ key, bytes: bucket.objects.get(key)?.bytes ?? new Uint8Array() }));
    roots.push({ bytes, objects, replacedMs: null });
  }

  #readAgain({ objects, replacedMs }: ReadRoot): void {
    const { bucket, clock } = this.#world;
    if (replacedMs !== null && clock.elapsedMs - replacedMs >= CATALOG_RETENTION_MS) return;
    for (const { key, bytes } of objects) {
      const stored = bucket.objects.get(key)?.bytes;
      if (!stored) throw new Error(`${key}: expected what a root names to stay for an hour, got nothing`);
      if (stored !== bytes && Buffer.compare(stored, bytes) !== 0)
        throw new Error(`${key}: expected it never to change, got another`);
    }
  }
}
