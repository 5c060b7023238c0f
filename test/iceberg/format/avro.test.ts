import { zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { CatalogError } from '../../../src/iceberg/errors.ts';
import { type AvroObject, type AvroRecord, columnMap, optional, required } from '../../../src/iceberg/format/avro.ts';
import { readAvro } from '../../../src/iceberg/format/avro-read.ts';
import { writeAvro } from '../../../src/iceberg/format/avro-write.ts';
import { randomFrom } from '../../parquet/rows.ts';

const SCHEMA: AvroRecord = {
  type: 'record',
  name: 'sample',
  fields: [
    required(1, 'flag', 'boolean'),
    required(2, 'int', 'int'),
    required(3, 'long', 'long'),
    optional(4, 'text', 'string'),
    optional(5, 'bytes', 'bytes'),
    required(6, 'nothing', { type: 'record', name: 'r6', fields: [] }),
    optional(7, 'bounds', columnMap(8, 9, 'bytes')),
    optional(10, 'offsets', { type: 'array', items: 'long', 'element-id': 11 }),
  ],
};

const LONGS = [
  0n,
  1n,
  -1n,
  63n,
  -64n,
  64n,
  8191n,
  2n ** 31n,
  -(2n ** 31n) - 1n,
  2n ** 53n,
  2n ** 63n - 1n,
  -(2n ** 63n),
];

function sample(random: () => number): AvroObject {
  const pick = <T>(values: T[]) => values[Math.floor(random() * values.length)]!;
  return {
    flag: random() < 0.5,
    int: pick([0, 1, -1, 63, -64, 64, 2 ** 31 - 1, -(2 ** 31)]),
    long: pick(LONGS),
    text: pick([null, '', 'text', '東京 \u{1f600}', '\ufeffmark', 'x'.repeat(3_000)]),
    bytes: pick([null, new Uint8Array(0), Uint8Array.of(0, 255, 128)]),
    nothing: {},
    bounds: pick([null, [], [{ key: 3, value: Uint8Array.of(1) }]]),
    offsets: pick([null, [], [4n, 2n ** 40n]]),
  };
}

function read(bytes: Uint8Array): AvroObject[] {
  return [...readAvro(bytes, SCHEMA).records];
}

describe('an Avro file', () => {
  it.each(['null', 'deflate'] as const)('with the codec %s gives back what was written', codec => {
    const random = randomFrom(11);
    const records = Array.from({ length: 2_000 }, () => sample(random));
    const bytes = writeAvro({ schema: SCHEMA, metadata: { content: 'data' }, records, codec });
    expect(readAvro(bytes, SCHEMA).metadata).toMatchObject({ content: 'data', 'avro.codec': codec });
    expect(read(bytes)).toEqual(records);
    expect(writeAvro({ schema: SCHEMA, metadata: { content: 'data' }, records, codec })).toEqual(bytes);
  });

  it('has blocks of limited size', () => {
    const records = Array.from({ length: 100 }, () => ({ ...sample(randomFrom(2)), text: 'x'.repeat(10_000) }));
    const bytes = Buffer.from(writeAvro({ schema: SCHEMA, metadata: {}, records, codec: 'null' }));
    const sync = bytes.subarray(-16);
    let markers = 0;
    for (let start = bytes.indexOf(sync); start !== -1; start = bytes.indexOf(sync, start + 1)) markers += 1;
    // One after the header, and one after each block of 256 KiB.
    expect(markers).toBe(1 + 4);
  });

  it('of no records is read back as no records', () => {
    expect(read(writeAvro({ schema: SCHEMA, metadata: {}, records: [] }))).toEqual([]);
  });

  it('is read by field ids, whatever its writer called the fields', () => {
    const foreign: AvroRecord = {
      ...SCHEMA,
      fields: [required(3, 'foreign', 'long'), optional(99, 'unknown', 'string'), required(1, 'long', 'boolean')],
    };
    const bytes = writeAvro({ schema: foreign, metadata: {}, records: [{ foreign: 5n, unknown: 'x', long: true }] });
    expect([...readAvro(bytes, SCHEMA).records]).toEqual([{ long: 5n, unknown: 'x', flag: true }]);
  });

  it('is read when it has zstd blocks, and array blocks with their size', () => {
    // The Avro specification, Arrays: a negative count is followed by the size of the block in bytes.
    const schema = JSON.stringify({
      type: 'record',
      name: 'foreign',
      fields: [
        { name: 'offsets', type: { type: 'array', items: 'long' }, 'field-id': 10 },
        { name: 'more', type: { type: 'map', values: { type: 'fixed', name: 'two', size: 2 } } },
        { name: 'at', type: { type: 'int', logicalType: 'date' } },
      ],
    });
    const body = zstdCompressSync(Uint8Array.of(3, 4, 2, 4, 2, 6, 0, 2, 2, 0x61, 7, 8, 0, 18));
    const text = (value: string) => [...zigzag(Buffer.byteLength(value)), ...Buffer.from(value)];
    const sync = Array.from({ length: 16 }, (_, i) => i);
    const header = [
      0x4f,
      0x62,
      0x6a,
      1,
      4,
      ...text('avro.codec'),
      ...text('zstandard'),
      ...text('avro.schema'),
      ...text(schema),
      0,
    ];
    const file = Uint8Array.from([...header, ...sync, 2, ...zigzag(body.length), ...body, ...sync]);
    expect([...readAvro(file, SCHEMA).records]).toEqual([
      { offsets: [1n, 2n, 3n], more: { a: Uint8Array.of(7, 8) }, at: 9 },
    ]);
  });

  it('that is cut or changed between its blocks throws metadata-broken', () => {
    const records = Array.from({ length: 3 }, () => sample(randomFrom(5)));
    const bytes = writeAvro({ schema: SCHEMA, metadata: {}, records, codec: 'null' });
    const whole = read(bytes).length;
    for (let length = 0; length < bytes.length; length++) {
      try {
        // A file that is cut right after its header has no records.
        expect(read(bytes.subarray(0, length)).length).toBeLessThan(whole);
      } catch (error) {
        expect(error).toBeInstanceOf(CatalogError);
        expect((error as CatalogError).kind).toBe('metadata-broken');
      }
    }
    const changed = bytes.slice();
    changed[changed.length - 1]! ^= 1;
    expect(() => read(changed)).toThrow('avro file: expected a sync marker after a block, got something else');
  });

  it.each([
    [{ ...sample(randomFrom(1)), int: 1.5 }, 'avro: expected int in sample.int, got number'],
    [{ ...sample(randomFrom(1)), int: 2 ** 31 }, 'avro: expected int in sample.int, got number'],
    [{ ...sample(randomFrom(1)), long: 2 ** 53 }, 'avro: expected long in sample.long, got number'],
    [{ ...sample(randomFrom(1)), flag: null }, 'avro: expected boolean in sample.flag, got null'],
    [{ ...sample(randomFrom(1)), text: 5 }, 'avro: expected string in sample.text, got number'],
  ])('is not written for a value that does not fit its schema: %#', (record, message) => {
    expect(() => writeAvro({ schema: SCHEMA, metadata: {}, records: [record] })).toThrow(message);
  });

  it('of an unknown codec is refused by name', () => {
    const bytes = writeAvro({ schema: SCHEMA, metadata: { 'avro.codec': 'snappy' }, records: [sample(randomFrom(1))] });
    expect(() => read(bytes)).toThrow('avro file: expected the codec null, deflate or zstandard, got snappy');
  });
});

function zigzag(value: number): number[] {
  const bytes: number[] = [];
  let rest = value * 2;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return [...bytes, rest];
}
