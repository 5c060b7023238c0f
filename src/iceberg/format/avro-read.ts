import { constants, inflateRawSync, zstdDecompressSync } from 'node:zlib';
import { brokenMetadata, type CatalogError } from '../errors.ts';
import { AVRO_MAGIC, type AvroObject, type AvroRecord, type AvroType, type AvroValue, SYNC_BYTES } from './avro.ts';

/** The largest block that is decompressed. No manifest or manifest list has a larger one. */
const BLOCK_BYTES_MAX = 32 * 1024 * 1024;
const CODECS: Record<string, (bytes: Uint8Array) => Uint8Array> = {
  deflate: bytes => inflateRawSync(bytes, { maxOutputLength: BLOCK_BYTES_MAX }),
  // Flush instead of end, because the worker's runtime takes a block that exactly fills its output buffer for a
  // truncated one (cloudflare/workerd#6769).
  zstandard: bytes =>
    zstdDecompressSync(bytes, { maxOutputLength: BLOCK_BYTES_MAX, finishFlush: constants.ZSTD_e_flush }),
};
const decoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: false });

interface AvroFileRead {
  metadata: Record<string, string>;
  /** Can be iterated once. Blocks are decompressed one at a time as the iteration proceeds. */
  records: Iterable<AvroObject>;
}

/** A schema of another writer, which may use Avro types that ours do not. */
type ForeignType = string | ForeignType[] | ForeignObject;
interface ForeignObject {
  type: ForeignType;
  size?: number;
  items?: ForeignType;
  values?: ForeignType;
  fields?: { name: string; type: ForeignType; 'field-id'?: number }[];
}

/**
 * Reads an Avro object container file with the schema it was written with. A field whose Iceberg field id is in
 * `schema` gets its name from there, whatever the writer called it (Iceberg spec, Column Projection). Throws
 * `CatalogError` `metadata-broken` when the bytes are not such a file, or its codec is not null, deflate or zstandard.
 */
export function readAvro(bytes: Uint8Array, schema: AvroRecord): AvroFileRead {
  const reader = new AvroReader(bytes);
  if (Buffer.compare(reader.raw(AVRO_MAGIC.length), AVRO_MAGIC) !== 0) throw broken('an object container file');
  const metadata: Record<string, string> = {};
  for (let count = reader.count(); count > 0; count = reader.count()) {
    for (; count > 0; count--) {
      const key = reader.text();
      metadata[key] = reader.text();
    }
  }
  const written = parseSchema(metadata['avro.schema']);
  const renamed = renameFields(written, namesById(schema));
  return { metadata, records: recordsOf(reader, renamed, metadata['avro.codec'] ?? 'null') };
}

function parseSchema(text: string | undefined): ForeignObject {
  try {
    const schema = JSON.parse(text ?? 'null') as ForeignObject | null;
    if (schema?.type === 'record') return schema;
  } catch {
    // The error below covers this case.
  }
  throw broken('a schema of records');
}

function* recordsOf(reader: AvroReader, type: ForeignType, codec: string): Generator<AvroObject> {
  const sync = reader.raw(SYNC_BYTES);
  while (!reader.atEnd) {
    const count = reader.integer();
    const block = new AvroReader(decompress(reader.blob(), codec));
    if (Buffer.compare(reader.raw(SYNC_BYTES), sync) !== 0) throw broken('a sync marker after a block');
    for (let i = 0; i < count; i++) yield readValue(block, type) as AvroObject;
    if (!block.atEnd) throw broken('a block to end with its last record');
  }
}

function decompress(bytes: Uint8Array, codec: string): Uint8Array {
  if (codec === 'null') return bytes;
  const unpack = CODECS[codec];
  if (!unpack) throw brokenMetadata('avro file', 'the codec null, deflate or zstandard', codec.slice(0, 40));
  try {
    return unpack(bytes);
  } catch {
    throw broken('a compressed block');
  }
}

function namesById(type: AvroType, names = new Map<number, string>()): Map<number, string> {
  if (Array.isArray(type)) namesById(type[1], names);
  else if (typeof type === 'object' && type.type === 'array') namesById(type.items, names);
  else if (typeof type === 'object') {
    for (const field of type.fields) {
      names.set(field['field-id'], field.name);
      namesById(field.type, names);
    }
  }
  return names;
}

