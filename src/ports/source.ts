import type { Table } from '../../schemas/table.ts';
import type { Change, LoadedRow, Visit } from './change.ts';
import type { HostPace } from './hosts.ts';

/** The pure part of a source's agenda. */
export interface AgendaRules {
  /** A key in its one form and the name space it belongs to, among which visits are spread; or why it is none. */
  read(text: string): { key: string; space: string } | { rejected: string };
  /** When the key is visited next, and why then. */
  next(visit: Visit): { atMs: number; reason: string };
  /** Only where keys have servers of their own: which server a name space is asked of; null where none is known. */
  directory?: { serverOf(space: string, servers: Record<string, string>): string | null };
}

/** What the engine knows of its source: the pure parts, and its pace. */
export interface EngineSource {
  id: string;
  tables: Table[];
  resumable: boolean;
  pollMs: number;
  settleMs: number;
  hosts: Record<string, HostPace>;
  /** The pace of hosts that only the upstream names; null where it names none. */
  others: HostPace | null;
  /** Of a source that visits keys because it has no feed. */
  agenda: AgendaRules | null;
  compare(a: string, b: string): number;
  /** The cursor in its one form; throws `CursorError` when it is none. */
  parse(cursor: string): string;
  requests(step: 'pull' | 'prepare' | 'load' | 'list', changes: Change[]): Record<string, number>;
  /** The agendas it sends keys to, and which of a row. */
  feeds: Record<string, (row: LoadedRow) => string[]>;
  /** What a document weighs as a rule; null where that is not known. */
  documentBytes: number | null;
  prepares: boolean;
  lists: boolean;
}
