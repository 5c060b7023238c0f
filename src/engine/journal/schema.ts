import { AGENDA_SCHEMA } from './schema-agenda.ts';

/**
 * The layout of the tables below. Change the number whenever a table changes: a journal of another layout is never read
 * or upgraded. Every layout has the table `source` with the columns `layout` and `name`, so that every version can
 * tell.
 */
export const LAYOUT = 16;

/**
 * The tables of a source's object. Columns ending in `_ms` are milliseconds, or milliseconds since 1970; flags are 0 or
 * 1.
 */
export const SCHEMA = [
  // One row: what the source knows of itself. `change_number`, `append_number` and `last_run` are the last numbers
  // given. `stamp_ms` is the stamp of the last append. `evidence_version` rises with every change of evidence,
  // and `evidence_keys` counts the keys that have some. `uncounted_changes` and `uncounted_parked` are accepted changes
  // that no entry has counted yet. `last_flush`, `statuses`, `load_times` and `flush_times` are JSON.
  `CREATE TABLE source (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    layout INTEGER NOT NULL,
    name TEXT NOT NULL,
    started INTEGER NOT NULL DEFAULT 0,
    paused INTEGER NOT NULL DEFAULT 1,
    lake_checked INTEGER NOT NULL DEFAULT 0,
    flush_requested INTEGER NOT NULL DEFAULT 0,
    change_number INTEGER NOT NULL DEFAULT 0,
    append_number INTEGER NOT NULL DEFAULT 0,
    last_run INTEGER NOT NULL DEFAULT 0,
    stamp_ms INTEGER NOT NULL DEFAULT 0,
    evidence_version INTEGER NOT NULL DEFAULT 0,
    evidence_keys INTEGER NOT NULL DEFAULT 0,
    uncounted_changes INTEGER NOT NULL DEFAULT 0,
    uncounted_parked INTEGER NOT NULL DEFAULT 0,
    published_cursor TEXT,
    published_ms INTEGER NOT NULL DEFAULT 0,
    last_success_ms INTEGER,
    last_flush TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    requests INTEGER NOT NULL DEFAULT 0,
    not_modified INTEGER NOT NULL DEFAULT 0,
    throttled INTEGER NOT NULL DEFAULT 0,
    errors INTEGER NOT NULL DEFAULT 0,
    statuses TEXT NOT NULL DEFAULT '{}',
    load_times TEXT NOT NULL DEFAULT '{}',
    flush_times TEXT NOT NULL DEFAULT '{}'
  )`,
  // Pullers and their cursors. `unsettled` is a JSON list of changes that wait for their settle time; `page` is the
  // packed page whose slices are being staged, and `page_done` how many of its changes are staged.
  `CREATE TABLE lanes (
    lane TEXT PRIMARY KEY,
    first_cursor TEXT,
    cursor TEXT,
    head TEXT,
    at_head INTEGER NOT NULL DEFAULT 0,
    polls INTEGER NOT NULL DEFAULT 0,
    head_poll INTEGER,
    next_pull_ms INTEGER NOT NULL DEFAULT 0,
    lag_changes INTEGER,
    reached_head_ms INTEGER,
    page_accepted_ms INTEGER,
    reset_readings INTEGER NOT NULL DEFAULT 0,
    reset_first_ms INTEGER,
    unsettled TEXT,
    page_done INTEGER NOT NULL DEFAULT 0,
    page BLOB
  )`,
  // Slices of a page that gives no cursor within it: they wait here and are appended together with the page's last
  // slice.
  `CREATE TABLE staged (
    lane TEXT NOT NULL,
    slice INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (lane, slice)
  )`,
  // The source's tables, with the sums over their data files. `identity` is a random text, made with the first row.
  // `known_rows` counts rows that were not appended because the table is immutable and has their key; `change_keys` and
  // `row_keys` count the table's entries of those indexes.
  `CREATE TABLE tables (
    name TEXT PRIMARY KEY,
    identity TEXT,
    last_lsn INTEGER NOT NULL DEFAULT 0,
    known_rows INTEGER NOT NULL DEFAULT 0,
    change_keys INTEGER NOT NULL DEFAULT 0,
    row_keys INTEGER NOT NULL DEFAULT 0,
    rows INTEGER NOT NULL DEFAULT 0,
    files INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0
  )`,
  // Accepted rows that are in no data file yet, at most 1.5 MB of them a row of this table. The durable cursor does not
  // wait for an entry without a `cursor_before`. The body comes last, so that SQLite reads the facts without it.
  `CREATE TABLE entries (
    table_name TEXT NOT NULL,
    first_lsn INTEGER NOT NULL,
    last_lsn INTEGER NOT NULL,
    append_number INTEGER NOT NULL,
    cursor_before TEXT,
    cursor_after TEXT NOT NULL,
    stamp_ms INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    run_type TEXT NOT NULL,
    changes INTEGER NOT NULL,
    parked INTEGER NOT NULL,
    raw_bytes INTEGER NOT NULL,
    packed_bytes INTEGER NOT NULL,
    digest TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (table_name, first_lsn)
  )`,
  'CREATE INDEX entries_append ON entries (append_number)',
  // The newest row of each change key by table. The key comes first, because every change asks for its key in all
  // tables. `deleted` is null for an immutable table. `announced` is the highest revision that an accepted change of the
  // key announced, where that is higher than the row's own `revision`.
  `CREATE TABLE keys (
    key TEXT NOT NULL,
    table_name TEXT NOT NULL,
    last_lsn INTEGER NOT NULL,
    deleted INTEGER,
    revision INTEGER,
    announced INTEGER,
    document_bytes INTEGER,
    PRIMARY KEY (key, table_name)
  ) WITHOUT ROWID`,
  // The change key that gave the newest row of each row key of a table that is not immutable. Row keys that are their
  // own change keys are left out.
  `CREATE TABLE row_keys (
    table_name TEXT NOT NULL,
    row_key TEXT NOT NULL,
    change_key TEXT NOT NULL,
    PRIMARY KEY (table_name, row_key)
  ) WITHOUT ROWID`,
  // Which thing the newest row of each row key is of, in tables whose keys may pass from one thing to another. Row keys
  // whose newest row is a deletion are left out.
  `CREATE TABLE row_identities (
    table_name TEXT NOT NULL,
    row_key TEXT NOT NULL,
    identity TEXT NOT NULL,
    PRIMARY KEY (table_name, row_key)
  ) WITHOUT ROWID`,
  // The row keys of immutable tables: blocks of sorted digests, each with the range from `first` to the next block's.
  // The table has row ids, because SQLite stores blobs of this size in less room with them.
  `CREATE TABLE immutable_keys (
    table_name TEXT NOT NULL,
    parent TEXT NOT NULL,
    first BLOB NOT NULL,
    digests BLOB NOT NULL,
    PRIMARY KEY (table_name, parent, first)
  )`,
  // The range of each table that a flush is about to put, or has put and not settled. `facts` is JSON for the catalog.
  `CREATE TABLE intents (
    table_name TEXT PRIMARY KEY,
    first_lsn INTEGER NOT NULL,
    last_lsn INTEGER NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    facts TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    started_ms INTEGER NOT NULL
  )`,
  // Settled data files. `published` is 1 once the operational database has the file's run. `facts` is JSON for the
  // catalog, null where they are not known.
  `CREATE TABLE files (
    table_name TEXT NOT NULL,
    first_lsn INTEGER NOT NULL,
    last_lsn INTEGER NOT NULL,
    key TEXT NOT NULL,
    rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    etag TEXT NOT NULL,
    digest TEXT NOT NULL,
    cursor TEXT NOT NULL,
    run_type TEXT NOT NULL,
    changes INTEGER NOT NULL,
    parked INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,
    settled_ms INTEGER NOT NULL,
    published INTEGER NOT NULL DEFAULT 0,
    facts TEXT,
    PRIMARY KEY (table_name, first_lsn)
  )`,
  'CREATE INDEX files_unpublished ON files (settled_ms) WHERE published = 0',
  // Changes that failed, dead ones with `died_ms`. `attempts` never goes down. `history` is a JSON list of the last
  // attempts. `handled_ms` is when the change was last parked, handed out or attempted. `from_sweep` is 1 where a sweep
  // made the change.
  `CREATE TABLE parked (
    change_number INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    cursor TEXT NOT NULL,
    deleted INTEGER NOT NULL,
    revision INTEGER,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    attempts_max INTEGER NOT NULL,
    history TEXT NOT NULL,
    from_sweep INTEGER NOT NULL DEFAULT 0,
    parked_ms INTEGER NOT NULL,
    handled_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    died_ms INTEGER
  )`,
  'CREATE INDEX parked_key ON parked (key)',
  'CREATE INDEX parked_due ON parked (due_ms) WHERE died_ms IS NULL',
  'CREATE INDEX parked_handled ON parked (handled_ms) WHERE died_ms IS NULL',
  // Dead letters, also resolved ones for a month. `version` rises with each change of a letter, so that the operational
  // database can tell an old one from a new one; `published` is 1 once it has this version.
  `CREATE TABLE letters (
    change_number INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    cursor TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    history TEXT NOT NULL,
    parked_ms INTEGER NOT NULL,
    failed_ms INTEGER NOT NULL,
    status TEXT NOT NULL,
    resolved_ms INTEGER,
    note TEXT,
    version INTEGER NOT NULL,
    published INTEGER NOT NULL
  )`,
  'CREATE INDEX letters_unpublished ON letters (change_number) WHERE published = 0',
  // How many changes have each outcome. Parked and dead changes are counted in `parked` itself.
  'CREATE TABLE outcomes (outcome TEXT PRIMARY KEY, changes INTEGER NOT NULL)',
  // Answers by server and by what the source made of them.
  `CREATE TABLE readings (
    server TEXT NOT NULL,
    reading TEXT NOT NULL,
    answers INTEGER NOT NULL,
    PRIMARY KEY (server, reading)
  ) WITHOUT ROWID`,
  // Changes whose load ended without an outcome: how often their Loader died, and how often their host was throttling.
  'CREATE TABLE suspects (cursor TEXT PRIMARY KEY, deaths INTEGER NOT NULL, throttled INTEGER NOT NULL)',
  // The request timeline of each upstream host. `strikes` counts the calls in a row that the host refused.
  `CREATE TABLE hosts (
    host TEXT PRIMARY KEY,
    rate REAL NOT NULL,
    next_slot_ms REAL NOT NULL,
    blocked_until_ms INTEGER NOT NULL,
    strikes INTEGER NOT NULL
  )`,
  // Steps of a run whose last attempt failed, and when each may run again.
  `CREATE TABLE faults (
    step TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    stalls INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    retry_ms INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
  )`,
  // What was accepted in each minute (minutes since 1970) of the last hour.
  `CREATE TABLE minutes (
    minute INTEGER PRIMARY KEY,
    rows INTEGER NOT NULL,
    changes INTEGER NOT NULL,
    parked INTEGER NOT NULL
  )`,
  // The last range of the feed of each lane other than the tail.
  `CREATE TABLE ranges (
    lane TEXT PRIMARY KEY,
    run INTEGER NOT NULL,
    from_cursor TEXT NOT NULL,
    to_cursor TEXT NOT NULL,
    phase TEXT NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0,
    rate REAL NOT NULL,
    cursor TEXT NOT NULL,
    counted INTEGER NOT NULL DEFAULT 0,
    done INTEGER NOT NULL DEFAULT 0,
    next_ms INTEGER NOT NULL DEFAULT 0,
    paced_ms INTEGER NOT NULL DEFAULT 0,
    paced_done INTEGER NOT NULL DEFAULT 0,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER
  )`,
  // Requests that push rows.
  'CREATE TABLE pushes (identity TEXT PRIMARY KEY, run INTEGER NOT NULL, started_ms INTEGER NOT NULL)',
  'CREATE INDEX pushes_started ON pushes (started_ms)',
  // The accepted lines of each request that pushes rows: one bit a line, and 8 bytes of its digest.
  `CREATE TABLE push_lines (
    identity TEXT NOT NULL,
    block INTEGER NOT NULL,
    marks BLOB NOT NULL,
    digests BLOB NOT NULL DEFAULT (X''),
    PRIMARY KEY (identity, block)
  ) WITHOUT ROWID`,
  // The running sweep and the last one. `after` is the key that listing continues after; `listing` is the stored listing
  // that it reads, null where it reads none yet; `first_poll` is the tail's first pull after the listing; `ordered` is 0
  // once the upstream listed keys out of byte order. `stale` keys are counted in `present` too.
  `CREATE TABLE sweeps (
    id INTEGER PRIMARY KEY,
    sample REAL NOT NULL,
    phase TEXT NOT NULL DEFAULT 'listing',
    after TEXT,
    listing TEXT,
    ordered INTEGER NOT NULL DEFAULT 1,
    first_poll INTEGER,
    listed INTEGER NOT NULL DEFAULT 0,
    sampled INTEGER NOT NULL DEFAULT 0,
    present INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    missing INTEGER NOT NULL DEFAULT 0,
    stale INTEGER NOT NULL DEFAULT 0,
    extra INTEGER NOT NULL DEFAULT 0,
    loaded_afresh INTEGER NOT NULL DEFAULT 0,
    reason TEXT,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER
  )`,
  // Keys that differ between a sweep's listing and the key index, each with the LSN of its newest row and its listed
  // revision.
  `CREATE TABLE differences (
    sweep INTEGER NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'found',
    key TEXT NOT NULL,
    lsn INTEGER NOT NULL,
    revision INTEGER,
    after TEXT,
    PRIMARY KEY (sweep, kind, state, key)
  ) WITHOUT ROWID`,
  // Facts that the round found of a key, JSON; a key without facts has no row.
  `CREATE TABLE key_facts (
    key TEXT PRIMARY KEY,
    facts TEXT NOT NULL
  ) WITHOUT ROWID`,
  // One row once a round has begun. `pass` counts its walks over the key index, `after` is the key checked last, and
  // `checked` counts the keys of this pass. `paced_ms` is the time up to which keys were due and checked.
  `CREATE TABLE round (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    pass INTEGER NOT NULL DEFAULT 1,
    after TEXT,
    checked INTEGER NOT NULL DEFAULT 0,
    started_ms INTEGER NOT NULL,
    paced_ms INTEGER NOT NULL,
    unchanged INTEGER NOT NULL DEFAULT 0,
    changed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0
  )`,
  // One row: the running self-check or the last one. `table_name` and `first_lsn` name the data file checked last.
  `CREATE TABLE self_check (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    requested INTEGER NOT NULL DEFAULT 0,
    started_ms INTEGER,
    ended_ms INTEGER,
    table_name TEXT NOT NULL DEFAULT '',
    first_lsn INTEGER NOT NULL DEFAULT 0,
    files INTEGER NOT NULL DEFAULT 0,
    problems INTEGER NOT NULL DEFAULT 0
  )`,
  'INSERT INTO self_check (id) VALUES (1)',
  // Damage that self-checks found and that is still there.
  `CREATE TABLE problems (
    table_name TEXT NOT NULL,
    first_lsn INTEGER NOT NULL,
    subject TEXT NOT NULL,
    key TEXT NOT NULL,
    expected TEXT NOT NULL,
    actual TEXT NOT NULL,
    found_ms INTEGER NOT NULL,
    PRIMARY KEY (table_name, first_lsn, subject)
  ) WITHOUT ROWID`,
  // The newest known root of each table's catalog in the lake, and the last LSN that a root of this journal named.
  `CREATE TABLE catalogs (
    table_name TEXT PRIMARY KEY,
    snapshot INTEGER NOT NULL DEFAULT 0,
    etag TEXT,
    last_lsn INTEGER NOT NULL DEFAULT 0,
    schema_digest TEXT
  ) WITHOUT ROWID`,
  // Segments of the catalogs. A row is written before its objects are put, so that no object is left behind unknown.
  `CREATE TABLE segments (
    table_name TEXT NOT NULL,
    first_lsn INTEGER NOT NULL,
    last_lsn INTEGER NOT NULL,
    number INTEGER NOT NULL,
    files INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    cursor TEXT NOT NULL,
    settled_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    unnamed_ms INTEGER,
    PRIMARY KEY (table_name, first_lsn, last_lsn, number)
  ) WITHOUT ROWID`,
  // The last LSN that each stream acknowledged: it has all rows from LSN 1 up to it.
  `CREATE TABLE streams (
    table_name TEXT NOT NULL,
    binding TEXT NOT NULL,
    last_lsn INTEGER NOT NULL,
    PRIMARY KEY (table_name, binding)
  ) WITHOUT ROWID`,
].concat(AGENDA_SCHEMA);
