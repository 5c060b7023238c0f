import { MiB } from '../limits.ts';
import type { ListedKey } from '../ports/change.ts';

/** Bytes of one chunk of packed keys. A key lies in one chunk, and has at most 24 KiB. */
const CHUNK_BYTES = 1 * MiB;
/** UTF-8 bytes of one UTF-16 unit, at most. */
const UNIT_BYTES_MAX = 3;
/** Keys that the arrays have room for at first; they double when they are full. */
const ROOM_KEYS = 65_536;

/**
 * Keys with their revisions, packed as bytes, because a million of them as texts and objects take more memory than an
 * isolate has. `sorted` gives them in the order of their bytes, each once.
 */
export class PackedKeys {
  readonly #chunks: Uint8Array[] = [];
  /** Bytes used of the last chunk. */
  #used = 0;
  #count = 0;
  /** Of each key: the place of its first byte, counted through all chunks, its bytes, and its revision, NaN for none. */
  #starts = new Uint32Array(ROOM_KEYS);
  #lengths = new Uint16Array(ROOM_KEYS);
  #revisions = new Float64Array(ROOM_KEYS);

  add({ key, revision }: ListedKey): void {
    if (this.#count === this.#starts.length) this.#grow();
    if (this.#chunks.length === 0 || this.#used + key.length * UNIT_BYTES_MAX > CHUNK_BYTES) {
      this.#chunks.push(new Uint8Array(CHUNK_BYTES));
      this.#used = 0;
    }
    const { written } = UTF8.encodeInto(key, this.#chunks.at(-1)!.subarray(this.#used));
    this.#starts[this.#count] = (this.#chunks.length - 1) * CHUNK_BYTES + this.#used;
    this.#lengths[this.#count] = written;
    this.#revisions[this.#count] = revision ?? Number.NaN;
    this.#used += written;
    this.#count += 1;
  }

  /** The keys in the order of their bytes. Of keys that are there several times, the highest revision counts. */
  *sorted(): Generator<ListedKey> {
    const order = new Uint32Array(this.#count).map((_, index) => index).sort((a, b) => this.#compare(a, b));
    for (let at = 0; at < order.length; ) {
      const first = order[at]!;
      let revision = Number.NaN;
      do {
        const other = this.#revisions[order[at]!]!;
        if (!(revision >= other)) revision = Number.isNaN(other) ? revision : other;
        at += 1;
      } while (at < order.length && this.#compare(first, order[at]!) === 0);
      yield { key: this.#keyAt(first), revision: Number.isNaN(revision) ? null : revision };
    }
  }

  #keyAt(index: number): string {
    const { chunk, from } = this.#placeOf(index);
    return TEXT.decode(chunk.subarray(from, from + this.#lengths[index]!));
  }

  #compare(a: number, b: number): number {
    const [left, right] = [this.#placeOf(a), this.#placeOf(b)];
    const length = Math.min(this.#lengths[a]!, this.#lengths[b]!);
    for (let at = 0; at < length; at++) {
      const difference = left.chunk[left.from + at]! - right.chunk[right.from + at]!;
      if (difference !== 0) return difference;
    }
    return this.#lengths[a]! - this.#lengths[b]!;
  }

  #placeOf(index: number): { chunk: Uint8Array; from: number } {
    const start = this.#starts[index]!;
    return { chunk: this.#chunks[Math.floor(start / CHUNK_BYTES)]!, from: start % CHUNK_BYTES };
  }

  #grow(): void {
    const room = 2 * this.#count;
    const [starts, lengths, revisions] = [this.#starts, this.#lengths, this.#revisions];
    this.#starts = new Uint32Array(room);
    this.#lengths = new Uint16Array(room);
    this.#revisions = new Float64Array(room);
    this.#starts.set(starts);
    this.#lengths.set(lengths);
    this.#revisions.set(revisions);
  }
}

const UTF8 = new TextEncoder();
// Without `ignoreBOM` the decoder would drop a key's first character where that is U+FEFF.
const TEXT = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });
