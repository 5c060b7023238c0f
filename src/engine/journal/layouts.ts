import { AGENDA } from './layouts-agenda.ts';
import { CATALOG } from './layouts-catalog.ts';
import { STREAMS } from './layouts-streams.ts';

const FIRST_LAYOUT = [
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
    retry_run INTEGER NOT NULL DEFAULT 0,
    stamp_ms INTEGER NOT NULL DEFAULT 0,
    loose_changes INTEGER NOT NULL DEFAULT 0,
    loose_parked INTEGER NOT NULL DEFAULT 0,
    projected_cursor TEXT,
    projected_ms INTEGER NOT NULL DEFAULT 0,
    ended_well_ms INTEGER,
    last_flush TEXT,
    requests INTEGER NOT NULL DEFAULT 0,
    not_modified INTEGER NOT NULL DEFAULT 0,
    throttled INTEGER NOT NULL DEFAULT 0,
    errors INTEGER NOT NULL DEFAULT 0
  )`,
  `CREATE TABLE lanes (
    lane TEXT PRIMARY KEY,
    cursor TEXT,
    head TEXT,
    at_head INTEGER NOT NULL DEFAULT 0,
    polls INTEGER NOT NULL DEFAULT 0,
    next_pull_ms INTEGER NOT NULL DEFAULT 0,
    held TEXT,
    lag_changes INTEGER,
    reached_head_ms INTEGER,
    page_accepted_ms INTEGER,
    reset_readings INTEGER NOT NULL DEFAULT 0,
    reset_first_ms INTEGER,
    page_done INTEGER NOT NULL DEFAULT 0,
    page BLOB
  )`,
  // Slices of a page whose changes are no resume points, until its last slice lets them in together.
  `CREATE TABLE staged (lane TEXT NOT NULL, slice INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (lane, slice))`,
  `CREATE TABLE tables (
    name TEXT PRIMARY KEY,
    last_lsn INTEGER NOT NULL DEFAULT 0,
    rows INTEGER NOT NULL DEFAULT 0,
    files INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0
  )`,
  // One row per at most 1.5 MB of rows. The body comes last, so that reading the facts does not read it.
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
  `CREATE INDEX entries_append ON entries (append_number)`,
  // By key first: every change asks for its key over all tables.
  `CREATE TABLE keys (
    table_name TEXT NOT NULL,
    key TEXT NOT NULL,
    last_lsn INTEGER NOT NULL,
    revision INTEGER,
    document_bytes INTEGER,
    PRIMARY KEY (key, table_name)
  ) WITHOUT ROWID`,
  `CREATE TABLE intents (
    table_name TEXT PRIMARY KEY,
    first_lsn INTEGER NOT NULL,
    last_lsn INTEGER NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    started_ms INTEGER NOT NULL
  )`,
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
    projected INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (table_name, first_lsn)
  )`,
  `CREATE INDEX files_unprojected ON files (settled_ms) WHERE projected = 0`,
  `CREATE TABLE parked (
    change_number INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    cursor TEXT NOT NULL,
    deleted INTEGER NOT NULL,
    revision INTEGER,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    parked_ms INTEGER NOT NULL,
    looked_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL
  )`,
  `CREATE INDEX parked_key ON parked (key)`,
  `CREATE INDEX parked_due ON parked (due_ms)`,
  `CREATE TABLE outcomes (outcome TEXT PRIMARY KEY, changes INTEGER NOT NULL)`,
  // Changes whose load went wrong before it could be judged: how often their Loader died, or their host said wait.
  `CREATE TABLE suspects (cursor TEXT PRIMARY KEY, deaths INTEGER NOT NULL, throttled INTEGER NOT NULL)`,
  `CREATE TABLE hosts (
    host TEXT PRIMARY KEY,
    rate REAL NOT NULL,
    next_slot_ms REAL NOT NULL,
    blocked_until_ms INTEGER NOT NULL,
    strikes INTEGER NOT NULL
  )`,
  `CREATE TABLE faults (
    step TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    stalls INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    retry_ms INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
  )`,
  `CREATE TABLE minutes (minute INTEGER PRIMARY KEY, rows INTEGER NOT NULL)`,
];

