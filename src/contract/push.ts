import type { Row } from '../../schemas/table.ts';

/** One part of a request that pushes rows: each row with its line, without lineage. `identity`: the idempotency key. */
export interface PushPart {
  identity: string;
  table: string;
  rows: { line: number; row: Row }[];
}

/** The result of a part. `refused`: no row was accepted, for a reason that may pass unless it is final. */
export interface PushResult {
  refused: { message: string; hint: string; isFinal?: boolean } | null;
  accepted: number;
  /** Rows that an earlier request with the same identity brought. */
  repeated: number;
}
