import { describe, expect, it } from 'vitest';
import { emailPattern as table } from '../../../schemas/email_pattern.ts';
import { checkHistory, isHistoryCut } from '../../../src/iceberg/format/history.ts';
import { readTableMetadata } from '../../../src/iceberg/format/table-metadata.ts';

/** A snapshot of a chain: the LSN of one of the committer, another program's operation, or no summary. */
type Link = number | 'replace' | 'append' | 'no summary' | 'an empty summary';

/** The metadata of a table with this history, the current snapshot first; each snapshot has the next as its parent. */
function metadataOf(
  history: Link[],
  properties: Record<string, string>,
  { parentOfLast = null as number | null } = {},
) {
  const snapshots = history.map((link, index) => ({
    'snapshot-id': index,
    'parent-snapshot-id': index + 1 < history.length ? index + 1 : parentOfLast,
    'timestamp-ms': 5,
    ...(link === 'an empty summary' && { summary: {} }),
    ...(typeof link === 'number' && { summary: { operation: 'append', 'tributary.committed_lsn': String(link) } }),
    ...(/^\w+$/.test(String(link)) && typeof link === 'string' && { summary: { operation: link } }),
  }));
  const metadata = {
    'format-version': 2,
    'table-uuid': 'u',
    location: 's3://lake/t',
    'last-updated-ms': 5,
    'last-column-id': 1,
    'current-schema-id': 0,
    schemas: [{ 'schema-id': 0, fields: [] }],
    'default-spec-id': 0,
    'partition-specs': [{ 'spec-id': 0, fields: [] }],
    properties,
    snapshots,
    'current-snapshot-id': history.length > 0 ? 0 : null,
  };
  return readTableMetadata(metadata, 'table');
}

const at = (lsn: number, accepted?: string) => ({
  'tributary.committed_lsn': String(lsn),
  ...(accepted !== undefined && { 'tributary.accepted_gap': accepted }),
});

describe('the history of a table', () => {
  it.each([
    ['its newest snapshot is ours and names the LSN', metadataOf([15, 10], at(15))],
    ['others committed after ours', metadataOf(['replace', 'append', 15, 10], at(15))],
    ['it has no snapshot of ours', metadataOf(['append'], at(15))],
    ['a summary was dropped', metadataOf(['no summary', 10], at(15))],
    ['a summary was emptied', metadataOf(['an empty summary', 10], at(15))],
    ['the snapshots before were expired', metadataOf(['replace'], at(15), { parentOfLast: 7 })],
    ['its snapshots form a ring', metadataOf(['replace', 'replace'], at(15), { parentOfLast: 0 })],
    ['it is new', metadataOf([], at(0))],
    ['it is new and has no property', metadataOf([], {})],
    ['this gap is accepted', metadataOf([10], at(15, '10-15'))],
  ])('is fine where %s', (_, metadata) => {
    expect(() => checkHistory(table, metadata)).not.toThrow();
  });

  it.each([
    ['ours names an earlier one', metadataOf([10], at(15)), 10],
    ['ours does under a compaction', metadataOf(['replace', 10, 5], at(15)), 10],
    ['another gap was accepted', metadataOf([10], at(15, '5-15')), 10],
    ['it has no snapshot at all', metadataOf([], at(15)), 0],
  ])('is rolled back where %s', (_, metadata, lsn) => {
    expect(() => checkHistory(table, metadata)).toThrow(
      expect.objectContaining({
        kind: 'rolled-back',
        message: `table email_pattern: expected its newest snapshot of Tributary to name LSN 15, got ${lsn}`,
        hint:
          `The table was rolled back. To commit its rows from LSN ${lsn + 1} to 15 again, set its property ` +
          `tributary.committed_lsn to ${lsn}. To accept that it lacks them, set its property tributary.accepted_gap to ` +
          `${lsn}-15.`,
      }),
    );
  });

  it('with a property that was set back says how to commit rows that were deleted', () => {
    expect(() => checkHistory(table, metadataOf([15], at(10)))).toThrow(
      expect.objectContaining({
        kind: 'rolled-back',
        hint:
          'The property was set back. If the table has its rows from LSN 11 to 15, set its property ' +
          'tributary.committed_lsn to 15. If it lacks them, set its property tributary.accepted_gap to 15-10 to commit ' +
          'them again.',
      }),
    );
    expect(() => checkHistory(table, metadataOf([15], at(10, '15-10')))).not.toThrow();
  });

  it('is cut only where a parent is missing before one of ours is found', () => {
    expect(isHistoryCut(metadataOf(['replace'], at(15), { parentOfLast: 7 }))).toBe(true);
    expect(isHistoryCut(metadataOf([15], at(15), { parentOfLast: 7 }))).toBe(false);
    expect(isHistoryCut(metadataOf(['replace', 15], at(15)))).toBe(false);
  });
});
