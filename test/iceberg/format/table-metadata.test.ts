import { describe, expect, it } from 'vitest';
import { readTableMetadata } from '../../../src/iceberg/format/table-metadata.ts';

const WHOLE = {
  'format-version': 2,
  'table-uuid': 'u',
  location: 's3://lake/t',
  'last-updated-ms': 5,
  'last-column-id': 1,
  'current-schema-id': 0,
  schemas: [{ 'schema-id': 0, fields: [] }],
  'default-spec-id': 0,
  'partition-specs': [{ 'spec-id': 0, fields: [] }],
};
const SNAPSHOT = { 'snapshot-id': 7, 'timestamp-ms': 5 };

/** The metadata of a table, read with these members. */
const read = (members: object) => readTableMetadata({ ...WHOLE, ...members }, 'table');

describe('null for an optional member of a table’s metadata', () => {
  it.each(['last-sequence-number', 'properties', 'current-snapshot-id', 'snapshots', 'refs', 'snapshot-log'])(
    '%s is read as an absent member',
    member => {
      expect(read({ [member]: null })).toEqual({
        ...read({}),
        ...(member === 'current-snapshot-id' && { [member]: null }),
      });
    },
  );

  it.each(['manifest-list', 'summary', 'schema-id'])('%s of a snapshot is read as an absent member', member => {
    const snapshots = [{ ...SNAPSHOT, [member]: null }];
    expect(read({ snapshots }).snapshots).toEqual(read({ snapshots: [SNAPSHOT] }).snapshots);
  });

  it('a branch’s retention is read as absent, because a commit repeats the branch’s members', () => {
    const main = { 'snapshot-id': 7, type: 'branch' };
    const refs = { main: { ...main, 'max-ref-age-ms': null, 'min-snapshots-to-keep': 3 }, old: null };
    expect(read({ refs }).refs).toEqual({ main: { ...main, 'snapshot-id': 7n, 'min-snapshots-to-keep': 3 } });
  });

  it('a property or a line of a summary that is no text is passed over', () => {
    const texts = { 'other.program': null, count: 5, 'tributary.committed_lsn': '9' };
    const { properties, snapshots } = read({ properties: texts, snapshots: [{ ...SNAPSHOT, summary: texts }] });
    expect(properties).toEqual({ 'tributary.committed_lsn': '9' });
    expect(snapshots[0]!.summary).toEqual({ 'tributary.committed_lsn': '9' });
  });

  it.each(['table-uuid', 'location', 'schemas', 'current-schema-id'])('%s, which is required, is refused', member => {
    expect(() => read({ [member]: null })).toThrow(`table: expected the metadata of a table, got ${member}: `);
  });
});
