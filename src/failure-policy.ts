import type { ErrorKind, ParkReason } from './errors.ts';

/**
 * What follows a failure: the run tries again after a short back-off, the change is parked and looked at again after
 * growing waits, it is a dead letter at once, or the source stalls and probes until the cause is gone.
 */
type Action = 'retry-now' | 'retry-later' | 'never' | 'stop';

interface Policy {
  action: Action;
  /** What a person can do about it: one sentence, the same wherever it is shown. */
  hint: string;
}

/** The one place that says what each kind of failure means. */
export function policyOf(kind: ErrorKind | ParkReason): Policy {
  const [action, hint] = POLICIES[kind as keyof typeof POLICIES] ?? OTHER_STATUS;
  return { action, hint };
}

const OTHER_STATUS = [
  'retry-later',
  'Look at the document in a browser; replay the letter once its upstream serves it.',
] as const;

const POLICIES: Record<ErrorKind | Exclude<ParkReason, `http-${number}`>, readonly [Action, string]> &
  Partial<Record<`http-${number}`, readonly [Action, string]>> = {
  // Of a run, or a step of it.
  'upstream-unreachable': [
    'retry-now',
    'Check the network and the URL in the settings; the source goes on by itself once it answers.',
  ],
  'upstream-throttled': [
    'retry-now',
    'Nothing to do: the source waits as long as the upstream asked for. Lower its requests per second if it repeats.',
  ],
  'upstream-status': ['retry-now', 'Nothing to do if it passes; if it stays, look at the upstream in a browser.'],
  'upstream-shape': [
    'retry-now',
    'The upstream changed the form of its answers; the source file that reads it must follow.',
  ],
  'upstream-failing': [
    'retry-now',
    'Most recent changes were parked; look at why with GET /v1/failed?state=parked. The source goes on slowly meanwhile.',
  ],
  'cursor-refused': ['stop', 'The upstream no longer takes the stored place; see whether its feed was rebuilt.'],
  'sequence-reset': ['stop', 'The upstream counts from a lower number again; re-seed the source from a new start.'],
  'foreign-object': [
    'stop',
    'Another object stands where a data file belongs; find out who wrote it before removing it.',
  ],
  'lake-not-empty': [
    'stop',
    'Data files of this table exist but the source has no journal of them; rebuild the source from the lake.',
  ],
  'catalog-ahead': [
    'stop',
    "The table's catalog names rows this source has no file of: its journal was put back. Rebuild it from the lake.",
  ],
  'flush-failed': ['stop', 'The file is tried again every 5 minutes; the message says what an attempt cost.'],
  'lake-damaged': [
    'retry-now',
    'Put the file back as it was, from a copy of the bucket; GET /v1/sources/<id>/audit names each. The source goes on.',
  ],
  'loader-failed': ['retry-now', 'Nothing to do if it passes; if it stays, look at the logs of the Loader.'],
  'bucket-failed': ['retry-now', 'Nothing to do if it passes; if it stays, look at the bucket and its binding.'],
  'database-failed': [
    'retry-now',
    'Nothing is lost: the projection is repeated until it lands. Look at the database if it stays.',
  ],
  'queue-failed': [
    'retry-now',
    'Nothing is lost: tickets are sent again until a queue takes them. Look at the queue if it stays.',
  ],
  'source-failed': ['retry-now', 'The object of a source did not answer; look at GET /v1/sources if it stays.'],
  'stream-failed': [
    'retry-now',
    'Nothing is lost: rows are sent again until the stream takes them. Look at the stream and its binding if it stays.',
  ],
  'stream-refused': [
    'stop',
    'No row is passed over: compare the schema of the stream with what npm run schemas prints, and make another stream.',
  ],
  'journal-full': ['retry-now', 'Pulling stopped until flushes have emptied the journal; look at why they do not.'],
  'journal-layout': [
    'stop',
    'This journal was written by another version of Tributary; deploy that version again, or rebuild.',
  ],
  deadline: ['retry-now', 'A call did not end in time; the run starts again by itself.'],
  internal: ['retry-now', 'This is a fault of Tributary; please report it with the message.'],
  // Of one change.
  'http-404': ['retry-later', 'The feed shows it and the upstream does not serve it; replay the letter once it does.'],
  'http-410': ['never', 'Its upstream says it is gone for good; dismiss the letter.'],
  'http-451': ['never', 'Its upstream may not serve it for legal reasons; dismiss the letter.'],
  timeout: ['retry-later', 'Its upstream did not answer for this document; replay the letter once it does.'],
  truncated: ['retry-later', 'Its upstream broke off this document each time; replay the letter once it is whole.'],
  'malformed-json': ['retry-later', 'Its upstream serves a broken document; replay the letter once it is mended.'],
  'not-json': ['retry-later', 'Its upstream serves something else than JSON; replay the letter once that has passed.'],
  'too-large': [
    'never',
    'The document is too large to be parsed, and stored as it is up to 256 MiB; read it there, or dismiss the letter.',
  ],
  'row-too-large': ['retry-later', 'Its row is over the limit without its optional columns too; dismiss the letter.'],
  'key-too-long': ['never', 'Its name makes a key longer than a bucket takes; dismiss the letter.'],
  'name-mismatch': [
    'retry-later',
    'Its upstream serves the document of another name; replay the letter once it is right.',
  ],
  'wrong-shape': [
    'retry-later',
    'The document has another form than expected; replay the letter after an update of the source.',
  ],
  'document-kills-loader': [
    'retry-later',
    'Loading it ends the Loader each time; look at its logs, then replay the letter.',
  ],
  'lagging-revision': ['retry-later', 'Nothing to do: the upstream serves an older revision than its feed announced.'],
  'no-server': ['never', 'Nobody answers for this part of the name space; take its keys off the agenda.'],
  missed: ['retry-later', 'Nothing to do: a sweep found that the upstream has it and the lake does not; it is loaded.'],
};
