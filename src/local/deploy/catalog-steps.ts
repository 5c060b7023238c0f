/** The lines that tell a person how to enable the catalog, once, so that other engines read the tables as Iceberg. */
export function catalogSteps(bucket: string): string[] {
  const token = '--token "$CATALOG_TOKEN"';
  return [
    'Once, for the catalog that other engines read (R2 Data Catalog, called Basin Catalog since October 2026):',
    '',
    `  npx wrangler basin catalog enable ${bucket}`,
    '  read -rs CATALOG_TOKEN   # then paste it: it is not shown',
    `  npx wrangler basin catalog compaction enable ${bucket} ${token}`,
    `  npx wrangler basin catalog snapshot-expiration enable ${bucket} --older-than-days 30 --retain-last 5 ${token}`,
    '',
    '  The first needs "Workers R2 Data Catalog Write" of your login, to create the catalog. Its older name is',
    `  "wrangler r2 bucket catalog enable", and so with the others.`,
    '  CATALOG_TOKEN is an API token that the catalog stores and uses for its maintenance. It needs',
    '    Workers R2 Data Catalog Write   to replace small files by merged ones, and to drop old snapshots',
    '    Workers R2 Storage Write        to read those files, write the merged ones, and delete unused ones',
    '  In the dashboard both are "Admin Read & Write" under R2, Manage API tokens. wrangler takes it on the command line',
    '  only, where other users of this machine can see it meanwhile; the catalog’s page in the dashboard does the same.',
    '  Without compaction the files stay small, and each query opens them all. Without snapshot',
    '  expiration every old snapshot stays, and so does each file that compaction has replaced: both are paid for.',
  ];
}
