import { startStandIn } from '../../../src/sources/pypi/stand-in/stand-in.ts';
import type { StandIn } from '../walk.ts';

export async function startWalk(folder: string): Promise<StandIn> {
  const standIn = await startStandIn({ folder });
  return {
    origin: standIn.origin,
    // A page of the index has 50,000 rows. The path of the feed tells the stand-in to send smaller ones.
    env: pageRows => ({
      PYPI_URL: standIn.settings.PYPI_URL,
      PYPI_FEED_URL: `${standIn.origin}/rows-${pageRows}/pypi`,
      PYPI_DOWNLOADS_URL: standIn.settings.PYPI_DOWNLOADS_URL,
      PYPI_START: '0',
      PYPI_PAGE_ROWS: pageRows,
    }),
    subject: 'pypi',
    failPage: answer => standIn.fault('/pypi', [answer]),
    failDocument: (key, answer) => standIn.fault(key, [answer]),
    wrongPage: { body: WRONG_PAGE, field: 'rows' },
    wrongDocument: {
      body: key => JSON.stringify({ info: { name: key, version: '1.0' }, releases: 7 }),
      field: 'releases',
    },
    retried: [],
    // A project under quarantine, and a name that the index has no page of.
    unlisted: ['quarantined-project', 'never-there'],
    rowsByHand: true,
    close: standIn.stop,
  };
}

/** A number where a page of rows belongs. */
const WRONG_PAGE = `<?xml version='1.0'?>
<methodResponse>
<params>
<param>
<value><int>7</int></value>
</param>
</params>
</methodResponse>
`;
