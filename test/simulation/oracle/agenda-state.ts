import type { SqlPort, SqlValue } from '../../../src/ports/sql.ts';
import type { World } from '../world/world.ts';

type Rows<T> = T & Record<string, SqlValue>;

/** A key as it stands in the object's SQLite. */
export interface WatchedRow {
  key: string;
  due_ms: number;
  added_ms: number;
  checked_ms: number | null;
  outcome: string | null;
  times: number;
  digest: string | null;
  main_digest: string | null;
  more_hosts: string | null;
  facts: string | null;
}

export interface ParkedRow {
  change_number: number;
  key: string;
  cursor: string;
  reason: string;
  attempts: number;
  died_ms: number | null;
}

interface HostRow {
  host: string;
  next_slot_ms: number;
  blocked_until_ms: number;
}

/** What the object's SQLite says of its agenda, of what failed, and of what changes came to. */
export interface AgendaState {
  /** Visits accepted. */
  cursor: number;
  lsn: number;
  keys: Map<string, WatchedRow>;
  parked: Map<number, ParkedRow>;
  outcomes: Map<string, number>;
  hosts: Map<string, HostRow>;
  /** Whether a key's newest row is a deletion; keys without a row are missing. */
  deleted: Map<string, boolean>;
  /** Keys that are counted of all spaces. */
  counted: number;
}

/** Reads the tables themselves: what the engine makes of them is not asked. */
export function agendaState({ storage: { sql } }: World): AgendaState {
  const all = <T>(statement: string) => sql.exec<Rows<T>>(statement);
  const [lane] = all<{ cursor: string | null }>("SELECT cursor FROM lanes WHERE lane = 'tail'");
  const [tables] = all<{ lsn: number | null }>('SELECT sum(last_lsn) AS lsn FROM tables');
  const [spaces] = all<{ keys: number | null }>('SELECT sum(keys) AS keys FROM agenda_spaces');
  const outcomes = all<{ outcome: string; changes: number }>('SELECT outcome, changes FROM outcomes');
  const deleted = all<{ key: string; deleted: number }>('SELECT key, min(deleted) AS deleted FROM keys GROUP BY key');
  return {
    cursor: Number(lane?.cursor ?? 0),
    lsn: tables?.lsn ?? 0,
    keys: new Map(all<WatchedRow>('SELECT * FROM agenda').map(row => [row.key, row])),
    parked: new Map(all<ParkedRow>('SELECT * FROM parked').map(row => [row.change_number, row])),
    outcomes: new Map(outcomes.map(({ outcome, changes }) => [outcome, changes])),
    hosts: new Map(all<HostRow>('SELECT * FROM hosts').map(row => [row.host, row])),
    deleted: new Map(deleted.map(row => [row.key, row.deleted === 1])),
    counted: spaces?.keys ?? 0,
  };
}

/** Keys that are due, and wait for no other look. */
export function dueKeys({ keys, parked }: AgendaState, nowMs: number): string[] {
  const waiting = new Set<string>();
  for (const { key, died_ms } of parked.values()) if (died_ms === null) waiting.add(key);
  return [...keys.values()].flatMap(({ key, due_ms }) => (due_ms <= nowMs && !waiting.has(key) ? [key] : []));
}

/** Changes of a key that failed, and are looked at again or dead. */
export function parkedOf({ parked }: AgendaState, key: string): ParkedRow[] {
  return [...parked.values()].filter(one => one.key === key);
}

/** Where the servers are told from, as the object knows it. */
export function freshUntilMs(sql: SqlPort): number {
  return sql.exec<{ ms: number }>('SELECT fresh_until_ms AS ms FROM agenda_servers')[0]?.ms ?? 0;
}
