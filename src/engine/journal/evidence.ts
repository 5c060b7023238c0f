import { LIMITS } from '../../limits.ts';
import type { Evidence, EvidenceCounts } from '../../ports/change.ts';
import type { KeyFinding } from '../../ports/inlet.ts';
import type { SqlPort } from '../../ports/sql.ts';

/** Items that one statement reads: an item has at most 2.5 KiB. */
const READ_ITEMS = 1_000;
/** Distinct facts that counts tell apart. Patterns and roles are a handful; more means that facts are no categories. */
const COUNTED_FACTS_MAX = 1_000;
/** Samples of each distinct facts: enough to show a person what was counted. */
const SAMPLES_MAX = 5;

/** The evidence that a row of a feeding table gives now. `row`: its key; null where rows of the table never change. */
export interface GivenEvidence {
  inlet: number;
  row: string | null;
  lsn: number;
  findings: KeyFinding[];
}

interface KeptItem {
  id: number;
  key: string;
  key_id: number;
  item: string;
  facts: string;
  sample: string | null;
}

interface ShownItem {
  table_name: string;
  row_key: string | null;
  item: string;
  facts: string;
  sample: string | null;
  lsn: number;
}

/**
 * What rows of other tables say of keys, in the object's SQLite: by key, inlet, row and item. Keys need not be watched,
 * so that nothing is missing when a removed key is added again.
 */
export class JournalEvidence {
  readonly #sql: SqlPort;
  readonly #counts: boolean;

  constructor(sql: SqlPort, { counts }: { counts: boolean }) {
    this.#sql = sql;
    this.#counts = counts;
  }

