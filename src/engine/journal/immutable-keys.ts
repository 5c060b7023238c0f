import { keyOf, type Row, type Table } from '../../../schemas/table.ts';
import { sha256, sha256Hex } from '../../digest.ts';
import type { SqlPort } from '../../ports/sql.ts';

/**
 * Bytes of a digest: SHA-256, cut. For two of a billion keys to have one digest by chance has a probability below
 * 10^-30.
 */
const DIGEST_BYTES = 20;
/**
 * Digests of one block, 8 KB. A larger block makes each new row rewrite more; a smaller one leaves more of its pages
 * empty.
 */
const BLOCK_DIGESTS_MAX = 400;
/** A longer parent is stored as its SHA-256. No name of an upstream that we know comes near. */
const PARENT_LENGTH_MAX = 512;
/** Blocks that one append holds in memory. It writes them and begins anew above this. */
const HELD_BYTES_MAX = 8 * 1024 * 1024;

/** Keys whose blocks are read together: at most 1.6 MB. */
const KEYS_AT_ONCE = 200;

/** Where the digests of a parent are. */
interface Place {
  table: string;
  parent: string;
}

/** A range of the digests of one parent: from `first` up to `next`, which is the first of the block after it. */
interface Block {
  first: Uint8Array;
  next: Uint8Array | null;
  /** Sorted, one behind the other. */
  digests: Uint8Array;
  /** Digests that this append adds, by their text. */
  added: Map<string, Uint8Array>;
}

/**
 * The keys of the rows of immutable tables, as digests packed by parent: a row of its own for each key would take more
 * than five times the room. The parent is the first part of a key of several parts. One instance serves one append; the
 * caller holds the transaction, and calls `write` at its end.
 */
export class ImmutableKeys {
  readonly #sql: SqlPort;
  /** Blocks in order of `first`, by table and parent. */
  readonly #blocks = new Map<string, Block[]>();
  #heldBytes = 0;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  /** Adds the keys of rows; says of each, in order, whether it is new. */
  add(table: Table, rows: Row[]): boolean[] {
    const areNew: boolean[] = [];
    for (let first = 0; first < rows.length; first += KEYS_AT_ONCE) {
      const keys = rows.slice(first, first + KEYS_AT_ONCE).map(row => digestOf(table, row));
      // Read all blocks of a parent in one statement, because a visit may list hundreds of keys.
      for (const [parent, group] of Map.groupBy(keys, key => key.parent)) {
        const digests = group.map(({ digest }) => digest);
        this.#hold(
          { table: table.name, parent },
          digests.filter(digest => this.#blockOf({ table: table.name, parent }, digest) === null),
        );
      }
      areNew.push(...keys.map(({ parent, digest }) => this.#add({ table: table.name, parent }, digest)));
      if (this.#heldBytes > HELD_BYTES_MAX) this.write();
    }
    return areNew;
  }

  #add(place: Place, digest: Uint8Array): boolean {
    const block = this.#blockOf(place, digest)!;
    const text = Buffer.from(digest).toString('latin1');
    if (block.added.has(text) || includes(block.digests, digest)) return false;
    block.added.set(text, digest);
    this.#heldBytes += DIGEST_BYTES;
    return true;
  }

  /** Writes the blocks with new digests. */
  write(): void {
    for (const [name, blocks] of this.#blocks) {
      const [table, parent] = JSON.parse(name) as [string, string];
      for (const block of blocks) if (block.added.size > 0) this.#writeBlock({ table, parent }, block);
    }
    this.#blocks.clear();
    this.#heldBytes = 0;
  }

  #blocksOf({ table, parent }: Place): Block[] {
    const name = JSON.stringify([table, parent]);
    const blocks = this.#blocks.get(name) ?? [];
    if (blocks.length === 0) this.#blocks.set(name, blocks);
    return blocks;
  }

  /** The block in memory whose range has the digest; null when it is not in memory. */
  #blockOf(place: Place, digest: Uint8Array): Block | null {
    const block = this.#blocksOf(place).findLast(({ first }) => Buffer.compare(first, digest) <= 0);
    return block && (block.next === null || Buffer.compare(digest, block.next) < 0) ? block : null;
  }

