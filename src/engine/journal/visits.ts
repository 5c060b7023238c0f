import type { LoadedRow, Seen, Visit } from '../../ports/change.ts';
import type { AgendaRules } from '../../ports/source.ts';
import type { SqlPort } from '../../ports/sql.ts';
import { AGENDA_AHEAD_MS_MAX, type JournalAgenda, visitCursor, type Watched } from './agenda.ts';
import type { Accepted, Outcome } from './changes.ts';
import type { JournalEvidence } from './evidence.ts';
import type { RowState } from './key-index.ts';

/** Why a key that a visit found is not watched, although it is a key: the next visit that finds it adds it. */
const FULL = 'full';

interface Scheduled {
  nowMs: number;
  outcome: Visit['outcome'];
  seen: Seen | null;
  changed: boolean;
  /** The key's evidence is another one than the visit had. */
  isOvertaken: boolean;
  /** The digests by table from now on, as JSON; null keeps those of the visit before. */
  digests: string | null;
  retryAfterMs: number | null;
}

/** What visits of watched keys come to. The caller holds the transaction that accepts the visit. */
export class JournalVisits {
  readonly #sql: SqlPort;
  readonly #rules: AgendaRules;
  readonly #agenda: JournalAgenda;
  readonly #evidence: JournalEvidence;
  readonly #isFull: () => boolean;

  constructor(
    sql: SqlPort,
    rules: AgendaRules,
    { agenda, evidence, isFull }: { agenda: JournalAgenda; evidence: JournalEvidence; isFull: () => boolean },
  ) {
    this.#sql = sql;
    this.#rules = rules;
    this.#agenda = agenda;
    this.#evidence = evidence;
    this.#isFull = isFull;
  }

