import { describe, expect, it } from 'vitest';
import { icebergSchema } from '../../schemas/iceberg.ts';
import { TABLES, tableNamed } from '../../schemas/index.ts';
import { streamRecord, streamSchema } from '../../schemas/stream.ts';

const pattern = tableNamed('email_pattern');

describe('icebergSchema', () => {
  it('has a field per column with its permanent id', () => {
    const schema = icebergSchema(pattern);
    expect(schema).toMatchObject({ type: 'struct', 'schema-id': 0 });
    expect(schema.fields.map(field => `${field.id} ${field.name} ${field.type} ${field.required}`)).toEqual([
      '1 domain string true',
      '2 pattern string true',
      '3 confidence float false',
      '4 verified boolean false',
      '5 verified_at string false',
      '6 verified_by string false',
      '7 sources string false',
      '8 sample_emails string false',
      '9 organization_id string false',
      '10 employee_count int false',
      '11 data string false',
      '12 created_at string false',
      '13 updated_at string false',
      '14 _lsn long true',
      '15 _op string true',
      '16 _cursor string false',
    ]);
  });

  it('documents every field', () => {
    for (const table of TABLES) {
      const docs = icebergSchema(table).fields.map(field => field.doc);
      expect(docs).toEqual(table.columns.map(column => column.description));
    }
  });
});

describe('streamSchema', () => {
  it('has a field per column with the type names of a stream', () => {
    const { fields } = streamSchema(pattern);
    expect(fields).toHaveLength(pattern.columns.length);
    expect(fields).toContainEqual({ name: 'domain', type: 'string', required: true });
    expect(fields).toContainEqual({ name: 'confidence', type: 'float32', required: false });
    expect(fields).toContainEqual({ name: 'verified', type: 'bool', required: false });
    expect(fields).toContainEqual({ name: 'employee_count', type: 'int32', required: false });
    expect(fields).toContainEqual({ name: '_lsn', type: 'int64', required: true });
  });
});

describe('streamRecord', () => {
  const names = pattern.columns.map(({ name }) => name);
  const row = (values: Record<string, string | number | boolean | null>) => names.map(name => values[name] ?? null);
  const required = { domain: 'example.com', pattern: '{first}', _lsn: 7, _op: 'upsert' };

  it('has the columns that have a value, in declared order', () => {
    expect(streamRecord(pattern, row(required))).toEqual(required);
    const full = { ...required, confidence: 0.5, verified: false, employee_count: 0, data: '', _cursor: '3' };
    const record = streamRecord(pattern, row(full));
    expect(record).toEqual(full);
    expect(Object.keys(record)).toEqual(names.filter(name => name in full));
  });

  it.each([
    [{ ...required, domain: null }, 'email_pattern record: expected utf8 in domain, got null'],
    [{ ...required, _lsn: null }, 'email_pattern record: expected int64 in _lsn, got null'],
    [{ ...required, _lsn: 2 ** 53 }, 'email_pattern record: expected int64 in _lsn, got another'],
    [{ ...required, employee_count: 2 ** 31 }, 'email_pattern record: expected int32 in employee_count, got another'],
    [{ ...required, confidence: Number.NaN }, 'email_pattern record: expected float in confidence, got another'],
    [{ ...required, verified: 'true' }, 'email_pattern record: expected boolean in verified, got another'],
  ])('refuses a row that a stream would drop: %j', (values, message) => {
    expect(() => streamRecord(pattern, row(values))).toThrow(message);
  });
});