  /** Reads the blocks of digests into memory. A parent without blocks begins with one that has the whole range. */
  #hold(place: Place, digests: Uint8Array[]): void {
    if (digests.length === 0) return;
    const found = this.#sql.exec<Pick<Block, 'first' | 'next' | 'digests'>>(
      `SELECT first, digests, (SELECT first FROM immutable_keys AS later
         WHERE table_name = ?1 AND parent = ?2 AND first > block.first ORDER BY first LIMIT 1) AS next
       FROM (SELECT DISTINCT (SELECT rowid FROM immutable_keys
         WHERE table_name = ?1 AND parent = ?2 AND first <= unhex(value) ORDER BY first DESC LIMIT 1) AS id
         FROM json_each(?3)) JOIN immutable_keys AS block ON block.rowid = id`,
      place.table,
      place.parent,
      JSON.stringify(digests.map(digest => Buffer.from(digest).toString('hex'))),
    );
    if (found.length === 0) found.push({ first: new Uint8Array(), next: null, digests: new Uint8Array() });
    const blocks = this.#blocksOf(place);
    for (const block of found) {
      blocks.push({ ...block, added: new Map() });
      this.#heldBytes += block.digests.length;
    }
    blocks.sort((a, b) => Buffer.compare(a.first, b.first));
  }

  /** Writes a block, in as many of about one size as its digests need. */
  #writeBlock({ table, parent }: Place, { first, digests, added }: Block): void {
    const sorted = merged(digests, [...added.values()].sort(Buffer.compare));
    const count = sorted.length / DIGEST_BYTES;
    const parts = Math.ceil(count / BLOCK_DIGESTS_MAX);
    for (let part = 0; part < parts; part++) {
      const from = Math.floor((count * part) / parts) * DIGEST_BYTES;
      const to = Math.floor((count * (part + 1)) / parts) * DIGEST_BYTES;
      this.#sql.exec(
        `INSERT INTO immutable_keys (table_name, parent, first, digests) VALUES (?, ?, ?, ?)
         ON CONFLICT (table_name, parent, first) DO UPDATE SET digests = excluded.digests`,
        table,
        parent,
        // The first part keeps the beginning of the range.
        part === 0 ? first : sorted.slice(from, from + DIGEST_BYTES),
        sorted.slice(from, to),
      );
    }
  }
}

/**
 * The digest of a row's whole key, and the parent that it is stored under: the key's first part, or `''` where it has
 * only one.
 */
function digestOf(table: Table, row: Row): { parent: string; digest: Uint8Array } {
  const parent = table.key.length === 1 ? '' : String(row[table.key[0]!]);
  return {
    parent: parent.length > PARENT_LENGTH_MAX ? sha256Hex(parent) : parent,
    digest: sha256(keyOf(table, row)).subarray(0, DIGEST_BYTES),
  };
}

/** Whether sorted digests have this one. */
function includes(digests: Uint8Array, wanted: Uint8Array): boolean {
  let [low, high] = [0, digests.length / DIGEST_BYTES];
  while (low < high) {
    const middle = (low + high) >> 1;
    const order = Buffer.compare(digestAt(digests, middle), wanted);
    if (order === 0) return true;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return false;
}

/** Sorted digests with some more, which are sorted too. */
function merged(digests: Uint8Array, more: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(digests.length + more.length * DIGEST_BYTES);
  let [read, written] = [0, 0];
  for (const one of more) {
    const from = read;
    while (read < digests.length && Buffer.compare(digestAt(digests, read / DIGEST_BYTES), one) < 0)
      read += DIGEST_BYTES;
    all.set(digests.subarray(from, read), written);
    all.set(one, written + read - from);
    written += read - from + DIGEST_BYTES;
  }
  all.set(digests.subarray(read), written);
  return all;
}

function digestAt(digests: Uint8Array, index: number): Uint8Array {
  return digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
}
