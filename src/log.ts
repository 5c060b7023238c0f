/** Every event that the worker logs: when it is logged. */
export const EVENTS = {
  // Rows on their way into the lake.
  slice_accepted: 'The journal has a slice of changes and the cursor after it.',
  push_accepted: 'The journal has the rows of a request that pushed rows.',
  retry_accepted: 'The journal has the outcome of an attempt at a parked change.',
  flush_settled: 'A data file is in the bucket and part of its table.',
  // What is published of settled files.
  projection_landed: 'The operational database has settled files, the checkpoint and changed dead letters.',
  letter_written: 'The operational database has the new state of one dead letter.',
  catalog_landed: "The lake's catalog has a new root of a table.",
  catalog_left: "Old objects of the lake's catalog could not be removed; the write of the next root removes them.",
  stream_sent: 'A stream has confirmed a range of rows.',
  // The Iceberg catalog.
  catalog_committed: 'A snapshot of a table is committed.',
  catalog_copied: "Data files are copied under a table's location.",
  catalog_failed: 'Work on a table failed; it is tried again after `retry_after_ms`.',
  // Rows of other sources' tables.
  inlet_read: 'The journal has what rows of another source say, and the inlet has passed them.',
  inlet_restarted: 'A feeding table began anew: the inlet dropped its evidence and reads it from LSN 1.',
  // Facts that change without a change in the feed.
  round_checked: 'The round checked keys, of which some had changed or gave no answer.',
  // Parked changes that travel through a queue.
  tickets_sent: 'The queue has the tickets of parked changes that are due.',
  ticket_refused: 'The queue delivered messages that are no tickets; they are dropped.',
  tickets_failed: 'The object of a source did not process its tickets; the queue delivers them again.',
  // Failures.
  step_failed: 'A step of a run failed; it is tried again after `retry_after_ms`.',
  prepare_failed: 'The bulk fetch for a slice failed; the slice is loaded without it.',
  probe_failed: 'The probe of an agenda got no answer for some keys; they are due again later.',
  servers_failed: 'The list of servers could not be fetched anew; the stored one stays in use.',
  request_failed:
    'A request of the API failed with status 500; `message` has the reason, which the answer does not show.',
  health_failed: 'A source did not answer the question whether it works.',
  metrics_failed: 'A source, or the catalog, did not answer the request for its metrics.',
  watch_failed: 'The watchdog could not call a source, or the catalog.',
} as const satisfies Record<string, string>;

export type LogEvent = keyof typeof EVENTS;

/**
 * Every field that a log line may have. None holds a value of a row or a secret. Times end in `_at`, spans in `_ms`.
 */
export const LOG_FIELDS = [
  // The subject.
  'source',
  'table',
  'lane',
  'host',
  'key',
  'step',
  // The outcome.
  'state',
  'action',
  'changes',
  'rows',
  'tombstones',
  'parked',
  'dead',
  'letters',
  'target',
  'keys',
  'findings',
  'added',
  'refused',
  'skipped',
  'files',
  'snapshot',
  'bytes',
  'cursor',
  'head',
  'at_head',
  'first_lsn',
  'last_lsn',
  'calls',
  'requests',
  'not_modified',
  'throttled',
  'errors',
  // Times and attempts.
  'duration_ms',
  'retry_after_ms',
  'next_wake_at',
  'attempt',
  // The failure.
  'kind',
  'reason',
  'message',
  'hint',
  // The HTTP request.
  'method',
  'path',
  'status',
] as const;

type LogField = (typeof LOG_FIELDS)[number];
export type LogFields = { readonly [field in LogField]?: string | number | boolean | null };

/** Returns a function that writes one JSON line: `at` (ISO 8601), `event`, then the given fields. It never throws. */
export function createLog(
  write: (line: string) => void = console.log,
  now: () => number = Date.now,
): (event: LogEvent, fields: LogFields) => void {
  return (event, fields) => {
    try {
      write(JSON.stringify({ at: new Date(now()).toISOString(), event, ...fields }));
    } catch {
      // A line that cannot be written must not end the work that it reports.
    }
  };
}
