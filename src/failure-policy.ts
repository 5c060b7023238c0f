import type { ErrorKind, ParkReason } from './errors.ts';

/**
 * What the engine does after a failure. `retry-now`: the step runs again after a short back-off. `retry-later`: the
 * change is parked and attempted again after growing waits. `never`: the change is a dead letter at once. `stop`: the
 * source is stalled and probes every 5 minutes until the cause is gone.
 */
type Action = 'retry-now' | 'retry-later' | 'never' | 'stop';

interface Policy {
  action: Action;
  /** What happened and what a person can do: the same text wherever the failure is shown. */
  hint: string;
}

/** What a kind of failure means. This table is the only source of actions and hints. */
export function policyOf(kind: ErrorKind | ParkReason): Policy {
  const [action, hint] = POLICIES[kind as keyof typeof POLICIES] ?? OTHER_STATUS;
  return { action, hint };
}

const OTHER_STATUS = [
  'retry-later',
  'The upstream answered with an error status. Open the document in a browser; replay the change when that works.',
] as const;

const POLICIES: Record<ErrorKind | Exclude<ParkReason, `http-${number}`>, readonly [Action, string]> &
  Partial<Record<`http-${number}`, readonly [Action, string]>> = {
  // Failures of a run, or of a step of it.
  'upstream-unreachable': [
    'retry-now',
    'The upstream cannot be reached. Check the network and the URL in the settings; the source continues by itself.',
  ],
  'upstream-throttled': [
    'retry-now',
    'The upstream asked for fewer requests, and the source waits. If this repeats, lower its requests per second.',
  ],
  'upstream-status': [
    'retry-now',
    'The upstream answered with an error status. Nothing to do if it passes; if it stays, open the URL in a browser.',
  ],
  'upstream-shape': [
    'retry-now',
    'The upstream answered in a form that the source cannot read. If it stays, change the code of the source.',
  ],
  'upstream-failing': [
    'retry-now',
    'More than half of the recent changes were parked, so the source goes slowly. GET /v1/failed?state=parked says why.',
  ],
  'cursor-refused': [
    'stop',
    'The upstream rejects the stored cursor. Find out whether it rebuilt its feed; the source probes every 5 minutes.',
  ],
  'sequence-reset': [
    'stop',
    'The upstream numbers its changes from a lower number again. The source needs a new start cursor to continue.',
  ],
  'foreign-object': ['stop', 'Another object has the key of a data file. Find out who wrote it before you remove it.'],
  'lake-not-empty': [
    'stop',
    'The lake has data files of this table and the source has no journal of them. Keep them: rebuild the source from the lake.',
  ],
  'catalog-ahead': [
    'stop',
    "The lake's catalog lists rows that the journal lacks: the journal was reset. Rebuild the source from the lake.",
  ],
  'flush-failed': [
    'stop',
    'Several attempts to write a data file failed. The source tries again every 5 minutes; the message has the reason.',
  ],
  'lake-damaged': [
    'retry-now',
    'Data files are missing or damaged; the source goes on. GET /v1/sources/<id>/audit lists them: restore each from a copy of the bucket.',
  ],
  'feed-damaged': [
    'stop',
    'A data file of the table that feeds this source is missing or damaged. Its inlet waits, all else goes on: restore the file from a copy of the bucket.',
  ],
  'loader-failed': [
    'retry-now',
    'A call of the Loader failed. Nothing to do if it passes; if it stays, read the logs of the Loader.',
  ],
  'bucket-failed': [
    'retry-now',
    'The bucket failed. Nothing to do if it passes; if it stays, check the bucket and its binding.',
  ],
  'database-failed': [
    'retry-now',
    'The database failed. Nothing is lost: the write is repeated until it succeeds. If it stays, check the database.',
  ],
  'queue-failed': [
    'retry-now',
    'A queue failed. Nothing is lost: messages are sent again until the queue takes them. If it stays, check the queue.',
  ],
  'source-failed': [
    'retry-now',
    'The object of a source did not answer. Nothing to do if it passes; if it stays, check GET /v1/sources.',
  ],
  'stream-failed': [
    'retry-now',
    'The stream failed. Nothing is lost: rows are sent again until it takes them. If it stays, check the stream and its binding.',
  ],
  'stream-refused': [
    'stop',
    'The stream rejects a row, and no row is skipped. Compare its schema with what npm run schemas prints, and make another stream.',
  ],
  'journal-full': [
    'retry-now',
    'The journal is full, so pulling stopped; flushes empty it. Find out why they fail, if they do.',
  ],
  'database-full': [
    'retry-now',
    "The database of the source's object is nearly as large as the platform allows. GET /v1/sources/<id> says what takes the room: remove watched keys that are not needed.",
  ],
  'journal-layout': [
    'stop',
    'Another version of Tributary wrote the journal of this source. Deploy that version again, or rebuild the source.',
  ],
  deadline: ['retry-now', 'A call did not end in time. Nothing to do: the run starts again by itself.'],
  internal: ['retry-now', 'This is a bug in Tributary. Please report it with the message.'],
  // Failures of one change.
  'http-404': [
    'retry-later',
    'The feed lists this item, and the upstream does not serve it. Replay the change when the upstream serves it.',
  ],
  'http-410': ['never', 'The upstream removed this item permanently. Dismiss the dead letter.'],
  'http-451': ['never', 'The upstream may not serve this item for legal reasons. Dismiss the dead letter.'],
  timeout: ['retry-later', 'The upstream did not send the document in time. Replay the change when it does.'],
  truncated: [
    'retry-later',
    'The upstream broke off the document. Replay the change when the upstream serves all of it.',
  ],
  'malformed-json': [
    'retry-later',
    'The document is not valid JSON. Replay the change when the upstream has corrected it.',
  ],
  'not-json': [
    'retry-later',
    'The upstream serves something other than JSON, such as an error page. Replay the change when that has passed.',
  ],
  'too-large': [
    'never',
    'The document is too large to parse; up to 256 MiB it is stored in the bucket. Read it there, or dismiss the dead letter.',
  ],
  'row-too-large': ['retry-later', 'The row is over 1 MiB even without its optional columns. Dismiss the dead letter.'],
  'key-too-long': ['never', 'The name is too long: its object key would be over 1,024 bytes. Dismiss the dead letter.'],
  'name-mismatch': [
    'retry-later',
    'The upstream serves the document of another item. Replay the change when the upstream has corrected it.',
  ],
  'wrong-shape': [
    'retry-later',
    'The document has a form that the source cannot read. Update the code of the source, then replay the change.',
  ],
  'document-kills-loader': [
    'retry-later',
    'Each attempt to load the document ended the Loader. Read the logs of the Loader, then replay the change.',
  ],
  'lagging-revision': [
    'retry-later',
    'The upstream serves an older revision than its feed announced. Nothing to do: the change is attempted again.',
  ],
  'no-server': ['never', 'No known server answers for this key. Remove such keys with DELETE /v1/sources/<id>/keys.'],
  missed: [
    'retry-later',
    'A sweep found that this item differs from what the upstream lists. Nothing to do: it is loaded now.',
  ],
  recheck: ['retry-later', 'The round found that facts of this item changed. Nothing to do: it is loaded now.'],
  'dns-error': [
    'retry-later',
    'The resolvers give no answer about the domain: its name servers do not answer, or not in a usable way. The detail has their codes; replay the change when the zone is mended.',
  ],
};
