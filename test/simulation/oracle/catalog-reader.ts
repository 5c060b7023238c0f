import { LIMITS } from '../../../src/config.ts';
import { rootKey } from '../../../src/lake/object-keys.ts';
import { readCatalog } from '../world/catalog.ts';
import type { World } from '../world/world.ts';

/** A root somebody has read, what it named, and since when it no longer stands. */
interface ReadRoot {
  bytes: Uint8Array;
  objects: { key: string; bytes: Uint8Array }[];
  replacedMs: number | null;
}

/**
 * Reads every table's catalog before and after each call anybody makes, and again what was named by the roots it read
 * that were replaced less than an hour ago. What it finds must be whole, never less than before, and stay as it was.
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
    const { bucket } = this.#world;
    const known = this.#known.get(table) ?? [];
    this.#known.set(table, known);
    const bytes = bucket.objects.get(rootKey(table))?.bytes;
    if (!bytes && known.length > 0) throw new Error(`${table}: expected a root to stay, got none`);
    if (bytes && known.at(-1)?.bytes !== bytes) this.#readRoot(table, bytes, known);
    for (const root of known) this.#readAgain(root);
  }

  #readRoot(table: string, bytes: Uint8Array, known: ReadRoot[]): void {
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
    for (const root of known) root.replacedMs ??= clock.elapsedMs;
    const keys = segments.flatMap(({ key, index }) => [key, index]);
    const objects = keys.map(key => ({ key, bytes: bucket.objects.get(key)?.bytes ?? new Uint8Array() }));
    known.push({ bytes, objects, replacedMs: null });
  }

  #readAgain({ objects, replacedMs }: ReadRoot): void {
    const { bucket, clock } = this.#world;
    if (replacedMs !== null && clock.elapsedMs - replacedMs >= LIMITS.catalogRetentionMs) return;
    for (const { key, bytes } of objects) {
      const stands = bucket.objects.get(key)?.bytes;
      if (!stands) throw new Error(`${key}: expected what a root names to stay for an hour, got nothing`);
      if (stands !== bytes && Buffer.compare(stands, bytes) !== 0)
        throw new Error(`${key}: expected it never to change, got another`);
    }
  }
}
