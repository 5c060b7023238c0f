/** Up to which LSN each stream has said that it holds a table's rows: always from LSN 1 on, without a gap. */
export const STREAMS = [
  `CREATE TABLE streams (
    table_name TEXT NOT NULL,
    binding TEXT NOT NULL,
    last_lsn INTEGER NOT NULL,
    PRIMARY KEY (table_name, binding)
  ) WITHOUT ROWID`,
];
