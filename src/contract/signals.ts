// The RPC and the counts of signals. Times are ISO 8601.

/**
 * A signal: a hint that watched keys changed. `id`: of the delivery, the same when it is repeated. `keys`: in canonical
 * form. `unread`: how many it named besides that are no keys, or are too many.
 */
export interface Signal {
  id: string;
  keys: string[];
  unread: number;
}

/** What a signal came to. `repeated`: its delivery was taken before, and nothing was done. */
export interface SignalResult {
  due: number;
  ignored: number;
  repeated: boolean;
}

/**
 * How many signals a source took, how many came again, and how many keys they made due; `ignored` ones are not watched,
 * or no keys.
 */
export interface SignalStatus {
  taken: number;
  repeated: number;
  due: number;
  ignored: number;
  last_at: string | null;
}