  /**
   * Gives the outcome of a visit, and sets when its key is due again. A visit that finds what the last one found is
   * skipped as `unchanged`, one of a key that is gone and has no row to delete as `no-rows` or `unchanged`, and one of
   * a key that was removed meanwhile as `unwatched`. Where the key's evidence is another one than the visit had, the due
   * time stays, because the visit has not seen it. `rowState` says of the key whether it has a row.
   */
  accept(
    { change: { key }, outcome, evidenceVersion = null }: Accepted,
    { nowMs, rowState }: { nowMs: number; rowState: RowState },
  ): Outcome {
    const watched = this.#agenda.find(key);
    this.#sql.exec('DELETE FROM suspects WHERE cursor = ?', visitCursor(key));
    if (!watched) return { kind: 'skip', reason: 'unwatched' };
    const isOvertaken = evidenceVersion !== null && evidenceVersion !== this.#evidence.versionOf(key);
    // Schedule a failed visit again.
    if (outcome.kind !== 'rows') {
      const retryAfterMs = outcome.kind === 'park' ? outcome.retryAfterMs : null;
      const failed = { outcome: 'failed' as const, seen: null, changed: false, digests: null };
      this.#schedule(watched, { nowMs, ...failed, isOvertaken, retryAfterMs });
      return outcome;
    }
    // Compare what the visit has seen with what the last one has, and schedule the next visit.
    const { seen } = outcome;
    if (!seen) throw new Error(`visit of ${key}: expected what it has seen, got nothing`);
    const { isSame, rows, digests } = compare(watched, seen, outcome.rows);
    this.#schedule(watched, {
      nowMs,
      outcome: !seen.found ? 'gone' : seen.partial ? 'partial' : 'found',
      seen,
      changed: !isSame && watched.digest !== null,
      isOvertaken,
      digests,
      retryAfterMs: null,
    });
    // Follow the key to its new name, then watch what the visit found: also the old name, where another thing has it now.
    if (seen.movedTo !== undefined) this.#move(watched, seen.movedTo, nowMs);
    for (const text of seen.keys ?? []) this.#watch(text, { nowMs, visited: key });
    // Skip a deletion of no row, and what has not changed.
    if (!seen.found && rowState !== 'present')
      return { kind: 'skip', reason: rowState === 'missing' ? 'no-rows' : 'unchanged' };
    return isSame && !seen.always ? { kind: 'skip', reason: 'unchanged' } : { ...outcome, rows };
  }

  /**
   * Schedules keys again whose probe failed, as after a failed visit. They are not visited, so nothing is counted and the
   * newest row stays.
   */
  putOff(keys: string[], nowMs: number): void {
    const none = { seen: null, digests: null, retryAfterMs: null };
    const failed = { ...none, outcome: 'failed' as const, changed: false, isOvertaken: false };
    for (const key of keys) {
      const watched = this.#agenda.find(key);
      if (watched) this.#schedule(watched, { nowMs, ...failed });
    }
  }

  /** The key that a visit's rows count for: the one that it moved to, or its own. */
  keyAfter({ change: { key }, outcome }: Accepted): string {
    const movedTo = outcome.kind === 'rows' ? outcome.seen?.movedTo : undefined;
    return movedTo === undefined ? key : this.#movedKey(key, movedTo).key;
  }

  /** How many keys that visits found are not watched, by the reason: they are no keys, or the database was `full`. */
  refusals(): Record<string, number> {
    const found = this.#sql.exec<{ reason: string; keys: number }>('SELECT reason, keys FROM agenda_refusals');
    return Object.fromEntries(found.map(({ reason, keys }) => [reason, keys]));
  }

  /**
   * Watches a key that a visit found, unless a person removed it, or it is a name that its thing had before. A text that
   * is no key, and a new key while the database is full, is counted by the reason. `visited`: the key of the visit, which
   * says of its own name that another thing has it.
   */
  #watch(text: string, { nowMs, visited }: { nowMs: number; visited: string }): void {
    const read = this.#rules.read(text);
    if ('rejected' in read) {
      this.#refuse(read.rejected);
      return;
    }
    const { moved } = this.#agenda;
    if (read.key === visited) moved.forget(visited);
    if (moved.currentOf(read.key) !== read.key || this.#agenda.isRemoved(read.key)) return;
    if (this.#isFull() && !this.#agenda.find(read.key)) this.#refuse(FULL);
    else this.#agenda.add(read, nowMs);
  }

  #refuse(reason: string): void {
    this.#sql.exec(
      'INSERT INTO agenda_refusals (reason, keys) VALUES (?, 1) ON CONFLICT DO UPDATE SET keys = keys + 1',
      reason,
    );
  }

  /**
   * Gives a watched key its new name, and its evidence too. Where that is watched already, the old key ends, and the other
   * is due, because it has more evidence now.
   */
  #move({ key }: Watched, text: string, nowMs: number): void {
    const moved = this.#movedKey(key, text);
    if (moved.key === key) return;
    this.#agenda.rename(key, moved);
    const isJoined = this.#evidence.move(key, moved.key);
    if (isJoined) this.#agenda.advance(moved.key, { dueMs: nowMs, reason: 'evidence' });
  }

  #movedKey(key: string, text: string): { key: string; space: string } {
    const read = this.#rules.read(text);
    if ('rejected' in read)
      throw new Error(`visit of ${key}: expected a key that it moved to, got ${text.slice(0, 100)}`);
    return read;
  }

  #schedule(watched: Watched, scheduled: Scheduled): void {
    const { nowMs, outcome, seen, changed, isOvertaken, digests, retryAfterMs } = scheduled;
    const { key } = watched;
    const times = watched.outcome === outcome ? watched.times + 1 : 1;
    const facts = seen ? JSON.stringify(seen.facts) : watched.facts;
    const { atMs, reason } = seen?.unfinished
      ? { atMs: nowMs, reason: 'unfinished' }
      : this.#rules.next({
          key,
          nowMs,
          outcome,
          times,
          changed,
          facts: facts === null ? null : (JSON.parse(facts) as Visit['facts']),
          notBeforeMs: retryAfterMs === null ? null : nowMs + retryAfterMs,
        });
    // Stretch the wait while hosts have too little room for all visits.
    const isWhole = outcome !== 'failed' && !seen?.unfinished;
    this.#agenda.pace.count(isWhole);
    const stretchedMs = nowMs + (atMs - nowMs) * (outcome === 'failed' ? 1 : this.#agenda.pace.stretch());
    this.#sql.exec(
      `UPDATE agenda SET due_ms = ?, reason = ?, revisit = coalesce(?, revisit), checked_ms = ?,
         wait_ms = coalesce(?, wait_ms), outcome = ?, times = ?, digest = ?, main_digest = ?, more_hosts = ?, facts = ? WHERE key = ?`,
      isOvertaken ? watched.due_ms : Math.round(Math.min(stretchedMs, Math.max(atMs, nowMs + AGENDA_AHEAD_MS_MAX))),
      isOvertaken ? watched.reason : reason,
      seen && !isOvertaken ? (seen.unfinished ? 0 : 1) : null,
      seen ? nowMs : watched.checked_ms,
      isWhole ? Math.max(1, Math.round(atMs - nowMs)) : null,
      outcome,
      times,
      digests ?? watched.digest,
      digests === null ? watched.main_digest : (seen?.mainDigest ?? null),
      seen && !seen.unchanged ? listText(seen.moreHosts ?? []) : watched.more_hosts,
      facts,
      key,
    );
  }
}

/**
 * Compares what a visit has seen with what the last one has: the rows of tables that changed, and the digests to keep. An
 * unchanged partial answer does not prove that the whole record is unchanged, so the old digests stay.
 */
function compare(
  { digest, main_digest }: Watched,
  { unchanged, partial, mainDigest = null, digests = {}, always }: Seen,
  rows: LoadedRow[],
): { isSame: boolean; rows: LoadedRow[]; digests: string | null } {
  if (unchanged) return { isSame: true, rows: [], digests: null };
  const before = JSON.parse(digest ?? '{}') as Record<string, string>;
  const isTableSame = (table: string) =>
    partial ? mainDigest === main_digest : before[table] !== undefined && before[table] === digests[table];
  const tables = Object.keys(digests).concat(rows.map(({ table }) => table));
  const isSame = digest !== null && (partial ? mainDigest === main_digest : tables.every(isTableSame));
  return {
    isSame,
    rows: always ? rows : rows.filter(({ table }) => !isTableSame(table)),
    digests: partial && isSame ? null : JSON.stringify({ ...before, ...digests }),
  };
}

/** JSON of a list; null for an empty one, because most keys have none and it would take room. */
function listText(list: string[]): string | null {
  return list.length === 0 ? null : JSON.stringify(list);
}
