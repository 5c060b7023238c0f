import { createHash } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';
import { AVRO_MAGIC, type AvroRecord, type AvroType, SYNC_BYTES } from './avro.ts';

/** A block that reaches this size is closed, because a reader holds one whole block in memory. */
const BLOCK_BYTES = 256 * 1024;
/** A long of 64 bits takes at most ten bytes of seven. */
const LONG_BYTES_MAX = 10;
const INT_LIMIT = 2 ** 31;

interface AvroFile {
  schema: AvroRecord;
  /** The file's key-value metadata, without schema and codec. */
  metadata: Record<string, string>;
  records: Iterable<object>;
  codec?: 'null' | 'deflate';
}

/**
 * An Avro object container file (Avro 1.12 specification, Object Container Files). Longs are bigints or safe integers;
 * a field that is null or missing must be optional. The same records give the same bytes.
 */
export function writeAvro({ schema, metadata, records, codec = 'deflate' }: AvroFile): Uint8Array {
  const header = new AvroBytes();
  const facts = { 'avro.schema': JSON.stringify(schema), 'avro.codec': codec, ...metadata };
  header.raw(AVRO_MAGIC);
  header.long(Object.keys(facts).length);
  for (const [key, value] of Object.entries(facts)) {
    header.text(key);
    header.text(value);
  }
  header.long(0);
  const blocks = blocksOf(schema, records, codec);
  const sync = syncMarker(header, blocks);
  header.raw(sync);
  for (const { count, bytes } of blocks) {
    header.long(count);
    header.blob(bytes);
    header.raw(sync);
  }
  return header.toBytes();
}

interface Block {
  count: number;
  bytes: Uint8Array;
}

function blocksOf(schema: AvroRecord, records: Iterable<object>, codec: string): Block[] {
  const blocks: Block[] = [];
  let open = new AvroBytes();
  let count = 0;
  const close = () => {
    if (count === 0) return;
    const bytes = open.toBytes();
    blocks.push({ count, bytes: codec === 'deflate' ? deflateRawSync(bytes) : bytes });
    open = new AvroBytes();
    count = 0;
  };
  for (const record of records) {
    writeValue(open, { type: schema, value: record, path: schema.name });
    count += 1;
    if (open.length >= BLOCK_BYTES) close();
  }
  close();
  return blocks;
}

/** Sixteen bytes that separate blocks. A digest, not random bytes, so that the same records give the same file. */
function syncMarker(header: AvroBytes, blocks: Block[]): Uint8Array {
  const hash = createHash('sha256').update(header.toBytes());
  for (const { bytes } of blocks) hash.update(bytes);
  return hash.digest().subarray(0, SYNC_BYTES);
}

function writeValue(out: AvroBytes, { type, value, path }: { type: AvroType; value: unknown; path: string }): void {
  if (Array.isArray(type)) {
    const isNull = value === null || value === undefined;
    out.long(isNull ? 0 : 1);
    if (!isNull) writeValue(out, { type: type[1], value, path });
  } else if (typeof type === 'string') {
    writePrimitive(out, { type, value, path });
  } else if (type.type === 'record') {
    for (const field of type.fields) {
      const inner = (value as Record<string, unknown>)[field.name];
      writeValue(out, { type: field.type, value: inner, path: `${path}.${field.name}` });
    }
  } else {
    const items = value as unknown[];
    if (items.length > 0) {
      out.long(items.length);
      for (const item of items) writeValue(out, { type: type.items, value: item, path });
    }
    out.long(0);
  }
}

function writePrimitive(out: AvroBytes, { type, value, path }: { type: string; value: unknown; path: string }): void {
  if (type === 'boolean' && typeof value === 'boolean') out.byte(value ? 1 : 0);
  else if (type === 'int' && typeof value === 'number' && (value | 0) === value) out.long(value);
  else if (type === 'long' && (typeof value === 'bigint' || Number.isSafeInteger(value))) {
    out.long(value as number | bigint);
  } else if (type === 'string' && typeof value === 'string') out.text(value);
  else if (type === 'bytes' && value instanceof Uint8Array) out.blob(value);
  // The message does not hold the value, because bounds are values of rows.
  else throw new Error(`avro: expected ${type} in ${path}, got ${value === null ? 'null' : typeof value}`);
}

/** A growing buffer that writes Avro's binary encoding. */
class AvroBytes {
  length = 0;
  #bytes = Buffer.alloc(1024);

  toBytes(): Uint8Array {
    return new Uint8Array(this.#bytes.subarray(0, this.length));
  }

  byte(value: number): void {
    this.#ensure(1);
    this.#bytes[this.length++] = value;
  }

  /** Zigzag encoding, then seven bits a byte, lowest first. */
  long(value: number | bigint): void {
    this.#ensure(LONG_BYTES_MAX);
    if (typeof value === 'number' && value >= -INT_LIMIT && value < INT_LIMIT) {
      let rest = ((value << 1) ^ (value >> 31)) >>> 0;
      for (; rest > 0x7f; rest >>>= 7) this.#bytes[this.length++] = (rest & 0x7f) | 0x80;
      this.#bytes[this.length++] = rest;
      return;
    }
    const wide = BigInt(value);
    let rest = BigInt.asUintN(64, (wide << 1n) ^ (wide >> 63n));
    for (; rest > 0x7fn; rest >>= 7n) this.#bytes[this.length++] = Number(rest & 0x7fn) | 0x80;
    this.#bytes[this.length++] = Number(rest);
  }

  text(value: string): void {
    const bytes = Buffer.byteLength(value);
    this.long(bytes);
    this.#ensure(bytes);
    this.length += this.#bytes.write(value, this.length);
  }

  blob(value: Uint8Array): void {
    this.long(value.length);
    this.raw(value);
  }

  raw(value: Uint8Array): void {
    this.#ensure(value.length);
    this.#bytes.set(value, this.length);
    this.length += value.length;
  }

  #ensure(size: number): void {
    if (this.length + size <= this.#bytes.length) return;
    const grown = Buffer.alloc(Math.max(this.#bytes.length * 2, this.length + size));
    this.#bytes.copy(grown, 0, 0, this.length);
    this.#bytes = grown;
  }
}
