import { keyOf, tableNamed } from '../../schemas/index.ts';
import { type FeedPosition, putNewest } from '../lake/newest.ts';
import { metadataKey } from '../lake/object-keys.ts';
import type { BucketPort } from '../ports/bucket.ts';
import type { LoadedRow } from '../ports/change.ts';
import { digestMetadata } from './stored.ts';

/** Puts of one call under way at once: the platform's limit on open connections. It makes further ones wait. */
const PUTS_AT_ONCE = 6;

/** The content type of documents and of dated rows. */
export const JSON_TYPE = 'application/json';

/** An object that a load gives. `revision` is null where the upstream has none. */
export interface NewObject {
  key: string;
  bytes: Uint8Array;
  fetchedAtMs: number;
  revision: number | null;
  /** The change that the object was loaded for; null where there is no feed. */
  position: FeedPosition | null;
  /** An object that has the key already is never replaced. */
  immutable: boolean;
  /** Over what counts in the object, where its source compares that. */
  digest?: string | undefined;
}

/**
 * Puts the objects of one load call, several at once. Objects of one key are put one after another, because puts of one
 * key at the same time would make each other fail.
 */
export class ObjectWriter {
  readonly #bucket: BucketPort;
  /** The last put of each key. */
  readonly #last = new Map<string, Promise<void>>();
  readonly #waiting: (() => void)[] = [];
  #underWay = 0;
  /** Objects that wait for the last change of an item, by the item and their own key. */
  readonly #held = new Map<string, Map<string, NewObject>>();

  constructor(bucket: BucketPort) {
    this.#bucket = bucket;
  }

  /** Puts objects, and returns when all of them are in the bucket. Throws `StepError` `bucket-failed`. */
  async put(objects: NewObject[]): Promise<void> {
    await Promise.all(objects.map(object => this.#putInTurn(object)));
  }

  /** Keeps an object of an item until `held` asks for it. Of several with one key only the newest is kept. */
  hold(item: string, object: NewObject): void {
    const objects = this.#held.get(item) ?? new Map<string, NewObject>();
    this.#held.set(item, objects);
    const before = objects.get(object.key);
    if (before && before.revision !== null && object.revision !== null && before.revision > object.revision) return;
    objects.set(object.key, object);
  }

  /** Hands out the objects that are kept of an item; of all items without one. */
  held(item?: string): NewObject[] {
    const items = item === undefined ? [...this.#held.keys()] : [item];
    return items.flatMap(name => {
      const objects = [...(this.#held.get(name)?.values() ?? [])];
      this.#held.delete(name);
      return objects;
    });
  }

  #putInTurn(object: NewObject): Promise<void> {
    const before = this.#last.get(object.key) ?? Promise.resolve();
    // Whoever asked for the put before gets its error.
    const put = before.catch(() => undefined).then(() => this.#putInSlot(object));
    this.#last.set(object.key, put);
    return put;
  }

  async #putInSlot({ key, bytes, immutable, digest, ...version }: NewObject): Promise<void> {
    while (this.#underWay >= PUTS_AT_ONCE) await new Promise<void>(resolve => this.#waiting.push(resolve));
    this.#underWay += 1;
    try {
      const contentType = key.endsWith('.json') ? JSON_TYPE : 'text/plain';
      const metadata = digest === undefined ? {} : digestMetadata(digest, bytes);
      if (immutable) await this.#bucket.put(key, [bytes], { onlyIf: { absent: true }, metadata, contentType });
      else await putNewest(this.#bucket, key, bytes, { ...version, metadata, contentType });
    } finally {
      this.#underWay -= 1;
      this.#waiting.shift()?.();
    }
  }
}

/** The rows as JSON of the day, without lineage and the time of their append. */
export function datedRows(
  rows: LoadedRow[],
  version: Pick<NewObject, 'fetchedAtMs' | 'revision' | 'position'>,
): NewObject[] {
  const upserts = rows.filter(({ op }) => op === 'upsert');
  return upserts.map(({ table, row }) => {
    const { updated_at: _, ...rest } = row;
    const key = metadataKey(tableNamed(table), version.fetchedAtMs, keyOf(tableNamed(table), row));
    const bytes = new TextEncoder().encode(JSON.stringify(rest));
    return { ...version, key, bytes, immutable: false };
  });
}
