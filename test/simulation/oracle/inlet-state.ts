import type { SqlPort, SqlValue } from '../../../src/ports/sql.ts';
import type { SaidRow } from '../world/feeding.ts';

/** The object's tables of its inlet and its evidence, as they are now. */
export interface InletState {
  identity: string | null;
  lsn: number;
  /** Rows that the inlet counted. */
  rows: number;
  /** By key: its evidence as one text. Keys without evidence are left out. */
  evidence: Map<string, string>;
  versions: Map<string, number>;
  removed: Set<string>;
}

/** Reads the tables directly, without the code of the engine. */
export function inletState(sql: SqlPort): InletState {
  const all = <T>(statement: string) => sql.exec<T & Record<string, SqlValue>>(statement);
  const [inlet] = all<Pick<InletState, 'identity' | 'lsn' | 'rows'>>('SELECT identity, lsn, rows FROM inlets');
  const kept = all<{ key: string; row_key: string; item: string; facts: string; sample: string | null }>(
    'SELECT key, row_key, item, facts, sample FROM evidence JOIN evidence_keys ON evidence_keys.id = key_id',
  );
  const texts = kept.map(({ key, row_key, item, facts, sample }) => {
    return { key, text: JSON.stringify([row_key, item, JSON.parse(facts), sample]) };
  });
  const versions = all<{ key: string; version: number }>('SELECT key, version FROM evidence_keys');
  return {
    identity: inlet?.identity ?? null,
    lsn: inlet?.lsn ?? 0,
    rows: inlet?.rows ?? 0,
    evidence: joined(texts),
    versions: new Map(versions.map(({ key, version }) => [key, version])),
    removed: new Set(all<{ key: string }>('SELECT key FROM removed_keys').map(({ key }) => key)),
  };
}

/** What a row says of keys that the agenda takes, and of which the facts are not too large. */
export function validFindings({ op, says }: SaidRow) {
  if (op === 'delete' || !Array.isArray(says)) return [];
  return says.filter(
    ({ key, facts }) =>
      /^[a-z\d-]{1,99}\.[a-z]+$/.test(key) && (facts === undefined || JSON.stringify(facts).length <= 512),
  );
}

/** The evidence after the first `lsn` rows of a table: what the newest row of each name says. */
export function foldedEvidence(rows: SaidRow[], lsn: number): Map<string, string> {
  const newest = new Map(rows.slice(0, lsn).map(row => [row.name, row]));
  const texts = [...newest.values()].flatMap(row => {
    const items = new Map<string, { key: string; text: string }>();
    for (const { key, item = '', facts, sample = null } of validFindings(row))
      if (facts) items.set(JSON.stringify([key, item]), { key, text: JSON.stringify([row.name, item, facts, sample]) });
    return [...items.values()];
  });
  return joined(texts);
}

/** Sorted, so that the order in which items came makes no difference. */
function joined(texts: { key: string; text: string }[]): Map<string, string> {
  const byKey = Map.groupBy(texts, ({ key }) => key);
  return new Map(
    [...byKey].map(([key, some]) => [
      key,
      some
        .map(({ text }) => text)
        .sort()
        .join(' '),
    ]),
  );
}
