import { randomFrom } from '../../parquet/rows.ts';

export type Random = () => number;

/** A fault that happened. Its `id` is `<name>#<number of the draw>`, the same in every run of the seed. */
export interface Fault {
  id: string;
  kind: string;
  atMs: number;
  call: string;
}

/**
 * The faults of one seed. A draw depends on the seed, its name and the number of draws of that name before it, so a
 * fault in one call does not change the draws for calls of other names. With `only`, no other fault happens.
 */
export class Faults {
  readonly happened: Fault[] = [];
  /** When true, no more faults happen. */
  areOver = false;
  readonly #seed: number;
  readonly #only: ReadonlySet<string> | null;
  /** By name: the number of draws, and the hash that all of them continue. */
  readonly #drawn = new Map<string, { count: number; hash: number }>();

  constructor(seed: number, only: ReadonlySet<string> | null = null) {
    this.#seed = seed;
    this.#only = only;
  }

  /** The next draw of a name. */
  draw(name: string): { id: string; random: Random } {
    const drawn = this.#drawn.get(name) ?? { count: 0, hash: hashOf(`${this.#seed} ${name}#`) };
    this.#drawn.set(name, drawn);
    drawn.count += 1;
    return { id: `${name}#${drawn.count}`, random: randomFrom(hashOf(String(drawn.count), drawn.hash)) };
  }

  /** Whether a fault that was drawn happens; notes it if so. */
  happens(fault: Fault): boolean {
    if (this.areOver || (this.#only && !this.#only.has(fault.id))) return false;
    this.happened.push(fault);
    return true;
  }
}

/** FNV-1a of a text that continues the text with the hash `before`. */
export function hashOf(text: string, before = 0x811c9dc5): number {
  let hash = before;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash | 0;
}

export function pick<T>(random: Random, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)]!;
}

/** A small set of ids that still fails, none of which can be left out alone. Tries halves first, then smaller parts. */
export async function shrink(ids: string[], fails: (ids: string[]) => Promise<boolean>): Promise<string[]> {
  let left = ids;
  let partCount = 2;
  while (left.length > 0) {
    const size = Math.ceil(left.length / partCount);
    let smaller: string[] | null = null;
    for (let start = 0; start < left.length && !smaller; start += size) {
      const rest = [...left.slice(0, start), ...left.slice(start + size)];
      if (await fails(rest)) smaller = rest;
    }
    if (smaller) {
      left = smaller;
      partCount = Math.max(2, partCount - 1);
    } else if (size === 1) return left;
    else partCount = Math.min(left.length, partCount * 2);
  }
  return left;
}
