export const KiB = 1024;
export const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/**
 * The limits that several files share, that a user meets, or that tests lower. The unit is in the name, the reason above
 * it. Any other limit is at the top of its file.
 */
export const LIMITS = {
  /** The load of a slice. Longer, and a crash would lose more, and a run would not end in time. */
  sliceLoadMsMax: 60 * SECOND,
  /** The permits of one slice span at most this time, so that a run stays short at a slow pace. */
  slicePermitMsMax: 20 * SECOND,
  /** A larger document gets a Loader call to itself, one at a time, and is never parsed into one tree in memory. */
  documentBytesLarge: 4 * MiB,
  /** A larger document is stored unparsed and parked as `too-large`: its bytes alone fill a quarter of an isolate. */
  documentBytesParsedMax: 32 * MiB,
  /** A larger document is not stored either. No known document comes near. */
  documentBytesStoredMax: 256 * MiB,
  /** Loader calls that run at the same time. They share `LOAD_BYTES_MAX`. */
  loadCallsAtOnce: 3,
  /** Visits of one slice. The next slice begins when the slowest host has answered. */
  visitsMax: 500,
  visitMsMax: 20 * SECOND,
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
  /** Encoded size of one row. SQLite rejects values over 2 MB. */
  rowBytesMax: 1 * MiB,
  /** Pulling stops above this; it is 5 % of an object's 10 GB. */
  journalBytesMax: 512 * MiB,
  /**
   * Size of an object's database. Above it no new key is watched and no row is pushed, so that what is left of the
   * platform's 10 GB lasts for the visits of the keys that are there.
   */
  databaseBytesMax: 8 * GiB,
  /** Above it nothing is pulled or visited: flushes and publishing need the rest of the platform's 10 GB. */
  databaseBytesStop: 9 * GiB,
  /** A data file is in memory as a whole before its put. */
  fileBytesMax: 24 * MiB,
  fileRowsMax: 200_000,
  /** Row data of one row group. */
  rowGroupBytes: 8 * MiB,
  /** R2's limit on an object key. */
  keyBytesMax: 1024,
  /** A run that has not ended after this time is abandoned, and another one starts. */
  runMsMax: 5 * MINUTE,
  /** During a run the alarm is set this far ahead: it is the recovery time after a crash. */
  recoveryMs: 10 * SECOND,
  /** Setting the alarm is a storage write of the object. One that hangs must not block the source. */
  alarmCallMsMax: 10 * SECOND,
  /** A call of the bucket, which may put a whole data file. */
  bucketCallMsMax: 60 * SECOND,
  /** A call of a queue. Tickets that are sent twice do no harm. */
  queueCallMsMax: 20 * SECOND,
  /** One page of a feed, with its attempts. */
  pullMsMax: 30 * SECOND,
  /** Back-off after a failure: it doubles from the first of these to the last. */
  backoffMsMin: 1 * SECOND,
  /** A longer `Retry-After` of an upstream is cut to a day. */
  retryAfterMsMax: 24 * 60 * MINUTE,
  /**
   * Wait before the next attempt at a parked change: it doubles from the first of these to the last and stays there.
   */
  parkedMsMin: 10 * SECOND,
  parkedMsMax: 60 * MINUTE,
  /** UTF-8 bytes of a finding's facts, as JSON, and of its item. A finding with more is passed over. */
  factsBytesMax: 512,
  itemBytesMax: 512,
  /** Characters of a finding's sample. A longer one is cut. */
  sampleLengthMax: 200,
  /** The newest items of a key's evidence that a visit gets, and their bytes. Ten tickets with that many fit one call. */
  evidenceItemsMax: 10_000,
  evidenceVisitBytesMax: 2 * MiB,
  /** Waits between the attempts at a lagging revision. */
  recheckMs: [10 * SECOND, 1 * MINUTE, 10 * MINUTE, 60 * MINUTE],
  /** Anyone can call a deployed worker, and could try all shorter tokens, or the words that people choose. */
  tokenLengthMin: 16,
  /** Cloudflare's limit on the body of a request on its smaller plans. */
  pushBytesMax: 100 * MiB,
  /** A longer line is rejected unread, because its row would be over `rowBytesMax`. */
  pushLineBytesMax: 2 * MiB,
  /** Keys of one request. A longer list has to be sent in several requests. */
  watchLinesMax: 1_000_000,
  /** Keys go to the object in parts: each is one transaction of about 50 ms. */
  watchPartKeysMax: 5_000,
  /** Body of a signal. Anyone can send one, and all of it is in memory, because it is signed as a whole. */
  signalBytesMax: 4 * MiB,
  /** Keys of one signal: one transaction of about 50 ms. Further ones are ignored. */
  signalKeysMax: 5_000,
  /** Deliveries of signals that are recognized when they come again: about 10 MB of the object's database. */
  signalsRememberedMax: 100_000,
  /** How often a stalled source tries again. */
  probeMs: 5 * MINUTE,
  /** After this time in one run, a sweep or a self-check begins no other page or file: the tail waits for it. */
  auditStepMsMax: 5 * SECOND,
  /** One page of an upstream's keys: npm's registry took 1 to 2 s for 10,000 of them. */
  listMsMax: 20 * SECOND,
  /** All keys of an upstream in one answer, streamed: PyPI's are 44 MB. */
  listingBytesMax: 64 * MiB,
  /** The time for such an answer: 64 MiB at 6 Mbit/s. A run may take `runMsMax`, and the tail waits meanwhile. */
  listingMsMax: 90 * SECOND,
  /** Keys that one step of a round checks: at 5 requests a second that takes 10 s, and the tail waits meanwhile. */
  roundKeysMax: 50,
  /** Own keys compared with one page of a listing. Where there are more, the page is cut. */
  listOwnKeysMax: 20_000,
  /** Keys, and problems, that the answer about an audit lists. */
  auditNamesMax: 100,
  /** Data files that are read at the same time: the platform allows six connections. */
  selfCheckFilesAtOnce: 5,
  /** First read of a footer, which is about 20 KiB for each 8 MiB of rows. A longer one takes a second read. */
  footerBytes: 64 * KiB,
  /** Live files in one segment of the catalog: about 250 KB of JSON, written again with each flush while it is open. */
  catalogSegmentFilesMax: 500,
  /**
   * JSON of one request to a stream. The limit is 5 MB
   * (https://developers.cloudflare.com/basin-pipelines/platform/limits/), and how the bytes are counted is not
   * documented: a tenth is left as reserve.
   */
  streamRequestBytesMax: 4_500_000,
  /** How often the committer asks each source for new files: one call, and one row read for each file. */
  commitCheckMs: 60 * SECOND,
} as const;
