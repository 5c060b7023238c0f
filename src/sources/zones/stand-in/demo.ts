import type { WatchedKey } from '../../../contract/watched-keys.ts';
import { type Demo, type DemoAct, type DemoConsole, type DemoResult, isVisited } from '../../stand-in/demo.ts';
import { startStandIn, type ZonesStandIn } from './stand-in.ts';

/** As the demo of WHOIS, so that both share one run of the worker. */
const MONTH_DAYS = 31;

/** The domain whose zone file is printed: signed, and with another key a month later. */
const PRINTED = 'zones/tld=com/signed-example.com.zone';

/** Which servers a domain and its mail have, and which registrar registered it. */
const SERVERS_QUERY = `SELECT domain, registrar, nameservers, mx_records, dnssec_enabled
FROM domain
WHERE mx_records <> '[]' AND registrar IS NOT NULL
ORDER BY domain`;
/** So many domains of the stand-in at least have mail servers and a registration. */
const SERVERS_ROWS_MIN = 3;

/** Compares each row after an LSN with the row before it of the same domain. */
const changesQuery = (afterLsn: number) => `WITH pairs AS (
  SELECT *, lag({servers: nameservers, mail: mx_records, addresses: a_records, keys: dnskey_records, file: zone_file_hash,
    expiry: expiry_date, updated: last_updated}) OVER (PARTITION BY domain ORDER BY _lsn) AS was
  FROM domain_history), named AS (
  SELECT *, CASE WHEN _op = 'delete' THEN 'deleted' WHEN was IS NULL THEN 'first answer'
    WHEN nameservers <> was.servers THEN 'name servers' WHEN mx_records <> was.mail THEN 'mail servers'
    WHEN a_records <> was.addresses THEN 'addresses' WHEN dnskey_records <> was.keys THEN 'keys'
    WHEN zone_file_hash IS DISTINCT FROM was.file THEN 'other records'
    WHEN expiry_date IS DISTINCT FROM was.expiry THEN 'registration'
    WHEN last_updated IS DISTINCT FROM was.updated THEN 'last update' ELSE 'other' END AS change
  FROM pairs WHERE _lsn > ${afterLsn})
SELECT domain, change,
  left(CASE change WHEN 'name servers' THEN was.servers WHEN 'mail servers' THEN was.mail
    WHEN 'addresses' THEN was.addresses WHEN 'keys' THEN was.keys WHEN 'registration' THEN was.expiry
    WHEN 'last update' THEN was.updated END, 120) AS before,
  left(CASE change WHEN 'name servers' THEN nameservers WHEN 'mail servers' THEN mx_records
    WHEN 'addresses' THEN a_records WHEN 'keys' THEN dnskey_records WHEN 'registration' THEN expiry_date
    WHEN 'last update' THEN last_updated END, 120) AS after
FROM named ORDER BY change, domain`;

/** What the first act leaves for the second: its last row, its visits, and the file that was printed. */
interface Month {
  lsn: number;
  visits: number;
  file: string;
}

export const demo: Demo = {
  example: 'SELECT domain, nameservers, mx_records FROM domain LIMIT 10',
  feeds: ['whois>zones'],

  async start() {
    const standIn = await startStandIn({ fast: true });
    const month: Month = { lsn: 0, visits: 0, file: '' };
    return {
      standIn,
      content: `two resolvers over ${standIn.domains.length + standIn.plainDomains.length} made-up zones`,
      acts: [firstVisits(standIn, month), monthLater(standIn, month)],
    };
  },
};

function firstVisits({ domains }: ZonesStandIn, month: Month): DemoAct {
  return {
    daysAhead: 0,
    async begin({ call, print }) {
      const { added } = await call<{ added: number }>('/v1/sources/zones/keys', domains);
      print(`Watching the zones of ${added} domains, and of those that WHOIS finds registered.`);
    },
    isDone: isVisited,
    progress: ({ balance, agenda }) => ({ done: balance.changes, total: agenda?.keys ?? 0, unit: 'visits' }),
    async end(result) {
      const keys = await watchedKeys(result);
      showOutcomes(result, keys);
      const visited = keys.filter(({ outcome }) => outcome !== null).length;
      result.check({
        check: 'Every domain was visited, those that WHOIS found as well',
        ok: visited === keys.length && keys.length > domains.length,
        found: `${visited} of ${keys.length}; ${keys.length - domains.length} from WHOIS`,
      });
      month.file = await showFile(result);
      await result.query({ title: 'Who serves a domain', sql: SERVERS_QUERY, rowsMin: SERVERS_ROWS_MIN });
      month.lsn = lastLsn(result);
      month.visits = result.status.balance.changes;
    },
  };
}

function monthLater(standIn: ZonesStandIn, month: Month): DemoAct {
  return {
    daysAhead: MONTH_DAYS,
    prepare: () => standIn.passDays(MONTH_DAYS),
    isDone: isVisited,
    progress: ({ balance, agenda }) => ({
      done: balance.changes - month.visits,
      total: agenda?.keys ?? 0,
      unit: 'visits',
    }),
    async end(result) {
      const { status, query, check } = result;
      const { unchanged = 0 } = status.balance.skipped;
      result.print(
        `${status.balance.changes - month.visits} visits in the month, ${unchanged} of all visits unchanged.`,
      );
      await query({
        title: 'What changed in the month',
        sql: changesQuery(month.lsn),
        answerOnly: true,
        rowsMin: 1,
      });
      const file = await showFile(result);
      check({
        check: 'The zone file with another key was replaced',
        ok: file !== '' && file !== month.file,
        found: file === month.file ? 'the file of the month before' : `${file.length} bytes`,
      });
      const { due = null } = status.agenda ?? {};
      check({ check: 'No domain is due', ok: due === 0, found: `${due} due` });
    },
  };
}

async function watchedKeys({ call }: DemoConsole): Promise<WatchedKey[]> {
  return (await call<{ keys: WatchedKey[] }>('/v1/sources/zones/keys?limit=1000')).keys;
}

const OUTCOMES: Record<NonNullable<WatchedKey['outcome']>, string> = {
  found: 'has a zone',
  partial: 'has a zone; some answers are missing',
  gone: 'does not exist',
  failed: 'no answer',
};

function showOutcomes({ printTable }: DemoConsole, keys: WatchedKey[]): void {
  const rows = Object.entries(OUTCOMES).map(([outcome, text]) => [
    text,
    keys.filter(key => key.outcome === outcome).length,
  ]);
  printTable(['first visit', 'domains'], rows);
}

/** Prints the zone file of one domain, and gives its text. */
async function showFile({ print, textOf }: DemoResult): Promise<string> {
  const text = await textOf(PRINTED);
  print(`${PRINTED}:\n\n${text ?? 'no such object'}`);
  return text ?? '';
}

function lastLsn({ status }: DemoResult): number {
  return status.tables.domain?.last_lsn ?? 0;
}
