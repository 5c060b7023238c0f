import { tableNamed } from '../../../schemas/index.ts';
import type { FindingRefusal } from '../../errors.ts';
import type { RowFindings } from '../../ports/inlet.ts';
import type { EngineInlet } from '../../ports/source.ts';
import type { SqlPort, SqlValue } from '../../ports/sql.ts';
import type { JournalAgenda } from './agenda.ts';
import type { JournalEvidence } from './evidence.ts';

/** Items that one transaction drops when a feeding table began anew: it takes about 50 ms. */
const DROP_ITEMS = 2_000;

/** Why a finding adds no key that a person removed. */
const REMOVED: FindingRefusal = 'removed';

/** An inlet: it has read the rows of its table up to `lsn`. Times are milliseconds since 1970. */
export interface InletRow {
  id: number;
  source: string;
  table_name: string;
  /** The identity of the table that `lsn` is of; null before the table has rows. */
  identity: string | null;
  lsn: number;
  /** The last settled row of the table, when its source was last asked. */
  last_lsn: number;
  rows: number;
  findings: number;
  /** Keys that it added to the agenda. */
  added: number;
  /** Items of evidence that are kept of its table. */
  items: number;
  next_ms: number;
  /** When the table's source last answered. */
  asked_ms: number | null;
}

/** The name under which the rows of a table after an LSN are suspected of ending Loaders. */
export function inletCursor(table: string, afterLsn: number): string {
  return `rows of ${table} after ${afterLsn}`;
}

/** The rows after an inlet's LSN, in order, and what they say. */
interface InletAppend {
  inlet: EngineInlet;
  /** The identity and the LSN that the inlet had when the rows were asked for. */
  identity: string;
  lsnBefore: number;
  rows: RowFindings[];
  nowMs: number;
}

/** What an append of rows has done. */
interface InletAppended {
  findings: number;
  added: number;
  refused: number;
}

/** The inlets in the object's SQLite: which rows of other tables the agenda has seen, and what they gave. */
export class JournalInlets {
  readonly #sql: SqlPort;
  readonly #agenda: JournalAgenda;
  readonly #evidence: JournalEvidence;
  readonly #settleMs: number;

  constructor(
    sql: SqlPort,
    { agenda, evidence, settleMs }: { agenda: JournalAgenda; evidence: JournalEvidence; settleMs: number },
  ) {
    this.#sql = sql;
    this.#agenda = agenda;
    this.#evidence = evidence;
    this.#settleMs = settleMs;
  }

  /** The state of an inlet; one that is new begins at LSN 0. */
  find({ source, table }: Pick<EngineInlet, 'source' | 'table'>): InletRow {
    const statement = 'SELECT * FROM inlets WHERE source = ? AND table_name = ?';
    const [known] = this.#sql.exec<InletRow & Record<string, SqlValue>>(statement, source, table);
    if (known) return known;
    this.#sql.exec('INSERT INTO inlets (source, table_name) VALUES (?, ?)', source, table);
    return this.#sql.exec<InletRow & Record<string, SqlValue>>(statement, source, table)[0]!;
  }

