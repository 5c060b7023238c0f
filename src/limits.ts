const KiB = 1024;
const MiB = 1024 * KiB;
const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** Every fixed limit, with its unit in its name and its reason beside it. */
export const LIMITS = {
  /** Pages are worked off in slices: one append, one SQLite transaction, one unit of lost work. */
  sliceChangesMax: 200,
  sliceRowBytesMax: 8 * MiB,
  sliceLoadMsMax: 60 * SECOND,
  /** Permits of one slice are spread over no more than this, so that a run stays short at a slow pace. */
  slicePermitMsMax: 20 * SECOND,
  /** Loaded documents under way at once; with rows and copies this stays below half an isolate of 128 MB. */
  loadBytesMax: 48 * MiB,
  /** A document of unknown size is counted as this. */
  documentBytesUnknown: 8 * MiB,
  /** A document over this is loaded by a call of its own, one at a time, and never becomes a whole tree in memory. */
  documentBytesLarge: 4 * MiB,
  /** A document over this is not parsed: its bytes alone are a quarter of an isolate. Stored, and parked `too-large`. */
  documentBytesParsedMax: 32 * MiB,
  /** A document over this is not stored either. Nothing known comes near. */
  documentBytesStoredMax: 256 * MiB,
  /** Such documents are stored in parts of this size. R2 wants at least 5 MiB, and all but the last equal. */
  documentPartBytes: 8 * MiB,
  /** Loader calls under way at once: they share the byte budget. */
  loadCallsAtOnce: 3,
  /** Of a slice whose changes are asked of many hosts, and weigh little. Each call waits for six answers at once. */
  spreadCallsAtOnce: 8,
  /** Visits of one slice: with the slowest host's late ones, that is when the next slice begins. */
  visitsMax: 500,
  visitMsMax: 20 * SECOND,
  /** A Loader call begins nothing, and waits for nothing, this long before its time is up: it has to be back by then. */
  loadReturnMs: 1 * SECOND,
  /**
   * The last of a slice's requests to one host goes out this long after the first. Where one host is late the slice takes
   * all its time, and the others are asked for nothing meanwhile but this; each answers within the rest.
   */
  visitPermitMsMax: 16 * SECOND,
  /** Spaces of one slice: each is a look-up of its own, and so many hosts keep all its calls busy. */
  visitSpacesMax: 64,
  /** So long a key that is due waits for a second host that is busy, and those of its space that come after it wait too. */
  secondHostWaitMsMax: 10 * MINUTE,
  /** Keys of one space that one slice may take: what its host answers at its quickest pace within that time. */
  visitsPerSpaceMax: 100,
  /** A key due longer is overdue. */
  overdueMs: 60 * MINUTE,
  /** No rule says to look again later than this: what is due later was put there by a clock that was ahead. */
  agendaAheadMsMax: 200 * 24 * 60 * MINUTE,
  /** No list of servers is called fresh for longer. */
  serversFreshMsMax: 7 * 24 * 60 * MINUTE,
  /** The servers' own list is asked for again after this, where asking failed. */
  serversRetryMs: 60 * MINUTE,
  /** The platform allows 32 invocations a request: the last slice may take 4 more, and a listing 3 beside them. */
  loadCallsPerRun: 25,
  /** A call that died three times with one change alone is the document's doing. */
  loaderDeathsMax: 3,
  /** A throttled document is asked for this often before it is parked on its own. */
  throttledMax: 3,
  /** Encoded size of one row; SQLite refuses values over 2 MB. */
  rowBytesMax: 1 * MiB,
  /** Compressed size of one journal entry, below SQLite's 2 MB a value. */
  entryBytesMax: 1_500_000,
  /** Rows of one journal entry, so that a range can be cut near a file's row limit. */
  entryRowsMax: 20_000,
  /** Characters of a change's key that are kept: more than a key in the lake may have, less than a value in SQLite. */
  changeKeyLengthMax: 8_192,
  /** Past this pulling stops; 5 % of an object's 10 GB. */
  journalBytesMax: 512 * MiB,
  /** A data file is held in memory whole before its put. */
  fileBytesMax: 24 * MiB,
  fileRowsMax: 200_000,
  /** Row data of one row group. */
  rowGroupBytes: 8 * MiB,
  flushAttemptsMax: 3,
  /** R2's limit on a key. */
  keyBytesMax: 1024,
  /** The run's own time, after which it starts nothing new. */
  runWorkMs: 30 * SECOND,
  /** A run that is still going then is given up and starts again. */
  runMsMax: 5 * MINUTE,
  /** The alarm is set this far ahead while work goes on: it is the recovery time after a kill. */
  recoveryMs: 10 * SECOND,
  /** Setting the alarm is a write of the object's own; one that hangs must not hold the source. */
  alarmCallMsMax: 10 * SECOND,
  bucketCallMsMax: 60 * SECOND,
  databaseCallMsMax: 20 * SECOND,
  queueCallMsMax: 20 * SECOND,
  pullMsMax: 30 * SECOND,
  /** Upstream back-off: doubling from the first to the last. */
  backoffMsMin: 1 * SECOND,
  backoffMsMax: 5 * MINUTE,
  /** `Retry-After` is believed up to a day. */
  retryAfterMsMax: 24 * 60 * MINUTE,
  /** Parked changes: the delay doubles from the first to the last, for ever. */
  parkedMsMin: 10 * SECOND,
  parkedMsMax: 60 * MINUTE,
  /** Tickets handed out in one run: what one send takes. */
  ticketsPerRun: 100,
  /** Keys sent to other agendas in one run: one message of at most 128 KB a target. */
  feedKeysPerRun: 100,
  /** Dead letters that are resolved are told by the object for so long, and by the operational database for ever. */
  lettersKeptMs: 30 * 24 * 60 * MINUTE,
  /** Letters projected to the operational database in one batch. */
  projectLettersMax: 50,
  /** A source more than half of whose recent changes failed, of at least so many, goes slowly. */
  failingShareMax: 0.5,
  failingChangesMin: 100,
  failingWindowMinutes: 10,
  /** When a lagging revision is asked for again after each look. */
  recheckMs: [10 * SECOND, 1 * MINUTE, 10 * MINUTE, 60 * MINUTE],
  /** A range loads in one run what its pace allows in so long, and never more changes: the tail waits for them. */
  rangeSliceMs: 5 * SECOND,
  rangeSliceChangesMax: 50,
  /** A request that pushes rows may be repeated for so long. */
  pushKeptMs: 14 * 24 * 60 * MINUTE,
  /** What Cloudflare lets into a Worker on its smaller plans. */
  pushBytesMax: 100 * MiB,
  /** Rows go to the object in parts: one transaction each, and far below the 32 MiB of one call. */
  pushPartBytesMax: 4 * MiB,
  pushPartRowsMax: 2_000,
  /** A line over this is refused unread; its row would be over its own limit. */
  pushLineBytesMax: 2 * MiB,
  /** Rejected lines that are told one by one. */
  pushRejectedMax: 20,
  /** Keys of one request; more are a list to be sent in parts. */
  watchLinesMax: 1_000_000,
  /** Keys go to the object in parts: one transaction each, of some 50 ms. */
  watchPartKeysMax: 5_000,
  watchRejectedMax: 1_000,
  /** Watched keys of one answer. */
  watchedListMax: 1_000,
  /** A stalled source probes this often. */
  probeMs: 5 * MINUTE,
  /** A sequence reset is believed after this many readings, this long apart in all. */
  resetReadings: 3,
  resetMs: 15 * MINUTE,
  /** Pages of a listing in one run. */
  listPagesPerRun: 3,
  /** So long a sweep, and a self-check, begin another page or file in one run: the tail waits meanwhile. */
  lookMsMax: 5 * SECOND,
  /** 10,000 keys of npm took 1 to 2 s. */
  listMsMax: 20 * SECOND,
  /** Own keys compared with one page of a listing; where there are more, the page is cut. */
  listOwnKeysMax: 20_000,
  /** A sweep in which more keys differ ends: that is another lake, and each of them would be a load. */
  sweepDifferMax: 100_000,
  /** Keys of a sweep that are looked at again in one transaction. */
  sweepChecksMax: 500,
  /** Missed changes that wait for their first look, so that they leave most of the host's pace to the tail. */
  missedAtOnce: 25,
  /** Keys, and problems, that the answer about an audit names. */
  auditNamesMax: 100,
  /** Data files a run looks at, and so many at once: the platform's own limit on connections is six. */
  selfCheckFilesPerRun: 50,
  selfCheckFilesAtOnce: 5,
  /** Footers are some 20 KiB for each 8 MiB of rows; one that is longer takes a second read. */
  footerBytes: 64 * KiB,
  /** Live files one segment of the catalog names: some 250 KB, written anew with each flush while it is open. */
  catalogSegmentFilesMax: 500,
  /** Segments a run writes where a catalog is made anew: 10,000 SQLite rows read, 5 MB put. */
  catalogSegmentsPerRun: 20,
  /** Segments stay so long after the last root that named them: a reader fetches a hundred in seconds. */
  catalogKeptMs: 60 * MINUTE,
  catalogRemovedMax: 50,
  /** Basin Catalog's own limits on writes in a minute. */
  catalogCommitsPerMinuteMax: 20,
  catalogCreatesPerMinuteMax: 10,
  catalogWritesPerMinuteMax: 120,
  /** How often the committer lists each source's new files: one call, which reads one row for each file. */
  commitCheckMs: 60 * SECOND,
  /** Files that one call lists: more than one commit takes. */
  commitFilesListedMax: 1_000,
  sourceCallMsMax: 20 * SECOND,
  /**
   * JSON of one request to a stream, which takes 5 MB (https://developers.cloudflare.com/basin-pipelines/platform/limits/).
   * How it counts them is not said, so a tenth is left.
   */
  streamRequestBytesMax: 4_500_000,
  /** So long a table's stream begins another request in one run: the tail waits meanwhile. */
  streamMsMax: 5 * SECOND,
  streamCallMsMax: 20 * SECOND,
  /** Files projected to the operational database in one batch. */
  projectFilesMax: 50,
} as const;