function renameFields(type: ForeignType, names: Map<number, string>): ForeignType {
  if (typeof type === 'string') return type;
  if (Array.isArray(type)) return type.map(branch => renameFields(branch, names));
  const { fields, items, values } = type;
  return {
    ...type,
    ...(typeof type.type === 'object' && { type: renameFields(type.type, names) }),
    ...(items !== undefined && { items: renameFields(items, names) }),
    ...(values !== undefined && { values: renameFields(values, names) }),
    ...(fields !== undefined && {
      fields: fields.map(field => ({
        name: names.get(field['field-id'] ?? Number.NaN) ?? field.name,
        type: renameFields(field.type, names),
      })),
    }),
  };
}

function readValue(reader: AvroReader, type: ForeignType): AvroValue {
  if (typeof type === 'string') return readPrimitive(reader, type);
  if (Array.isArray(type)) {
    const branch = type[reader.integer()];
    if (branch === undefined) throw broken('a branch of its union');
    return readValue(reader, branch);
  }
  switch (type.type) {
    case 'record': {
      const record: AvroObject = {};
      for (const field of type.fields ?? []) record[field.name] = readValue(reader, field.type);
      return record;
    }
    case 'array': {
      const items: AvroValue[] = [];
      for (let count = reader.count(); count > 0; count = reader.count()) {
        for (; count > 0; count--) items.push(readValue(reader, type.items!));
      }
      return items;
    }
    case 'map': {
      const entries: AvroObject = {};
      for (let count = reader.count(); count > 0; count = reader.count()) {
        for (; count > 0; count--) entries[reader.text()] = readValue(reader, type.values!);
      }
      return entries;
    }
    case 'fixed':
      return reader.raw(type.size!);
    default:
      // A primitive type, with or without a logical type.
      return readValue(reader, type.type);
  }
}

function readPrimitive(reader: AvroReader, type: string): AvroValue {
  switch (type) {
    case 'null':
      return null;
    case 'boolean':
      return reader.raw(1)[0] === 1;
    case 'int':
      return reader.integer();
    case 'long':
      return reader.long();
    case 'float':
      return reader.view(4).getFloat32(0, true);
    case 'double':
      return reader.view(8).getFloat64(0, true);
    case 'bytes':
      return reader.blob();
    case 'string':
      return reader.text();
    default:
      throw brokenMetadata('avro file', 'a type that Iceberg uses', String(type).slice(0, 40));
  }
}

function broken(expected: string): CatalogError {
  return brokenMetadata('avro file', expected, 'something else');
}

/** Reads Avro's binary encoding, from the first byte on. */
class AvroReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    // A plain Uint8Array, because slices of a Buffer would be Buffers.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get atEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  long(): bigint {
    // Most longs are short: up to four bytes of seven bits need no bigint arithmetic.
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt((low >>> 1) ^ -(low & 1));
    }
    let wide = BigInt(low);
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      wide |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, (wide >> 1n) ^ -(wide & 1n));
    }
    throw broken('a long of at most ten bytes');
  }

  integer(): number {
    return Number(this.long());
  }

  /** The number of items in the next block of an array or map. A negative count precedes the block's size in bytes. */
  count(): number {
    const count = this.integer();
    if (count < 0) this.long();
    return Math.abs(count);
  }

  text(): string {
    return decoder.decode(this.blob());
  }

  blob(): Uint8Array {
    return this.raw(this.integer());
  }

  view(bytes: number): DataView {
    const raw = this.raw(bytes);
    return new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  }

  raw(bytes: number): Uint8Array {
    if (!(bytes >= 0 && this.#offset + bytes <= this.#bytes.length)) throw broken('more bytes');
    this.#offset += bytes;
    return this.#bytes.subarray(this.#offset - bytes, this.#offset);
  }

  #byte(): number {
    const byte = this.#bytes[this.#offset++];
    if (byte === undefined) throw broken('more bytes');
    return byte;
  }
}