  /** How many findings of an inlet were passed over, by reason. */
  refusals(inlet: number): Record<string, number> {
    const found = this.#sql.exec<{ reason: string; findings: number }>(
      'SELECT reason, findings FROM inlet_refusals WHERE inlet = ? ORDER BY reason',
      inlet,
    );
    return Object.fromEntries(found.map(({ reason, findings }) => [reason, findings]));
  }

  /** Notes an answer of the table's source. */
  noteAnswer(id: number, { lastLsn, nowMs }: { lastLsn: number; nowMs: number }): void {
    this.#sql.exec('UPDATE inlets SET last_lsn = ?, asked_ms = ? WHERE id = ?', lastLsn, nowMs, id);
  }

  setNext(id: number, nextMs: number): void {
    this.#sql.exec('UPDATE inlets SET next_ms = ? WHERE id = ?', nextMs, id);
  }

  /**
   * Begins to read a table that has another identity than the one before: at LSN 1, once no evidence of that one is left.
   * Call it until it returns true; each call drops a part of the evidence, because a million items take too long for one
   * transaction.
   */
  begin(inlet: EngineInlet, { identity, nowMs }: { identity: string; nowMs: number }): boolean {
    return this.#sql.transaction(() => {
      const known = this.find(inlet);
      if (known.identity === identity) return true;
      const changed = this.#evidence.dropItems(known.id, DROP_ITEMS);
      if (changed.size > 0) this.#noteChanged(changed, nowMs);
      if (this.find(inlet).items > 0) return false;
      this.#sql.exec('UPDATE inlets SET identity = ?, lsn = 0 WHERE id = ?', identity, known.id);
      return true;
    });
  }

  /**
   * Takes rows: unknown keys join the agenda, evidence is replaced, and the inlet's LSN moves, in one transaction. Null,
   * without any effect, when the inlet has moved meanwhile, because another run has taken the same rows.
   */
  append({ inlet, identity, lsnBefore, rows, nowMs }: InletAppend): InletAppended | null {
    return this.#sql.transaction(() => {
      // Check that no other run has moved the inlet, or begun it anew.
      const known = this.find(inlet);
      if (known.lsn !== lsnBefore || known.identity !== identity) return null;
      const appended: InletAppended = { findings: 0, added: 0, refused: 0 };
      const refusals: Record<string, number> = {};
      const changed = new Set<string>();
      // Rows of an immutable table never change, so evidence is kept without the row that gave it.
      const isImmutable = tableNamed(inlet.table).immutable;
      let lsn = lsnBefore;
      for (const row of rows) {
        // Check that no row is left out.
        if (row.lsn !== ++lsn) throw new Error(`inlet of ${inlet.table}: expected LSN ${lsn}, got ${row.lsn}`);
        // Read the old name of a key that moved as its new one.
        const findings = row.findings.map(one => ({ ...one, key: this.#agenda.moved.currentOf(one.key) }));
        // Add unknown keys, but those that a person removed. A key that moved is known.
        for (const [index, { key, space }] of findings.entries()) {
          appended.findings += 1;
          if (this.#agenda.isRemoved(key)) refusals[REMOVED] = (refusals[REMOVED] ?? 0) + 1;
          else if (key !== row.findings[index]!.key) continue;
          else if (this.#agenda.add({ key, space }, nowMs) === null) appended.added += 1;
        }
        // Replace what the row's key gave before.
        const given = { inlet: known.id, row: isImmutable ? null : row.key, lsn, findings };
        for (const key of this.#evidence.replace(given)) changed.add(key);
        for (const [reason, count] of Object.entries(row.refused)) refusals[reason] = (refusals[reason] ?? 0) + count;
      }
      this.#sql.exec('DELETE FROM suspects WHERE cursor = ?', inletCursor(inlet.table, lsnBefore));
      if (changed.size > 0) this.#noteChanged(changed, nowMs);
      if (appended.added > 0) this.#agenda.wakeVisitor();
      appended.refused = this.#countRefusals(known.id, refusals);
      this.#sql.exec(
        'UPDATE inlets SET lsn = ?, rows = rows + ?, findings = findings + ?, added = added + ? WHERE id = ?',
        lsn,
        rows.length,
        appended.findings,
        appended.added,
        known.id,
      );
      return appended;
    });
  }

  /** Gives changed keys a version, and makes those that are watched due once the change has settled. */
  #noteChanged(changed: Set<string>, nowMs: number): void {
    this.#evidence.raiseVersion(changed);
    for (const key of changed) this.#agenda.advance(key, { dueMs: nowMs + this.#settleMs, reason: 'evidence' });
    this.#agenda.wakeVisitor();
  }

  #countRefusals(id: number, refusals: Record<string, number>): number {
    for (const [reason, findings] of Object.entries(refusals))
      this.#sql.exec(
        `INSERT INTO inlet_refusals (inlet, reason, findings) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET findings = findings + excluded.findings`,
        id,
        reason,
        findings,
      );
    return Object.values(refusals).reduce((sum, count) => sum + count, 0);
  }
}
