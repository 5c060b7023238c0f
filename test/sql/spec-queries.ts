/** The four queries of the specification of the lake, unchanged. */
export const SPEC_QUERIES = {
  npm: `-- Query NPM packages by downloads
SELECT name, version, downloads_total, license
FROM r2_sql('data-ingestion/npm/metadata/partitions.parquet')
WHERE downloads_total > 1000000
ORDER BY downloads_total DESC
LIMIT 100;`,
  emailPatterns: `-- Find email patterns for tech companies
SELECT domain, pattern, confidence, sources
FROM r2_sql('data-ingestion/email-patterns/metadata/partitions.parquet')
WHERE verified = true AND confidence > 0.8;`,
  commits: `-- Search GitHub commits for email domain
SELECT author_email, repo, COUNT(*) as commit_count
FROM r2_sql('data-ingestion/github/commits/partitions.parquet')
WHERE author_email LIKE '%@stripe.com'
GROUP BY author_email, repo
ORDER BY commit_count DESC;`,
  expiring: `-- Find expiring domains
SELECT domain, registrar_name, expiry_date
FROM r2_sql('data-ingestion/whois/metadata/partitions.parquet')
WHERE CAST(expiry_date AS DATE) BETWEEN CURRENT_DATE AND DATE_ADD(CURRENT_DATE, INTERVAL 30 DAY)
ORDER BY expiry_date;`,
} as const;

/** Each table in those queries as they write it, with its name. */
export const SPEC_TABLES = {
  "r2_sql('data-ingestion/npm/metadata/partitions.parquet')": 'npm_package',
  "r2_sql('data-ingestion/email-patterns/metadata/partitions.parquet')": 'email_pattern',
  "r2_sql('data-ingestion/github/commits/partitions.parquet')": 'github_commit',
  "r2_sql('data-ingestion/whois/metadata/partitions.parquet')": 'whois_record',
} as const;

/** A specified query once for each way to name its table. `key` returns the key columns of a table. */
export function withEachName(query: string, key: (table: string) => readonly string[]): string[] {
  const [[written, table] = ['', '']] = Object.entries(SPEC_TABLES).filter(([text]) => query.includes(text));
  const newest = (history: string) =>
    `(SELECT * FROM ${history} QUALIFY row_number() OVER (PARTITION BY ${key(table).join(', ')} ORDER BY _lsn DESC) = 1 AND _op <> 'delete')`;
  const names = [
    written,
    table,
    `"${table}"`,
    table.toUpperCase(),
    newest(`${table}_history`),
    newest(`tributary.${table}`),
  ];
  return names.map(name => query.replace(written, name));
}
