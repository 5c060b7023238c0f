/** An Avro schema, limited to what Iceberg's metadata files use (Iceberg spec, Appendix A: Avro). */
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
  /** Iceberg's id of the field: readers find the field by it, not by the name. */
  'field-id': number;
  default?: null;
}

export interface AvroArray {
  type: 'array';
  items: AvroType;
  'element-id'?: number;
  /** Avro's own maps have string keys only, so other maps are arrays of key and value records. */
  logicalType?: 'map';
}

/** A value that was read: int, float and double are numbers, long is a bigint, a record is an object. */
export type AvroValue = null | boolean | number | bigint | string | Uint8Array | AvroValue[] | AvroObject;
export interface AvroObject {
  [field: string]: AvroValue;
}

/** The first bytes of an object container file (Avro 1.12 specification, Object Container Files). */
export const AVRO_MAGIC = Uint8Array.of(0x4f, 0x62, 0x6a, 0x01);
export const SYNC_BYTES = 16;

export function recordType(name: string, fields: AvroField[]): AvroRecord {
  return { type: 'record', name, fields };
}

/** A field that has a value in every record. */
export function required(id: number, name: string, type: AvroType): AvroField {
  return { name, type, 'field-id': id };
}

/** A field that may be null. */
export function optional(id: number, name: string, type: AvroType): AvroField {
  return { name, type: ['null', type], default: null, 'field-id': id };
}

export function listType(elementId: number, items: AvroType): AvroArray {
  return { type: 'array', items, 'element-id': elementId };
}

/** An Iceberg map from column id to a value. */
export function columnMap(keyId: number, valueId: number, value: AvroType): AvroArray {
  const items = recordType(`k${keyId}_v${valueId}`, [required(keyId, 'key', 'int'), required(valueId, 'value', value)]);
  return { type: 'array', logicalType: 'map', items };
}
