const KiB = 1024;
const MiB = 1024 * KiB;
const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** Every fixed limit: its unit is in its name, its reason is above it. */
export const LIMITS = {
  /** The engine works through a page in slices: one append, one SQLite transaction, and what a crash loses at most. */
  sliceChangesMax: 200,
  sliceRowBytesMax: 8 * MiB,
  sliceLoadMsMax: 60 * SECOND,
  /** The permits of one slice span at most this time, so that a run stays short at a slow pace. */
  slicePermitMsMax: 20 * SECOND,
  /** Documents that all running loads hold together. With rows and copies that is under half of a 128 MB isolate. */
  loadBytesMax: 48 * MiB,
  /** A document of unknown size counts as this much. */
  documentBytesUnknown: 8 * MiB,
  /** A larger document gets a Loader call to itself, one at a time, and is never parsed into one tree in memory. */
  documentBytesLarge: 4 * MiB,
  /** A larger document is stored unparsed and parked as `too-large`: its bytes alone fill a quarter of an isolate. */
  documentBytesParsedMax: 32 * MiB,
  /** A larger document is not stored either. No known document comes near. */
  documentBytesStoredMax: 256 * MiB,
  /** Documents that are stored unparsed are put in parts of this size. R2 requires at least 5 MiB, and equal parts except the last. */
  documentPartBytes: 8 * MiB,
  /** Loader calls that run at the same time. They share `loadBytesMax`. */
  loadCallsAtOnce: 3,
  /** The same for a slice of small documents from many hosts: each call waits for up to six answers at a time. */
  spreadCallsAtOnce: 8,
  /** Visits of one slice. The next slice begins when the slowest host has answered. */
  visitsMax: 500,
  visitMsMax: 20 * SECOND,
  /**
   * A Loader call starts nothing new, and waits for nothing, this long before its deadline, so that it returns in time.
   */
  loadReturnMs: 1 * SECOND,
  /**
   * The last request of a slice to one host starts at most this long after the first: the rest of `visitMsMax` is for
   * its answer. With one slow host the slice lasts all that time, and other hosts get no more requests meanwhile.
   */
  visitPermitMsMax: 16 * SECOND,
  /** Name spaces in one slice. Each is one more query of SQLite, and so many hosts keep all calls of the slice busy. */
  visitSpacesMax: 64,
  /** How long a due key, and the keys of its name space after it, wait for another host that is busy. */
  secondHostWaitMsMax: 10 * MINUTE,
  /** Keys of one name space in one slice: what one host answers within `visitPermitMsMax` at its highest pace. */
  visitsPerSpaceMax: 100,
  /** A key that has been due for longer counts as overdue. */
  overdueMs: 60 * MINUTE,
  /** No rule sets a later due time than this. A later one comes from a clock that was ahead, and counts as due. */
  agendaAheadMsMax: 200 * 24 * 60 * MINUTE,
  /** The longest time a list of servers counts as fresh, whatever its upstream says. */
  serversFreshMsMax: 7 * 24 * 60 * MINUTE,
  /** When the list of servers is fetched again after a failure. */
  serversRetryMs: 60 * MINUTE,
  /** The platform allows 32 invocations a request. The last slice may add 4 to this, and a listing 3. */
  loadCallsPerRun: 25,
  /** When a change has ended this many calls that it had to itself, its document is the cause. */
  loaderDeathsMax: 3,
  /** A change that was throttled or not answered this many times is parked. */
  throttledMax: 3,
  /** Encoded size of one row. SQLite rejects values over 2 MB. */
  rowBytesMax: 1 * MiB,
  /** Compressed size of one journal entry, below SQLite's 2 MB a value. */
  entryBytesMax: 1_500_000,
  /** Rows of one journal entry. A range of entries can so be cut close to the row limit of a file. */
  entryRowsMax: 20_000,
  /** Characters of a change's key that are stored: more than an object key has, less than an SQLite value holds. */
  changeKeyLengthMax: 8_192,
  /** Pulling stops above this; it is 5 % of an object's 10 GB. */
  journalBytesMax: 512 * MiB,
  /** A data file is in memory as a whole before its put. */
  fileBytesMax: 24 * MiB,
  fileRowsMax: 200_000,
  /** Row data of one row group. */
  rowGroupBytes: 8 * MiB,
  flushAttemptsMax: 3,
  /** R2's limit on an object key. */
  keyBytesMax: 1024,
  /** After this time a run starts nothing new. */
  runWorkMs: 30 * SECOND,
  /** A run that has not ended after this time is abandoned, and another one starts. */
  runMsMax: 5 * MINUTE,
  /** During a run the alarm is set this far ahead: it is the recovery time after a crash. */
  recoveryMs: 10 * SECOND,
  /** Setting the alarm is a storage write of the object. One that hangs must not block the source. */
  alarmCallMsMax: 10 * SECOND,
  bucketCallMsMax: 60 * SECOND,
  databaseCallMsMax: 20 * SECOND,
  queueCallMsMax: 20 * SECOND,
  pullMsMax: 30 * SECOND,
  /** Back-off after a failure: it doubles from the first of these to the last. */
  backoffMsMin: 1 * SECOND,
  backoffMsMax: 5 * MINUTE,
  /** A longer `Retry-After` of an upstream is cut to a day. */
  retryAfterMsMax: 24 * 60 * MINUTE,
  /**
   * Wait before the next attempt at a parked change: it doubles from the first of these to the last and stays there.
   */
  parkedMsMin: 10 * SECOND,
  parkedMsMax: 60 * MINUTE,
  /** Tickets that one run sends: as many messages as one send to a queue takes. */
  ticketsPerRun: 100,
  /** Keys that one run sends to other agendas: one message of at most 128 KB for each target. */
  feedKeysPerRun: 100,
  /** How long the object remembers a resolved dead letter. The operational database has it for good. */
  lettersRetentionMs: 30 * 24 * 60 * MINUTE,
  /** Dead letters in one write to the operational database. */
  projectLettersMax: 50,
  /** A source goes slowly when, of at least `failingChangesMin` recent changes, more than this share was parked. */
  failingShareMax: 0.5,
  failingChangesMin: 100,
  failingWindowMinutes: 10,
  /** Waits between the attempts at a lagging revision. */
  recheckMs: [10 * SECOND, 1 * MINUTE, 10 * MINUTE, 60 * MINUTE],
  /**
   * A range loads in one run what its rate allows in this time, and at most this many changes: the tail waits for it.
   */
  rangeSliceMs: 5 * SECOND,
  rangeSliceChangesMax: 50,
  /** How long a repeated request that pushes rows is recognized. */
  pushRetentionMs: 14 * 24 * 60 * MINUTE,
  /** Cloudflare's limit on the body of a request on its smaller plans. */
  pushBytesMax: 100 * MiB,
  /** Pushed rows go to the object in parts: each is one transaction, and far below the 32 MiB of one call. */
  pushPartBytesMax: 4 * MiB,
  pushPartRowsMax: 2_000,
  /** A longer line is rejected unread, because its row would be over `rowBytesMax`. */
  pushLineBytesMax: 2 * MiB,
  /** Rejected lines that an answer lists. */
  pushRejectedMax: 20,
  /** Keys of one request. A longer list has to be sent in several requests. */
  watchLinesMax: 1_000_000,
  /** Keys go to the object in parts: each is one transaction of about 50 ms. */
  watchPartKeysMax: 5_000,
  /** Rejected lines that an answer lists. */
  watchRejectedMax: 1_000,
  /** Watched keys of one answer. */
  watchedListMax: 1_000,
  /** How often a stalled source tries again. */
  probeMs: 5 * MINUTE,
  /** A head below the cursor is a sequence reset after this many readings over at least this time. */
  resetReadings: 3,
  resetMs: 15 * MINUTE,
  /** Pages of a listing in one run. */
  listPagesPerRun: 3,
  /** After this time in one run, a sweep or a self-check begins no other page or file: the tail waits for it. */
  auditStepMsMax: 5 * SECOND,
  /** npm's registry took 1 to 2 s for 10,000 keys. */
  listMsMax: 20 * SECOND,
  /** Own keys compared with one page of a listing. Where there are more, the page is cut. */
  listOwnKeysMax: 20_000,
  /** A sweep that finds more differing keys ends: it compares with another lake, and each key would be a load. */
  sweepDifferencesMax: 100_000,
  /** Keys of a sweep that one transaction checks again. */
  sweepChecksMax: 500,
  /** Missed changes that wait for their first attempt. Few, so that most of the host's pace remains for the tail. */
  missedWaitingMax: 25,
  /** Keys, and problems, that the answer about an audit lists. */
  auditNamesMax: 100,
  /** Data files that a self-check reads in one run, and at a time: the platform allows six connections. */
  selfCheckFilesPerRun: 50,
  selfCheckFilesAtOnce: 5,
  /** First read of a footer, which is about 20 KiB for each 8 MiB of rows. A longer one takes a second read. */
  footerBytes: 64 * KiB,
  /** Live files in one segment of the catalog: about 250 KB of JSON, written again with each flush while it is open. */
  catalogSegmentFilesMax: 500,
  /** Segments that one run writes when it writes a catalog anew: 10,000 SQLite rows read, 5 MB put. */
  catalogSegmentsPerRun: 20,
  /** How long a segment outlives the last root that names it: a reader fetches a hundred segments in seconds. */
  catalogRetentionMs: 60 * MINUTE,
  catalogRemovedMax: 50,
  /** Basin Catalog's own limits on writes in a minute. */
  catalogCommitsPerMinuteMax: 20,
  catalogCreatesPerMinuteMax: 10,
  catalogWritesPerMinuteMax: 120,
  /** How often the committer asks each source for new files: one call, and one row read for each file. */
  commitCheckMs: 60 * SECOND,
  /** Files in one answer of a source to the committer: more than one commit takes. */
  commitFilesListedMax: 1_000,
  sourceCallMsMax: 20 * SECOND,
  /**
   * JSON of one request to a stream. The limit is 5 MB
   * (https://developers.cloudflare.com/basin-pipelines/platform/limits/), and how the bytes are counted is not
   * documented: a tenth is left as reserve.
   */
  streamRequestBytesMax: 4_500_000,
  /** After this time in one run, a table's stream gets no other request: the tail waits for it. */
  streamMsMax: 5 * SECOND,
  streamCallMsMax: 20 * SECOND,
  /** Files in one write to the operational database. */
  projectFilesMax: 50,
} as const;
