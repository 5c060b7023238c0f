/** What a person does once, so that the tables can be read as Iceberg; one line each. */
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
    '  The first wants "Workers R2 Data Catalog Write" of your login, to make the catalog. Its older name is',
    `  "wrangler r2 bucket catalog enable", and so with the others.`,
    '  CATALOG_TOKEN is an API token that the catalog keeps and does its maintenance with. It wants',
    '    Workers R2 Data Catalog Write   to put merged files in place of small ones, and to drop old snapshots',
    '    Workers R2 Storage Write        to read those files, write the merged ones, and delete what nothing names',
    '  In the dashboard both are "Admin Read & Write" under R2, Manage API tokens. wrangler takes it on the command line',
    '  only, where other users of this machine can see it meanwhile; the page of the catalog in the dashboard does the same.',
    '  Without compaction files stay as small as they were written, and each query opens them all. Without snapshot',
    '  expiration every old snapshot stays, and so does each file that compaction has replaced: both are paid for.',
  ];
}
