/** Every field a log line may have: none holds a value of a row, or a secret. Times end in `_at`, spans in `_ms`. */
export const LOG_FIELDS = [
  // What it is about.
  'source',
  'table',
  'lane',
  'host',
  'key',
  'step',
  // What came of it.
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
  'added',
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
  // When, and for how long.
  'duration_ms',
  'retry_after_ms',
  'next_wake_at',
  'attempt',
  // What went wrong.
  'kind',
  'reason',
  'message',
  'hint',
  // An HTTP request.
  'method',
  'path',
  'status',
] as const;

export type LogField = (typeof LOG_FIELDS)[number];
export type LogFields = { readonly [field in LogField]?: string | number | boolean | null };

/** A log that writes one JSON line per finished unit: `at`, `event`, then the fields given. It never throws. */
export function createLog(
  write: (line: string) => void = console.log,
  now: () => number = Date.now,
): (event: string, fields: LogFields) => void {
  return (event, fields) => {
    try {
      write(JSON.stringify({ at: new Date(now()).toISOString(), event, ...fields }));
    } catch {
      // A line that cannot be written must not end the work it tells of.
    }
  };
}
