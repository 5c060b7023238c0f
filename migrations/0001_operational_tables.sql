-- Operational metadata only; the data itself is in R2.

-- One row per data file that a source settled. The unique index makes repeating a projection harmless.
CREATE TABLE ingestion_runs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  source TEXT NOT NULL,
  run_type TEXT NOT NULL,
  records_processed INTEGER DEFAULT 0,
  records_inserted INTEGER DEFAULT 0,
  records_failed INTEGER DEFAULT 0,
  started_at TEXT NOT NULL,
  completed_at TEXT,
  duration_ms INTEGER,
  status TEXT NOT NULL,
  error_message TEXT,
  cursor TEXT,
  data TEXT
);
CREATE UNIQUE INDEX ingestion_runs_file ON ingestion_runs (json_extract(data, '$.key'));
CREATE INDEX ingestion_runs_source ON ingestion_runs (source, completed_at);

-- The durable cursor of each source. last_sync_time only rises: an older write changes nothing.
CREATE TABLE sync_state (
  source TEXT PRIMARY KEY,
  last_sequence TEXT,
  last_sync_time TEXT,
  updated_at TEXT DEFAULT (datetime('now'))
);

-- Messages that failed for good.
CREATE TABLE failed_messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  queue_name TEXT NOT NULL,
  message_body TEXT NOT NULL,
  error_message TEXT,
  error_stack TEXT,
  retry_count INTEGER DEFAULT 0,
  original_timestamp TEXT NOT NULL,
  failed_at TEXT NOT NULL,
  status TEXT DEFAULT 'failed',
  resolved_at TEXT
);
CREATE INDEX failed_messages_status ON failed_messages (status, failed_at);
