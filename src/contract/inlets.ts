// The JSON of inlets. An unknown value is null; no field is ever absent, at any depth. Times are ISO 8601.

/**
 * What an inlet does now. `reading`: settled rows are left. `stalled`: a file of the table is missing or damaged; it
 * probes. `full`: the database of its object takes no new keys, so it reads nothing.
 */
export const INLET_STATES = ['waiting', 'reading', 'backing-off', 'stalled', 'full'] as const;

/** How far an inlet has read the table of another source, and what the rows gave. */
export interface InletStatus {
  /** The source that feeds, and its table. */
  source: string;
  table: string;
  state: (typeof INLET_STATES)[number];
  /** Rows up to this LSN are read. */
  lsn: number;
  /** Settled rows after it, when the feeding source last answered. */
  behind: number;
  rows: number;
  findings: number;
  /** Keys that it added to the agenda. */
  added: number;
  /** Items of evidence that are kept of the table now. */
  evidence: number;
  /** Findings that were passed over, by reason. */
  passed_over: Record<string, number>;
  /** When the feeding source last answered. */
  asked_at: string | null;
  last_error: {
    kind: string | null;
    reason: string | null;
    hint: string | null;
    retry: string | null;
    at: string | null;
  };
}