  /**
   * Replaces what a row gave before by what it gives now, and returns the keys whose evidence changed. An item that the
   * row gives again unchanged stays as it is. The caller holds the transaction, and gives the changed keys their version.
   */
  replace({ inlet, row, lsn, findings }: GivenEvidence): Set<string> {
    const changed = new Set<string>();
    // Gather what the row gives now; the last finding of an item counts.
    const given = new Map<string, KeyFinding>();
    for (const finding of findings)
      if (finding.facts !== null) given.set(JSON.stringify([finding.key, finding.item]), finding);
    // Withdraw what the row gives no longer, or gives in another form.
    const kept = row === null ? this.#ofFindings(inlet, [...given.values()]) : this.#ofRow(inlet, row);
    const keyIds = new Map<string, number>();
    for (const { id, key, key_id, item, facts, sample } of kept) {
      const name = JSON.stringify([key, item]);
      const finding = given.get(name);
      if (finding?.facts === facts && finding.sample === sample) {
        given.delete(name);
        continue;
      }
      changed.add(key);
      if (finding) keyIds.set(name, key_id);
      // The numbers of items stay where an item of the same name follows.
      if (finding) this.#sql.exec('DELETE FROM evidence WHERE id = ?', id);
      else this.#remove(id);
    }
    // Keep what is new.
    for (const [name, { key, item, facts, sample }] of given) {
      this.#sql.exec(
        'INSERT INTO evidence (key_id, inlet, row_key, item, facts, sample, lsn) VALUES (?, ?, ?, ?, ?, ?, ?)',
        keyIds.get(name) ?? this.#countItem(key),
        inlet,
        row,
        item,
        facts,
        sample,
        lsn,
      );
      changed.add(key);
    }
    const added = given.size - keyIds.size;
    if (added > 0) this.#sql.exec('UPDATE inlets SET items = items + ? WHERE id = ?', added, inlet);
    return changed;
  }

  /** Drops at most `limit` items of an inlet, and returns the keys that had them. */
  dropItems(inlet: number, limit: number): Set<string> {
    const dropped = this.#sql.exec<{ id: number; key: string }>(
      `SELECT evidence.id AS id, key FROM evidence JOIN evidence_keys ON evidence_keys.id = key_id
       WHERE inlet = ? LIMIT ?`,
      inlet,
      limit,
    );
    for (const { id } of dropped) this.#remove(id);
    return new Set(dropped.map(({ key }) => key));
  }

  /**
   * Gives the evidence of a key to another one. True where that has evidence of its own, so that the next visit sees more
   * than the last one did. The caller holds the transaction.
   */
  move(from: string, to: string): boolean {
    const [old, known] = [from, to].map(
      key => this.#sql.exec<{ id: number }>('SELECT id FROM evidence_keys WHERE key = ?', key)[0]?.id ?? null,
    ) as [number | null, number | null];
    if (old === null) return false;
    if (known === null) {
      this.#sql.exec('UPDATE evidence_keys SET key = ? WHERE id = ?', to, old);
      return false;
    }
    // Drop the items that the other key has from the same table whose rows never change.
    const repeated = this.#sql.exec<{ id: number }>(
      `SELECT id FROM evidence AS one WHERE key_id = ?1 AND row_key IS NULL AND EXISTS
         (SELECT 1 FROM evidence WHERE key_id = ?2 AND inlet = one.inlet AND item = one.item AND row_key IS NULL)`,
      old,
      known,
    );
    for (const { id } of repeated) this.#remove(id);
    this.#sql.exec('UPDATE evidence SET key_id = ? WHERE key_id = ?', known, old);
    this.#sql.exec(
      'UPDATE evidence_keys SET items = items + (SELECT items FROM evidence_keys WHERE id = ?1) WHERE id = ?2',
      old,
      known,
    );
    this.#sql.exec('DELETE FROM evidence_keys WHERE id = ?', old);
    this.#sql.exec('UPDATE source SET evidence_keys = evidence_keys - 1');
    this.raiseVersion([to]);
    return true;
  }

  /** Drops all evidence of a key. Returns how many items it had. The caller holds the transaction. */
  drop(key: string): number {
    const statement = 'SELECT id FROM evidence WHERE key_id = (SELECT id FROM evidence_keys WHERE key = ?)';
    const dropped = this.#sql.exec<{ id: number }>(statement, key);
    for (const { id } of dropped) this.#remove(id);
    if (dropped.length > 0) this.raiseVersion([key]);
    return dropped.length;
  }

  /**
   * Gives keys whose evidence changed the next version. A key without evidence keeps none: it has version 0 then, as one
   * that never had any.
   */
  raiseVersion(keys: Iterable<string>): void {
    this.#sql.exec('UPDATE source SET evidence_version = evidence_version + 1');
    for (const key of keys) {
      const ended = this.#sql.exec('DELETE FROM evidence_keys WHERE key = ? AND items = 0 RETURNING id', key);
      if (ended.length > 0) this.#sql.exec('UPDATE source SET evidence_keys = evidence_keys - 1');
      this.#sql.exec('UPDATE evidence_keys SET version = (SELECT evidence_version FROM source) WHERE key = ?', key);
    }
  }

  /** The version of a key's evidence; 0 where it has none. */
  versionOf(key: string): number {
    return this.#sql.exec<{ version: number }>('SELECT version FROM evidence_keys WHERE key = ?', key)[0]?.version ?? 0;
  }

  /** What a visit of a key gets, and about how many bytes of a call it takes. */
  of(key: string): { evidence: Evidence; bytes: number } {
    const [known] = this.#sql.exec<{ id: number; version: number; total: number }>(
      'SELECT id, version, items AS total FROM evidence_keys WHERE key = ?',
      key,
    );
    const { id, version, total } = known ?? { id: 0, version: 0, total: 0 };
    if (this.#counts) return { evidence: { version, total, items: [], counts: this.#countsOf(id) }, bytes: 0 };
    const { items, bytes } = this.#newest(id);
    return { evidence: { version, total, items, counts: null }, bytes };
  }

  /** The newest items of a key, as many as one visit may get. */
  #newest(keyId: number): Pick<Evidence, 'items'> & { bytes: number } {
    const items: Evidence['items'] = [];
    let bytes = 0;
    // Read in parts, because a key may have far more than a visit may get.
    for (let below: number | null = null; items.length < LIMITS.evidenceItemsMax; ) {
      const found: (ShownItem & { id: number })[] = this.#sql.exec<ShownItem & { id: number }>(
        `SELECT evidence.id AS id, table_name, row_key, item, facts, sample, evidence.lsn AS lsn
         FROM evidence JOIN inlets ON inlets.id = inlet
         WHERE key_id = ?1 AND evidence.id < ?2 ORDER BY evidence.id DESC LIMIT ?3`,
        keyId,
        below ?? Number.MAX_SAFE_INTEGER,
        READ_ITEMS,
      );
      for (const { id, table_name: table, row_key: row, item, facts, sample, lsn } of found) {
        bytes += table.length + item.length + facts.length + (row?.length ?? 0) + (sample?.length ?? 0);
        if (bytes > LIMITS.evidenceVisitBytesMax || items.length >= LIMITS.evidenceItemsMax) return { items, bytes };
        items.push({ table, row, item, facts: JSON.parse(facts) as Record<string, unknown>, sample, lsn });
        below = id;
      }
      if (found.length < READ_ITEMS) break;
    }
    return { items, bytes };
  }

  #countsOf(keyId: number): EvidenceCounts {
    const all = this.#sql.exec<{ facts: string; items: number }>(
      `SELECT facts, count(DISTINCT item) AS items FROM evidence WHERE key_id = ?
       GROUP BY facts ORDER BY items DESC, facts LIMIT ?`,
      keyId,
      COUNTED_FACTS_MAX,
    );
    const tables = this.#sql.exec<{ facts: string; table: string; items: number }>(
      `SELECT facts, table_name AS "table", count(DISTINCT item) AS items FROM evidence JOIN inlets ON inlets.id = inlet
       WHERE key_id = ? GROUP BY facts, table_name ORDER BY items DESC, facts, table_name LIMIT ?`,
      keyId,
      COUNTED_FACTS_MAX,
    );
    const shown = this.#sql.exec<{ facts: string; sample: string }>(
      `SELECT facts, sample FROM (
         SELECT facts, sample, row_number() OVER (PARTITION BY facts ORDER BY max(id) DESC) AS rank FROM evidence
         WHERE key_id = ? AND sample IS NOT NULL GROUP BY facts, sample) WHERE rank <= ? ORDER BY facts, rank`,
      keyId,
      SAMPLES_MAX,
    );
    const samples = Map.groupBy(shown, ({ facts }) => facts);
    const samplesOf = (facts: string) => (samples.get(facts) ?? []).map(({ sample }) => sample);
    const parsed = (facts: string) => JSON.parse(facts) as Record<string, unknown>;
    return {
      facts: all.map(({ facts, items }) => ({ facts: parsed(facts), items, samples: samplesOf(facts) })),
      tables: tables.map(({ facts, table, items }) => ({ facts: parsed(facts), table, items })),
    };
  }

  #ofRow(inlet: number, row: string): KeptItem[] {
    return this.#sql.exec<KeptItem & Record<string, string | number>>(
      `SELECT evidence.id AS id, key, key_id, item, facts, sample FROM evidence
       JOIN evidence_keys ON evidence_keys.id = key_id WHERE inlet = ? AND row_key = ?`,
      inlet,
      row,
    );
  }

  /** What a table whose rows never change has given of the same keys and items. */
  #ofFindings(inlet: number, findings: KeyFinding[]): KeptItem[] {
    return findings.flatMap(({ key, item }) =>
      this.#sql.exec<KeptItem & Record<string, string | number>>(
        `SELECT evidence.id AS id, key, key_id, item, facts, sample FROM evidence_keys
         JOIN evidence ON key_id = evidence_keys.id
         WHERE key = ? AND inlet = ? AND item = ? AND row_key IS NULL`,
        key,
        inlet,
        item,
      ),
    );
  }

  /** Counts one more item of a key, and returns the id of the key. */
  #countItem(key: string): number {
    const counted = 'UPDATE evidence_keys SET items = items + 1 WHERE key = ? RETURNING id';
    const [known] = this.#sql.exec<{ id: number }>(counted, key);
    if (known) return known.id;
    this.#sql.exec('UPDATE source SET evidence_keys = evidence_keys + 1');
    const added = 'INSERT INTO evidence_keys (key, items) VALUES (?, 1) RETURNING id';
    return this.#sql.exec<{ id: number }>(added, key)[0]!.id;
  }

  #remove(id: number): void {
    const [removed] = this.#sql.exec<{ key_id: number; inlet: number }>(
      'DELETE FROM evidence WHERE id = ? RETURNING key_id, inlet',
      id,
    );
    this.#sql.exec('UPDATE evidence_keys SET items = items - 1 WHERE id = ?', removed!.key_id);
    this.#sql.exec('UPDATE inlets SET items = items - 1 WHERE id = ?', removed!.inlet);
  }
}
