import type { SqlPort, SqlValue } from '../../../src/ports/sql.ts';
import type { World } from '../world/world.ts';
import { type InletState, inletState } from './inlet-state.ts';

type Rows<T> = T & Record<string, SqlValue>;

/** A row of the object's table of watched keys. */
export interface WatchedRow {
  key: string;
  due_ms: number;
  revisit: number;
  added_ms: number;
  checked_ms: number | null;
  outcome: string | null;
  times: number;
  digest: string | null;
  main_digest: string | null;
  more_hosts: string | null;
  facts: string | null;
  /** After what time the key wants its next visit. */
  wait_ms: number | null;
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

/** The object's tables of watched keys, parked changes, hosts and outcomes, as they are now. */
export interface AgendaState {
  /** The number of accepted visits. */
  cursor: number;
  /** The factor of all intervals but those after failures. */
  stretch: number;
  lsn: number;
  keys: Map<string, WatchedRow>;
  parked: Map<number, ParkedRow>;
  outcomes: Map<string, number>;
  hosts: Map<string, HostRow>;
  /** By key: whether its newest row is a deletion. Keys without a row are left out. */
  deleted: Map<string, boolean>;
  /** By key: the LSN of its newest row. */
  lastLsn: Map<string, number>;
  /** The sum of what the spaces say of their numbers of keys. */
  countedKeys: number;
  /** Null of an agenda that nothing feeds. */
  inlet: InletState | null;
}

/** Reads the tables directly, without the code of the engine. */
export function agendaState({ storage: { sql }, fed }: World): AgendaState {
  const all = <T>(statement: string) => sql.exec<Rows<T>>(statement);
  const [lane] = all<{ cursor: string | null }>("SELECT cursor FROM lanes WHERE lane = 'tail'");
  const [tables] = all<{ lsn: number | null }>('SELECT sum(last_lsn) AS lsn FROM tables');
  const [pace] = all<{ stretch: number }>('SELECT stretch FROM agenda_pace');
  const [spaces] = all<{ keys: number | null }>('SELECT sum(keys) AS keys FROM agenda_spaces');
  const outcomes = all<{ outcome: string; changes: number }>('SELECT outcome, changes FROM outcomes');
  const deleted = all<{ key: string; deleted: number; lsn: number }>(
    'SELECT key, min(deleted) AS deleted, max(last_lsn) AS lsn FROM keys GROUP BY key',
  );
  return {
    cursor: Number(lane?.cursor ?? 0),
    stretch: pace!.stretch,
    lsn: tables?.lsn ?? 0,
    keys: new Map(all<WatchedRow>('SELECT * FROM agenda').map(row => [row.key, row])),
    parked: new Map(all<ParkedRow>('SELECT * FROM parked').map(row => [row.change_number, row])),
    outcomes: new Map(outcomes.map(({ outcome, changes }) => [outcome, changes])),
    hosts: new Map(all<HostRow>('SELECT * FROM hosts').map(row => [row.host, row])),
    lastLsn: new Map(deleted.map(({ key, lsn }) => [key, lsn])),
    deleted: new Map(deleted.map(row => [row.key, row.deleted === 1])),
    countedKeys: spaces?.keys ?? 0,
    inlet: fed ? inletState(sql) : null,
  };
}

/** Keys that are due and have no parked change. */
export function dueKeys({ keys, parked }: AgendaState, nowMs: number): string[] {
  const waiting = new Set<string>();
  for (const { key, died_ms } of parked.values()) if (died_ms === null) waiting.add(key);
  return [...keys.values()].flatMap(({ key, due_ms }) => (due_ms <= nowMs && !waiting.has(key) ? [key] : []));
}

/** The parked and dead changes of a key. */
export function parkedOf({ parked }: AgendaState, key: string): ParkedRow[] {
  return [...parked.values()].filter(one => one.key === key);
}

/** Until when the object's list of servers is fresh; 0 when it has none. */
export function freshUntilMs(sql: SqlPort): number {
  return sql.exec<{ ms: number }>('SELECT fresh_until_ms AS ms FROM agenda_servers')[0]?.ms ?? 0;
}
