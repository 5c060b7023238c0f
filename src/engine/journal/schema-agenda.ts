/** The tables of an agenda: watched keys, inlets and their evidence, signals. Part of the layout of `schema.ts`. */
export const AGENDA_SCHEMA = [
  // Parts of the key space, each served by one server. `keys` counts the watched keys.
  'CREATE TABLE agenda_spaces (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, keys INTEGER NOT NULL DEFAULT 0)',
  // Watched keys. `revisit` is 0 before the first visit that did not fail, while a key has more than one visit's work,
  // and after a change of its evidence. `outcome` is that of the last visit and `times`
  // how many visits in a row had it; `digest`, `more_hosts` and `facts` are JSON. `wait_ms`: after what time the key wants
  // its next visit; null before the first.
  `CREATE TABLE agenda (
    key TEXT PRIMARY KEY,
    space INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    revisit INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL,
    added_ms INTEGER NOT NULL,
    checked_ms INTEGER,
    wait_ms INTEGER,
    outcome TEXT,
    times INTEGER NOT NULL DEFAULT 0,
    digest TEXT,
    main_digest TEXT,
    more_hosts TEXT,
    facts TEXT
  ) WITHOUT ROWID`,
  // SQLite appends the primary key to it, so that due keys are read from the index alone.
  'CREATE INDEX agenda_due ON agenda (space, revisit, due_ms)',
  "CREATE INDEX agenda_waiting ON agenda (reason) WHERE reason = 'no-permit'",
  // One row: the factor by which intervals between visits are stretched; how many keys say what wait they want, and the
  // visits that they want in a trillion milliseconds; visits that were made, and the time that they took; those since it
  // was adjusted, and since when (0 while none is due).
  `CREATE TABLE agenda_pace (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    stretch REAL NOT NULL DEFAULT 1,
    wanting INTEGER NOT NULL DEFAULT 0,
    wanted INTEGER NOT NULL DEFAULT 0,
    visits REAL NOT NULL DEFAULT 0,
    taken_ms REAL NOT NULL DEFAULT 0,
    at_ms INTEGER NOT NULL DEFAULT 0,
    new_visits INTEGER NOT NULL DEFAULT 0,
    new_others INTEGER NOT NULL DEFAULT 0
  )`,
  'INSERT INTO agenda_pace (id) VALUES (1)',
  // Triggers keep both sums, because keys come, go, move and change their wait in several places.
  `CREATE TRIGGER agenda_wanted_more AFTER INSERT ON agenda WHEN NEW.wait_ms IS NOT NULL BEGIN
    UPDATE agenda_pace SET wanting = wanting + 1, wanted = wanted + 1000000000000 / NEW.wait_ms;
  END`,
  `CREATE TRIGGER agenda_wanted_less AFTER DELETE ON agenda WHEN OLD.wait_ms IS NOT NULL BEGIN
    UPDATE agenda_pace SET wanting = wanting - 1, wanted = wanted - 1000000000000 / OLD.wait_ms;
  END`,
  `CREATE TRIGGER agenda_wanted_other AFTER UPDATE OF wait_ms ON agenda WHEN NEW.wait_ms IS NOT OLD.wait_ms BEGIN
    UPDATE agenda_pace SET wanting = wanting + (NEW.wait_ms IS NOT NULL) - (OLD.wait_ms IS NOT NULL),
      wanted = wanted + coalesce(1000000000000 / NEW.wait_ms, 0) - coalesce(1000000000000 / OLD.wait_ms, 0);
  END`,
  // How many keys that visits found are not watched, by the reason.
  'CREATE TABLE agenda_refusals (reason TEXT PRIMARY KEY, keys INTEGER NOT NULL)',
  // One row: which server serves each space, as JSON.
  `CREATE TABLE agenda_servers (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    servers TEXT NOT NULL,
    etag TEXT,
    fresh_until_ms INTEGER NOT NULL
  )`,
  // Keys that a person removed from the agenda: no inlet adds them again.
  'CREATE TABLE removed_keys (key TEXT PRIMARY KEY) WITHOUT ROWID',
  // Keys that moved to another name. `to_key` never is a `key` itself.
  'CREATE TABLE moved_keys (key TEXT PRIMARY KEY, to_key TEXT NOT NULL) WITHOUT ROWID',
  'CREATE INDEX moved_keys_to ON moved_keys (to_key)',
  // Inlets: each has read the rows of its table up to `lsn`. `identity` is the table's, and `last_lsn` the last settled
  // row that the table's source knew of. `findings` and `added` count what the rows gave, and `items` the evidence that
  // is kept of them.
  `CREATE TABLE inlets (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    table_name TEXT NOT NULL,
    identity TEXT,
    lsn INTEGER NOT NULL DEFAULT 0,
    last_lsn INTEGER NOT NULL DEFAULT 0,
    rows INTEGER NOT NULL DEFAULT 0,
    findings INTEGER NOT NULL DEFAULT 0,
    added INTEGER NOT NULL DEFAULT 0,
    items INTEGER NOT NULL DEFAULT 0,
    next_ms INTEGER NOT NULL DEFAULT 0,
    asked_ms INTEGER,
    UNIQUE (source, table_name)
  )`,
  // How many findings of each inlet were passed over.
  `CREATE TABLE inlet_refusals (
    inlet INTEGER NOT NULL,
    reason TEXT NOT NULL,
    findings INTEGER NOT NULL,
    PRIMARY KEY (inlet, reason)
  ) WITHOUT ROWID`,
  // Keys that have evidence, watched or not, and how many items. `version` is the source's `evidence_version` of the
  // last change.
  `CREATE TABLE evidence_keys (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    items INTEGER NOT NULL,
    version INTEGER NOT NULL DEFAULT 0
  )`,
  // What rows of other tables say of keys. A changed item is a new row, so that a later id is newer. `row_key` is the
  // feeding row's key, null of a table whose rows never change.
  `CREATE TABLE evidence (
    id INTEGER PRIMARY KEY,
    key_id INTEGER NOT NULL,
    inlet INTEGER NOT NULL,
    row_key TEXT,
    item TEXT NOT NULL,
    facts TEXT NOT NULL,
    sample TEXT,
    lsn INTEGER NOT NULL
  )`,
  // SQLite appends the id to each, so the newest items of a key, and all items of a row, are read in order.
  'CREATE INDEX evidence_of_key ON evidence (key_id)',
  'CREATE INDEX evidence_of_row ON evidence (inlet, row_key)',
  'CREATE UNIQUE INDEX evidence_without_row ON evidence (key_id, inlet, item) WHERE row_key IS NULL',
  // Deliveries of signals that were taken lately, in order, so that one that comes again does nothing. `id` is a digest
  // of the sender's own.
  'CREATE TABLE signals (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at_ms INTEGER NOT NULL)',
  // One row: signals that were taken, those that came again, and the keys they named: made due, or ignored.
  `CREATE TABLE signal_counts (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    taken INTEGER NOT NULL DEFAULT 0,
    repeated INTEGER NOT NULL DEFAULT 0,
    due INTEGER NOT NULL DEFAULT 0,
    ignored INTEGER NOT NULL DEFAULT 0,
    last_ms INTEGER
  )`,
  'INSERT INTO signal_counts (id) VALUES (1)',
];
