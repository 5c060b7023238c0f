import type { Table } from '../../schemas/table.ts';
import type { Change, Visit } from './change.ts';
import type { AskedStep, HostPace } from './hosts.ts';
import type { InletRules } from './inlet.ts';

/** The pure functions of a source's agenda. */
export interface AgendaRules {
  /**
   * The key in canonical form, and its name space, or why it is no key. Visits are spread over name spaces, and those of
   * one name space with the same hosts make the same requests.
   */
  read(text: string): { key: string; space: string } | { rejected: string };
  /** When the next visit is due, in milliseconds since 1970, and why then. */
  next(visit: Visit): { atMs: number; reason: string };
  /** For a source whose keys have different servers: the server of a name space, null when none is known. */
  directory?: { serverOf(space: string, servers: Record<string, string>): string | null };
  /** A visit gets its key's evidence as counts instead of items. */
  counts?: true;
}

/** What the engine knows of an inlet. */
export type EngineInlet = Pick<InletRules, 'source' | 'table'>;

/** The part of a source that the engine knows: pure functions, pace and abilities. */
export interface EngineSource {
  id: string;
  tables: Table[];
  /** The cursor of each change is one to resume from. */
  resumable: boolean;
  /** Time between two pulls at the head. */
  pollMs: number;
  /** How long a change waits before its document is fetched. */
  settleMs: number;
  hosts: Record<string, HostPace>;
  /** The pace of hosts that only the upstream names; null where it names none. */
  others: HostPace | null;
  /** Null for a source with a feed. */
  agenda: AgendaRules | null;
  /** The order of two cursors: negative when `a` is earlier. */
  compare(a: string, b: string): number;
  /** The cursor in canonical form. Throws `CursorError` for a text that is no cursor. */
  parse(cursor: string): string;
  /** The requests that a step sends to each host at most. */
  requests(step: AskedStep, changes: Change[]): Record<string, number>;
  /** The inlets that the settings turn on. */
  inlets: EngineInlet[];
  /** Bytes of all answers of one load at most; null where the source sets no limit. */
  documentBytes: number | null;
  /** The most keys that one request of the source's probe asks for; null without a probe. */
  probeKeysMax: number | null;
  /** The source fetches in bulk what the loads of a slice share. */
  prepares: boolean;
  /** The source can list the upstream's keys. */
  lists: boolean;
  /** It lists them in one answer, from which a stored listing is made. */
  listsWhole: boolean;
  /** The time in which every present key is checked once; null without a round. */
  roundMs: number | null;
}
