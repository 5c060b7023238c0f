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

/** Damages data files behind the object's back, and puts them back as they were. */
export class Damage {
  /** Keys of files that were ever damaged. */
  readonly ever = new Set<string>();
  readonly #world: World;
  readonly #whole = new Map<string, Stored>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Keys of files that are damaged now. */
  get keys(): string[] {
    return [...this.#whole.keys()].filter(key => !this.#isWhole(key)).sort();
  }

  has(key: string): boolean {
    return this.#whole.has(key);
  }

  /** What is done to one more file; null where none is whole. A file the database knows of is never put again. */
  drawn(random: Random): { kind: string; act: () => void } | null {
    const { bucket, database } = this.#world;
    const keys = database.runs().map(run => String(JSON.parse(String(run.data)).key));
    const whole = keys.filter(key => !this.has(key) && bucket.objects.has(key));
    if (whole.length === 0) return null;
    const key = pick(random, whole);
    const kind = pick(random, KINDS);
    return { kind: `file ${kind}`, act: () => this.#do(key, kind) };
  }

  putBack(): void {
    for (const [key, stored] of this.#whole) this.#world.bucket.objects.set(key, stored);
    this.#whole.clear();
  }

  /** What was removed comes back where a put that a dead instance made lands late. */
  #isWhole(key: string): boolean {
    const [before, now] = [this.#whole.get(key)!, this.#world.bucket.objects.get(key)];
    return now?.head.metadata.digest === before.head.metadata.digest && Buffer.compare(now!.bytes, before.bytes) === 0;
  }

  #do(key: string, kind: (typeof KINDS)[number]): void {
    const { objects } = this.#world.bucket;
    const stored = objects.get(key)!;
    this.#whole.set(key, stored);
    this.ever.add(key);
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
    // Its end says what it said.
    'cut in its middle': () => Buffer.concat([bytes.slice(0, 1), bytes.slice(2)]),
    'overwritten at its end': () => Buffer.concat([bytes.slice(0, half), new Uint8Array(bytes.length - half)]),
  }[kind]();
  return { bytes: new Uint8Array(others), head: { ...head, bytes: others.length } };
}
