import type { Change, RoundAnswer } from '../../ports/change.ts';
import type { SqlPort } from '../../ports/sql.ts';
import { countOutcome } from './counts.ts';
import { presentKeys, rowStateOf } from './key-index.ts';
import type { ParkedChanges } from './parked.ts';
import { latestOf } from './rechecks.ts';
import type { JournalState } from './state.ts';

/** Changes of the round that wait for their first attempt. Few, so that most of the host's pace remains for the tail. */
export const RECHECKS_WAITING_MAX = 25;

/** A walk over the present keys in byte order, which begins again at its end. Counts of answers never go down. */
export interface RoundRow {
  pass: number;
  /** The key checked last; null at the start of a pass. */
  after: string | null;
  /** Keys checked in this pass. */
  checked: number;
  started_ms: number;
  /** The time up to which keys were due and checked. */
  paced_ms: number;
  unchanged: number;
  changed: number;
  failed: number;
}

/** Keys that a round checks at once, and how far it gets with them. */
interface Checked {
  /** The round when its keys were chosen. */
  before: RoundRow;
  keys: string[];
  /** By key in order; null of a key that was not asked for. */
  answers: (RoundAnswer | null)[];
  /** The last of the keys is the last of the index. */
  isEnd: boolean;
  /** The time up to which these keys were due. */
  pacedMs: number;
  cursor: string;
  nowMs: number;
}

/** The round of a feed, and the facts that it found of keys, in the object's SQLite. */
export class JournalRound {
  readonly #sql: SqlPort;
  readonly #state: JournalState;
  readonly #parked: ParkedChanges;

  constructor(sql: SqlPort, { state, parked }: { state: JournalState; parked: ParkedChanges }) {
    this.#sql = sql;
    this.#state = state;
    this.#parked = parked;
  }

  /** Null before the first round. */
  current(): RoundRow | null {
    return this.#sql.exec<RoundRow & Record<string, never>>('SELECT * FROM round')[0] ?? null;
  }

  begin(nowMs: number): RoundRow {
    this.#sql.exec('INSERT INTO round (id, started_ms, paced_ms) VALUES (1, ?, ?)', nowMs, nowMs);
    return this.current()!;
  }

  /** Counts keys as due from this time on. */
  setPace(pacedMs: number): void {
    this.#sql.exec('UPDATE round SET paced_ms = ?', pacedMs);
  }

  /** How many keys the index has, deleted ones included, which a round passes over. */
  countKeys(): number {
    return this.#sql.exec<{ keys: number | null }>('SELECT max(change_keys) AS keys FROM tables')[0]!.keys ?? 0;
  }

  /** The next keys of a pass. */
  next({ after }: RoundRow, limit: number): string[] {
    return presentKeys(this.#sql, { after, limit });
  }

  /** Changes that the round made and that wait for their first attempt. */
  waiting(): number {
    const statement = "SELECT count(*) AS changes FROM parked WHERE reason = 'recheck' AND died_ms IS NULL";
    return this.#sql.exec<{ changes: number }>(statement)[0]!.changes;
  }

  /** The change with its key's facts, which are null where none are known. */
  withFacts<C extends Pick<Change, 'key'>>(change: C): C & Pick<Change, 'facts'> {
    const found = this.#factsOf(change.key);
    return { ...change, facts: found === null ? null : (JSON.parse(found) as Record<string, unknown>) };
  }

  /** Drops the facts of a key whose newest row is a deletion. */
  forget(key: string): void {
    this.#sql.exec('DELETE FROM key_facts WHERE key = ?', key);
  }

  /**
   * Takes the answers for some keys, and moves the round. A key whose facts are others is parked as a change of its own, in
   * the same transaction, so that no fact is stored whose row is not loaded. It stops before the first key without an
   * answer, and before one that changed and has a load under way (`isPending`), because that load had the old facts. Returns
   * the keys that changed; null, without any effect, when the round has moved meanwhile.
   */
  accept(checked: Checked, isPending: (key: string) => boolean): string[] | null {
    const { before, keys, answers, nowMs } = checked;
    return this.#sql.transaction(() => {
      const round = this.current();
      if (!round || round.pass !== before.pass || round.after !== before.after) return null;
      const changed: string[] = [];
      let taken = 0;
      for (const [index, key] of keys.entries()) {
        const answer = answers[index];
        if (!answer) break;
        const facts = answer.kind === 'facts' ? textOf(answer.facts) : null;
        // A key that was deleted meanwhile is passed over.
        const isChanged =
          answer.kind === 'facts' && rowStateOf(this.#sql, key) === 'present' && facts !== this.#factsOf(key);
        if (isChanged && isPending(key)) break;
        taken += 1;
        if (isChanged) {
          this.#change(key, facts, checked);
          changed.push(key);
        } else round[answer.kind === 'failed' ? 'failed' : 'unchanged'] += 1;
      }
      round.changed += changed.length;
      this.#move(round, taken, checked, nowMs);
      return changed;
    });
  }

  #factsOf(key: string): string | null {
    const statement = 'SELECT facts FROM key_facts WHERE key = ?';
    return this.#sql.exec<{ facts: string }>(statement, key)[0]?.facts ?? null;
  }

  /** Stores a key's facts, and makes a change that loads it, at the tail's cursor: parked, and due at once. */
  #change(key: string, facts: string | null, { cursor, nowMs }: Checked): void {
    if (facts === null) this.forget(key);
    else {
      const statement = 'INSERT INTO key_facts (key, facts) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET facts = ?2';
      this.#sql.exec(statement, key, facts);
    }
    // End what is parked or dead for the key, because this change is newer. It waits for the revision that the other waited
    // for, and for that of the newest row, because its document may be an older one.
    const { revision, deleted } = latestOf(this.#sql, key, { withRows: true }) ?? { revision: null, deleted: false };
    const superseded = this.#parked.removeAllOf(key, { status: 'superseded', nowMs });
    countOutcome(this.#sql, 'skipped:superseded', superseded);
    const change_number = this.#state.source().change_number + 1;
    this.#state.updateSource({ change_number });
    const change = { key, cursor, deleted, revision, skip: null };
    const detail = 'the round found other facts of it';
    this.#parked.park(change_number, change, { reason: 'recheck', detail, nowMs, dueMs: nowMs });
  }

  #move(round: RoundRow, taken: number, { keys, isEnd, pacedMs }: Checked, nowMs: number): void {
    const isAll = taken === keys.length;
    // After a stop, wait as for keys that are not due yet: what was due is not made up for.
    round.paced_ms = isAll ? pacedMs : nowMs;
    round.checked += taken;
    round.after = keys[taken - 1] ?? round.after;
    if (isAll && isEnd) {
      round.pass += 1;
      round.after = null;
      round.checked = 0;
      round.started_ms = nowMs;
    }
    const { pass, after, checked, started_ms, paced_ms, unchanged, changed, failed } = round;
    this.#sql.exec(
      `UPDATE round SET pass = ?, after = ?, checked = ?, started_ms = ?, paced_ms = ?, unchanged = ?, changed = ?,
         failed = ?`,
      pass,
      after,
      checked,
      started_ms,
      paced_ms,
      unchanged,
      changed,
      failed,
    );
  }
}

/** Facts as a text that is the same for the same facts, whatever the order of their names. */
function textOf(facts: Record<string, unknown> | null): string | null {
  const sorted = (_name: string, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  return facts && JSON.stringify(facts, sorted);
}
