/**
 * The keys of a source without a feed, each with the time it is due; where they are served; and keys that are on their
 * way to other sources' agendas. The index holds the key too: what is due is read from it alone.
 */
export const AGENDA = [
  `CREATE TABLE agenda_spaces (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    keys INTEGER NOT NULL DEFAULT 0
  )`,
  `CREATE TABLE agenda (
    key TEXT PRIMARY KEY,
    space INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    reason TEXT NOT NULL,
    added_ms INTEGER NOT NULL,
    checked_ms INTEGER,
    outcome TEXT,
    times INTEGER NOT NULL DEFAULT 0,
    digest TEXT,
    main_digest TEXT,
    more_hosts TEXT,
    facts TEXT
  ) WITHOUT ROWID`,
  'CREATE INDEX agenda_due ON agenda (space, due_ms)',
  `CREATE TABLE agenda_servers (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    servers TEXT NOT NULL,
    etag TEXT,
    fresh_until_ms INTEGER NOT NULL
  )`,
  `CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    target TEXT NOT NULL,
    key TEXT NOT NULL,
    due_ms INTEGER NOT NULL,
    UNIQUE (target, key)
  )`,
  'CREATE INDEX outbox_due ON outbox (due_ms)',
];
