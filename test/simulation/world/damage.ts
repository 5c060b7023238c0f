import { etagOf } from './bucket.ts';
import { pick, type Random } from './faults.ts';
import type { World } from './world.ts';

const KINDS = [
  'removed',
  'cut at its end',
  'cut in its middle',
  'overwritten at its end',
  'another digest',
  'other bytes',
] as const;

/** Damages data files without the object, and restores them. */
export class Damage {
  /** Keys of files that were ever damaged. */
  readonly everDamaged = new Set<string>();
  readonly #world: World;
  /** The originals of files that were damaged and not restored. */
  readonly #originals = new Map<string, Stored>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Keys of files that are damaged now. */
  get keys(): string[] {
    return [...this.#originals.keys()].filter(key => !this.#isWhole(key)).sort();
  }

  has(key: string): boolean {
    return this.#originals.has(key);
  }

  /** Damage to one more file that the database knows of, because the engine never puts those again; null without one. */
  draw(random: Random): { kind: string; run: () => void } | null {
    const { bucket, database } = this.#world;
    const keys = database.runs().map(run => String(JSON.parse(String(run.data)).key));
    const undamaged = keys.filter(key => !this.has(key) && bucket.objects.has(key));
    if (undamaged.length === 0) return null;
    const key = pick(random, undamaged);
    const kind = pick(random, KINDS);
    return { kind: `file ${kind}`, run: () => this.#do(key, kind) };
  }

  restore(): void {
    for (const [key, stored] of this.#originals) this.#world.bucket.objects.set(key, stored);
    this.#originals.clear();
  }

  /** Also true of a removed file that a late put of a dead instance put again. */
  #isWhole(key: string): boolean {
    const [before, now] = [this.#originals.get(key)!, this.#world.bucket.objects.get(key)];
    return now?.head.metadata.digest === before.head.metadata.digest && Buffer.compare(now!.bytes, before.bytes) === 0;
  }

  #do(key: string, kind: (typeof KINDS)[number]): void {
    const { objects } = this.#world.bucket;
    const stored = objects.get(key)!;
    this.#originals.set(key, stored);
    this.everDamaged.add(key);
    const damaged = kind === 'removed' ? null : damagedBy(kind, stored);
    if (damaged) objects.set(key, damaged);
    else objects.delete(key);
  }
}

type Stored = World['bucket']['objects'] extends Map<string, infer S> ? S : never;

function damagedBy(kind: Exclude<(typeof KINDS)[number], 'removed'>, { head, bytes }: Stored): Stored {
  if (kind === 'another digest')
    return { bytes, head: { ...head, metadata: { ...head.metadata, digest: '0'.repeat(64) } } };
  const half = Math.floor(bytes.length / 2);
  // Only this kind has the etag of its bytes. The others keep the old etag, because that of an object put in parts is no
  // MD5: the other checks must find the damage without it.
  if (kind === 'other bytes') {
    const other = bytes.map((byte, index) => (index === half ? byte ^ 1 : byte));
    return { bytes: other, head: { ...head, etag: etagOf(other) } };
  }
  const others = {
    'cut at its end': () => bytes.slice(0, half),
    // The footer stays as it was.
    'cut in its middle': () => Buffer.concat([bytes.slice(0, 1), bytes.slice(2)]),
    'overwritten at its end': () => Buffer.concat([bytes.slice(0, half), new Uint8Array(bytes.length - half)]),
  }[kind]();
  return { bytes: new Uint8Array(others), head: { ...head, bytes: others.length } };
}
