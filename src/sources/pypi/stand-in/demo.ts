import type { SourceStatus } from '../../../contract/source.ts';
import { type Demo, type DemoAct, type DemoResult, isFollowed } from '../../stand-in/demo.ts';
import { type PypiStandIn, startStandIn } from './stand-in.ts';

/** Rows of made-up projects that follow the recorded ones, and how many projects they are of. */
const MADE_UP_ROWS = 300;
const MADE_UP_NAMES = 200;

/** The projects that change while the worker follows. */
const QUARANTINED = 'Asta-Serve';
const REMOVED = 'author-plain';
const RELEASED = 'several-people';

/** Rows that come of the first step, the one of a lagging document twice, and of the second step. */
const STEP_ROWS = [4, 1];

const STEPS_QUERY = `SELECT name, _op AS op, version, json_extract_string(data, '$.last_serial') AS document_serial, _cursor AS "cursor"
FROM pypi_package_history
WHERE name IN ('asta-serve', 'author-plain', 'several-people')
ORDER BY name, _lsn`;
/** Three rows of the quarantined project, two of the removed one, three of the released one. */
const STEPS_ROWS_MIN = 8;

const DOWNLOADS_QUERY = `SELECT name, version, license, downloads_last_month, downloads_total
FROM pypi_package
WHERE downloads_last_month > 10000
ORDER BY downloads_last_month DESC
LIMIT 15`;
const DOWNLOADS_ROWS_MIN = 5;

export const demo: Demo = {
  example: 'SELECT name, version, license FROM pypi_package LIMIT 10',

  async start() {
    const standIn = await startStandIn({ changes: MADE_UP_ROWS, names: MADE_UP_NAMES, fast: true });
    return {
      standIn,
      content: `a journal of ${standIn.rows().length} rows, made by hand and made up`,
      acts: [followed(standIn)],
    };
  },
};

function followed(standIn: PypiStandIn): DemoAct {
  // The rows of each step come some time after its last serial is durable, because a lagging document is asked for again.
  let rowsBefore = 0;
  let rowsOfStep = 0;
  let step = 0;
  return {
    daysAhead: 0,
    steps: [
      ({ print }) => {
        standIn.quarantine(QUARANTINED);
        standIn.remove(REMOVED);
        release(standIn);
        rowsOfStep = STEP_ROWS[step++]!;
        print(`The index quarantines ${QUARANTINED}, removes ${REMOVED}, and shows a release of ${RELEASED};`);
        print('its CDN still has the document before that release.');
      },
      ({ print }) => {
        standIn.clearQuarantine(QUARANTINED);
        rowsOfStep = STEP_ROWS[step++]!;
        print(`The index clears ${QUARANTINED}.`);
      },
    ],
    isDone(status) {
      const rows = rowsOf(status);
      if (!isFollowed(status, standIn.head()) || rows < rowsBefore + rowsOfStep) return false;
      rowsBefore = rows;
      return true;
    },
    progress: ({ balance }) => ({ done: balance.changes, total: standIn.rows().length, unit: 'changes' }),
    end: result => showEnd(result),
  };
}

/** A release whose document the CDN does not serve at the first request. */
function release(standIn: PypiStandIn): void {
  const before = JSON.parse(new TextDecoder().decode(standIn.documentOf(RELEASED)!));
  const { last_serial: _, ...document } = before;
  standIn.pushRow({
    name: RELEASED,
    version: '1.1',
    action: 'new release',
    document: Object.assign(document, { info: Object.assign(document.info, { version: '1.1' }) }),
  });
  standIn.lag(RELEASED, 1);
}

async function showEnd({ status, printTable, query, check }: DemoResult): Promise<void> {
  const { changes, rows, tombstones, parked, dead, skipped } = status.balance;
  const coalesced = skipped.coalesced ?? 0;
  printTable(
    ['rows of the journal', 'number'],
    [
      ['gave a row', rows],
      ['gave a delete row', tombstones],
      ['were coalesced with a later row of their page', coalesced],
      ['were skipped for another reason', Object.values(skipped).reduce((sum, number) => sum + number, 0) - coalesced],
      ['are parked', parked + dead],
      ['in all, with second attempts', changes],
    ],
  );
  check({ check: 'Rows of one project on one page were coalesced', ok: coalesced > 0, found: `${coalesced}` });
  await query({
    title: 'A quarantine and its end, a removal, and a release whose document came late',
    sql: STEPS_QUERY,
    rowsMin: STEPS_ROWS_MIN,
  });
  await query({
    title: 'Projects with more than 10,000 downloads in the last month',
    sql: DOWNLOADS_QUERY,
    rowsMin: DOWNLOADS_ROWS_MIN,
  });
}

/** How many rows are in files. */
function rowsOf({ tables }: SourceStatus): number {
  return tables.pypi_package?.rows ?? 0;
}
