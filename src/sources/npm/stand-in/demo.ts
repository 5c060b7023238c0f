import { type Demo, isFollowed } from '../../stand-in/demo.ts';
import { startStandIn } from './stand-in.ts';

/** Changes of made-up names that follow the recorded ones. */
const MADE_UP_CHANGES = 300;

/** The first query that the lake was specified with, unchanged. */
const DOWNLOADS_QUERY = `SELECT name, version, downloads_total, license
FROM r2_sql('data-ingestion/npm/metadata/partitions.parquet')
WHERE downloads_total > 1000000
ORDER BY downloads_total DESC
LIMIT 100;`;
/** So many recorded packages at least have more downloads than the query asks for. */
const DOWNLOADS_ROWS_MIN = 3;

export const demo: Demo = {
  example: 'SELECT name, version, license FROM npm_package LIMIT 10',

  async start() {
    const standIn = await startStandIn({ changes: MADE_UP_CHANGES, fast: true });
    const total = standIn.rows().length;
    return {
      standIn,
      content: `a feed of ${total} changes, recorded and made up`,
      acts: [
        {
          daysAhead: 0,
          isDone: status => isFollowed(status, standIn.head()),
          progress: ({ balance }) => ({ done: balance.changes, total, unit: 'changes' }),
          end: ({ query }) =>
            query({
              title: 'Packages with more than a million downloads',
              sql: DOWNLOADS_QUERY,
              rowsMin: DOWNLOADS_ROWS_MIN,
            }),
        },
      ],
    };
  },
};
