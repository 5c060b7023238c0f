import { randomFrom } from '../../parquet/rows.ts';

export type Random = () => number;

/** One thing that went wrong: `id` is its place among the draws of its name, and the same in every run of the seed. */
export interface Fault {
  id: string;
  kind: string;
  atMs: number;
  call: string;
}

/**
 * The faults of one seed. Each is drawn for itself, from the seed, its name and how many of that name came before:
 * what happens to one call does not change what is drawn for calls of another name. With `only`, no other happens.
 */
export class Faults {
  readonly happened: Fault[] = [];
  /** Nothing is disturbed any more. */
  calm = false;
  readonly #seed: number;
  readonly #only: ReadonlySet<string> | null;
  /** By name: how many were drawn, and the hash of what all their ids begin with. */
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
    if (this.calm || (this.#only && !this.#only.has(fault.id))) return false;
    this.happened.push(fault);
    return true;
  }
}

/** FNV-1a, going on from the hash of what stands before. */
function hashOf(text: string, before = 0x811c9dc5): number {
  let hash = before;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash | 0;
}

export function pick<T>(random: Random, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)]!;
}

/** The fewest ids without which `fails` no longer holds: halves, then quarters, and so on are left out by turns. */
export async function shrink(ids: string[], fails: (ids: string[]) => Promise<boolean>): Promise<string[]> {
  let kept = ids;
  let parts = 2;
  while (kept.length > 0) {
    const size = Math.ceil(kept.length / parts);
    let smaller: string[] | null = null;
    for (let start = 0; start < kept.length && !smaller; start += size) {
      const rest = [...kept.slice(0, start), ...kept.slice(start + size)];
      if (await fails(rest)) smaller = rest;
    }
    if (smaller) {
      kept = smaller;
      parts = Math.max(2, parts - 1);
    } else if (size === 1) return kept;
    else parts = Math.min(kept.length, parts * 2);
  }
  return kept;
}
