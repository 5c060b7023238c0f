/** Functions that make rows of their arguments only. Any other function instead of a table could read something. */
export const ROW_FUNCTIONS: readonly string[] = ['unnest', 'generate_series', 'range', 'json_each', 'json_tree'];

/** Functions that have a FROM of their own in their parentheses. */
export const FROM_FUNCTIONS: readonly string[] = ['extract', 'substring', 'trim', 'overlay'];

/** Functions, and the two lists after `*`, that have an AS of their own in their parentheses. */
export const AS_FUNCTIONS: readonly string[] = ['cast', 'try_cast', 'replace', 'rename'];

/** Families of functions that read the engine's settings, catalog, files or session. */
const REFUSED_PREFIXES = ['pg_', 'duckdb_', 'pragma_', 'read_', 'parquet_', 'has_', 'inet_', 'current_', '__'];
/** The members of those families that only read the clock. */
const CLOCK = ['current_date', 'current_time', 'current_timestamp', 'current_localtime', 'current_localtimestamp'];
const REFUSED = new Set(
  // Settings, variables and sequences, read or changed.
  (
    'getvariable getenv set_config setseed nextval currval lastval setval version get_block_size stats ' +
    // Files, logs, and texts that the engine runs as queries.
    'glob sniff_csv load_file write_log parse_duckdb_log_message query query_table json_serialize_plan ' +
    'json_serialize_sql json_deserialize_sql json_execute_serialized_sql ' +
    // The session and the catalog.
    'in_search_path txid_current user session_user col_description obj_description shobj_description format_type ' +
    'format_pg_type map_to_pg_oid ' +
    // Waiting holds one of the places that queries share.
    'sleep_ms sleep'
  ).split(' '),
);

/** Whether a query may not call this function, because it gives or changes something besides the lake's rows. */
export function isRefusedFunction(name: string): boolean {
  if (CLOCK.includes(name)) return false;
  return REFUSED.has(name) || REFUSED_PREFIXES.some(prefix => name.startsWith(prefix));
}