/** Parked changes die after their last attempt; what was tried is remembered; the share of failures is known. */
const DEAD_LETTERS = [
  'ALTER TABLE parked ADD COLUMN stack TEXT',
  'ALTER TABLE parked ADD COLUMN attempts_max INTEGER NOT NULL DEFAULT 20',
  `ALTER TABLE parked ADD COLUMN history TEXT NOT NULL DEFAULT '[]'`,
  'ALTER TABLE parked ADD COLUMN died_ms INTEGER',
  'DROP INDEX parked_due',
  'CREATE INDEX parked_due ON parked (due_ms) WHERE died_ms IS NULL',
  'CREATE INDEX parked_looked ON parked (looked_ms) WHERE died_ms IS NULL',
  `CREATE TABLE letters (
    change_number INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    cursor TEXT NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    stack TEXT,
    attempts INTEGER NOT NULL,
    history TEXT NOT NULL,
    parked_ms INTEGER NOT NULL,
    failed_ms INTEGER NOT NULL,
    status TEXT NOT NULL,
    resolved_ms INTEGER,
    note TEXT,
    version INTEGER NOT NULL,
    projected INTEGER NOT NULL
  )`,
  'CREATE INDEX letters_unprojected ON letters (change_number) WHERE projected = 0',
  'ALTER TABLE minutes ADD COLUMN changes INTEGER NOT NULL DEFAULT 0',
  'ALTER TABLE minutes ADD COLUMN parked INTEGER NOT NULL DEFAULT 0',
];

/** Stretches of the feed that are pulled beside the tail, and where the tail itself began. */
const RANGES = [
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
  'ALTER TABLE lanes ADD COLUMN first_cursor TEXT',
];

/** Requests that push rows, and which of their lines are in: a bit a line, so many lines a row. */
const PUSHES = [
  'CREATE TABLE pushes (identity TEXT PRIMARY KEY, run INTEGER NOT NULL, begun_ms INTEGER NOT NULL)',
  'CREATE INDEX pushes_begun ON pushes (begun_ms)',
  `CREATE TABLE push_lines (
    identity TEXT NOT NULL,
    block INTEGER NOT NULL,
    marks BLOB NOT NULL,
    PRIMARY KEY (identity, block)
  ) WITHOUT ROWID`,
];

/**
 * What is counted beside what other tables tell already. Columns of the one row that each Loader call writes anyway:
 * to count costs no row written. The texts are JSON: see `journal-counts.ts`.
 */
const COUNTS = [
  'ALTER TABLE source ADD COLUMN looks INTEGER NOT NULL DEFAULT 0',
  `ALTER TABLE source ADD COLUMN statuses TEXT NOT NULL DEFAULT '{}'`,
  `ALTER TABLE source ADD COLUMN load_times TEXT NOT NULL DEFAULT '{}'`,
  `ALTER TABLE source ADD COLUMN flush_times TEXT NOT NULL DEFAULT '{}'`,
];

/**
 * What a sweep knows, and the lake's self-check; which keys are deleted, and null where nobody noted it. Nothing reads
 * a lane's `shown` or a sweep's `head`.
 */
const AUDIT = [
  'ALTER TABLE keys ADD COLUMN deleted INTEGER',
  'ALTER TABLE lanes ADD COLUMN shown TEXT',
  'ALTER TABLE lanes ADD COLUMN shown_poll INTEGER',
  'ALTER TABLE parked ADD COLUMN missed INTEGER NOT NULL DEFAULT 0',
  `CREATE TABLE sweeps (
    id INTEGER PRIMARY KEY,
    sample REAL NOT NULL,
    phase TEXT NOT NULL DEFAULT 'listing',
    after TEXT,
    ordered INTEGER NOT NULL DEFAULT 1,
    polls INTEGER,
    head TEXT,
    listed INTEGER NOT NULL DEFAULT 0,
    sampled INTEGER NOT NULL DEFAULT 0,
    present INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    missing INTEGER NOT NULL DEFAULT 0,
    extra INTEGER NOT NULL DEFAULT 0,
    mended INTEGER NOT NULL DEFAULT 0,
    reason TEXT,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER
  )`,
  `CREATE TABLE differing (
    sweep INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    lsn INTEGER NOT NULL,
    after TEXT,
    looks INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (sweep, kind, looks, key)
  ) WITHOUT ROWID`,
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
];

/** What makes each layout of the object's own tables out of the one before; append-only. */
export const LAYOUTS = [FIRST_LAYOUT, DEAD_LETTERS, RANGES, PUSHES, COUNTS, AUDIT, AGENDA, CATALOG, STREAMS];
