/** An Avro schema, as far as Iceberg's metadata files use them (Iceberg spec, Appendix A: Avro). */
export type AvroType = AvroPrimitive | AvroRecord | AvroArray | ['null', AvroType];
export type AvroPrimitive = 'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string';

export interface AvroRecord {
  type: 'record';
  name: string;
  fields: AvroField[];
}

export interface AvroField {
  name: string;
  type: AvroType;
  /** Iceberg's id of the field: readers go by it, not by the name. */
  'field-id': number;
  default?: null;
}

export interface AvroArray {
  type: 'array';
  items: AvroType;
  'element-id'?: number;
  /** A map whose keys are no strings is an array of key and value records. */
  logicalType?: 'map';
}

/** A value as it is read: int and float are numbers, long is a bigint, a record an object, null null. */
export type AvroValue = null | boolean | number | bigint | string | Uint8Array | AvroValue[] | AvroObject;
export interface AvroObject {
  [field: string]: AvroValue;
}

/** What an object container file starts with (Avro 1.12 specification, Object Container Files). */
export const AVRO_MAGIC = Uint8Array.of(0x4f, 0x62, 0x6a, 0x01);
export const SYNC_BYTES = 16;

/** A field that has a value in every record. */
export function required(id: number, name: string, type: AvroType): AvroField {
  return { name, type, 'field-id': id };
}

/** A field that may be null. */
export function optional(id: number, name: string, type: AvroType): AvroField {
  return { name, type: ['null', type], default: null, 'field-id': id };
}

/** An Iceberg map from column id to a value. */
export function columnMap(keyId: number, valueId: number, value: AvroType): AvroArray {
  return {
    type: 'array',
    logicalType: 'map',
    items: {
      type: 'record',
      name: `k${keyId}_v${valueId}`,
      fields: [required(keyId, 'key', 'int'), required(valueId, 'value', value)],
    },
  };
}
