import type { World } from '../world/world.ts';
import type { AgendaState } from './agenda-state.ts';
import { differenceOf } from './agenda-visit.ts';
import { foldedEvidence, type InletState, validFindings } from './inlet-state.ts';

/**
 * Checks what a transaction of the object did for its inlet: rows are read once and in the order of LSNs, evidence is a
 * fold over all of them, and each change of evidence makes its key due.
 */
export class InletOracle {
  readonly #world: World;
  readonly #expect: (holds: boolean, message: string) => void;

  constructor(world: World, expect: (holds: boolean, message: string) => void) {
    this.#world = world;
    this.#expect = expect;
  }

  /** Checks one transaction. True when it was one of the inlet, which accepts no visit. */
  check(before: AgendaState, after: AgendaState): boolean {
    const [old, now] = [before.inlet, after.inlet];
    if (!old || !now) return false;
    this.#checkEvidence(now);
    const changed = differing(old.evidence, now.evidence);
    for (const key of changed)
      this.#expect(
        (old.versions.get(key) ?? 0) !== (now.versions.get(key) ?? 0),
        `${key}: expected another version of its evidence after a change`,
      );
    if (old.lsn === now.lsn && old.identity === now.identity && changed.length === 0) return false;
    this.#checkProgress(old, now);
    this.#expect(after.cursor === before.cursor, 'inlet: expected no visit accepted with its rows');
    this.#checkDue(before, after, new Set([...changed, ...this.#changedBetween(old, now)]));
    return true;
  }

  /** Keys that the rows of this transaction may add: those that they name and that no person removed. */
  added(before: AgendaState, after: AgendaState): Set<string> {
    const [old, now] = [before.inlet, after.inlet];
    if (!old || !now || old.identity !== now.identity) return new Set();
    return new Set(this.#named(old, now).filter(key => !old.removed.has(key)));
  }

  /** Keys whose evidence a row of this transaction changed, also where a later row changed it back. */
  #changedBetween(old: InletState, now: InletState): string[] {
    if (old.identity !== now.identity) return [];
    const rows = this.#world.feeding.history.get(String(now.identity)) ?? [];
    const changed: string[] = [];
    for (let lsn = old.lsn; lsn < now.lsn; lsn++)
      changed.push(...differing(foldedEvidence(rows, lsn), foldedEvidence(rows, lsn + 1)));
    return changed;
  }

  #named(old: InletState, now: InletState): string[] {
    const rows = this.#world.feeding.history.get(String(now.identity)) ?? [];
    return rows.slice(old.lsn, now.lsn).flatMap(row => validFindings(row).map(({ key }) => key));
  }

  /** Of a table that began anew, some evidence may be dropped already; else it is that of all rows read. */
  #checkEvidence({ identity, lsn, evidence }: InletState): void {
    const { feeding } = this.#world;
    const expected = foldedEvidence(feeding.history.get(String(identity)) ?? [], lsn);
    if (identity === feeding.identity) {
      for (const key of new Set([...expected.keys(), ...evidence.keys()]))
        this.#expect(
          expected.get(key) === evidence.get(key),
          `${key}: expected evidence ${expected.get(key)}, got ${evidence.get(key)}`,
        );
      return;
    }
    for (const [key, text] of evidence)
      for (const item of text.split(' '))
        this.#expect(expected.get(key)?.includes(item) ?? false, `${key}: expected only evidence of rows, got ${item}`);
  }

  #checkProgress(old: InletState, now: InletState): void {
    if (old.identity === now.identity) {
      this.#expect(now.lsn >= old.lsn, `inlet: expected no LSN before ${old.lsn}, got ${now.lsn}`);
      const read = now.rows - old.rows;
      this.#expect(read === now.lsn - old.lsn, `inlet: expected ${now.lsn - old.lsn} rows read, got ${read}`);
      return;
    }
    this.#expect(
      now.lsn === 0,
      `inlet: expected a table that began anew to be read from its first row, got ${now.lsn}`,
    );
    this.#expect(now.evidence.size === 0, 'inlet: expected no evidence of a table that began anew');
  }

  /** A key whose evidence changed is due once that has settled, or before; others stay as they are. */
  #checkDue(before: AgendaState, after: AgendaState, changed: Set<string>): void {
    const { settleMs } = this.#world.settings;
    const dueMs = this.#world.clock.now() + settleMs;
    for (const [key, row] of after.keys) {
      const old = before.keys.get(key);
      if (!old) continue;
      // No probe can answer for the evidence.
      const expected = changed.has(key) ? { ...old, due_ms: Math.min(old.due_ms, dueMs), revisit: 0 } : old;
      const wrong = differenceOf(expected, row);
      this.#expect(wrong === null, `${key}: after a row of the inlet: ${wrong}`);
    }
    const [old, now] = [before.inlet!, after.inlet!];
    for (const key of old.identity === now.identity ? this.#named(old, now) : [])
      this.#expect(
        after.keys.has(key) || now.removed.has(key),
        `${key}: expected it watched after a row that names it`,
      );
  }
}

/** Keys that have other evidence in one of two states than in the other. */
function differing(old: Map<string, string>, now: Map<string, string>): string[] {
  return [...new Set([...old.keys(), ...now.keys()])].filter(key => old.get(key) !== now.get(key));
}
