/** What the catalog says of each file's rows; the root that stands in the lake, and the segments put there. */
export const CATALOG = [
  'ALTER TABLE files ADD COLUMN facts TEXT',
  'ALTER TABLE intents ADD COLUMN facts TEXT',
  `CREATE TABLE catalogs (
    table_name TEXT PRIMARY KEY,
    snapshot INTEGER NOT NULL DEFAULT 0,
    etag TEXT,
    last_lsn INTEGER NOT NULL DEFAULT 0,
    schema_digest TEXT
  ) WITHOUT ROWID`,
  // A segment is written down before it is put, so that none is left behind that nobody knows of.
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
];
