import { domainToUnicode } from 'node:url';
import { tableNamed } from '../../../schemas/index.ts';
import type { SourceStatus } from '../../contract/source.ts';
import type { WatchedKey } from '../../contract/watched-keys.ts';
import type { WhoisStandIn } from '../../sources/whois/stand-in/stand-in.ts';
import { isoDay } from '../../time.ts';
import { asTable, type Shown } from '../query/answer-text.ts';
import type { Tables } from '../query/tables.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { count, fetchJson, fetchStatus, tableSums } from '../status.ts';
import { follow, type Screen } from './progress.ts';
import { openAtRest, projectedSequence, verdictText } from './proof.ts';
import { type Verdict, verify } from './verify.ts';

const DAY_MS = 86_400_000;

/** A month and a day: what is looked at once a month is due by then, give or take its jitter. */
const DAYS_ON = 31;

/** The query for expiring domains that the lake was specified with, as it stands there. */
const EXPIRING_QUERY = `SELECT domain, registrar_name, expiry_date
FROM r2_sql('data-ingestion/whois/metadata/partitions.parquet')
WHERE CAST(expiry_date AS DATE) BETWEEN CURRENT_DATE AND DATE_ADD(CURRENT_DATE, INTERVAL 30 DAY)
ORDER BY expiry_date;`;
/** So many of the made-up registrations end within 30 days of the demo's day. */
const EXPIRING_ROWS_MIN = 12;

/** What is no domain, to be rejected by name. */
const NO_DOMAINS = ['co.uk', 'not a domain'];

/** What differs between the rows of the month and those before them. */
const changesQuery = (afterLsn: number) => `
  WITH pairs AS (
    SELECT *, lag({expiry: expiry_date, statuses: status_codes, servers: nameservers}) OVER (PARTITION BY domain ORDER BY _lsn) AS was
    FROM whois_record_history)
  SELECT domain,
    CASE WHEN _op = 'delete' THEN 'deleted' WHEN was IS NULL THEN 'first answer'
      WHEN expiry_date <> was.expiry THEN 'renewed' WHEN status_codes <> was.statuses THEN 'other status'
      WHEN nameservers <> was.servers THEN 'other name servers' ELSE 'other' END AS change,
    CASE change WHEN 'renewed' THEN was.expiry WHEN 'other name servers' THEN was.servers ELSE was.statuses END AS before,
    CASE change WHEN 'renewed' THEN expiry_date WHEN 'other name servers' THEN nameservers ELSE status_codes END AS after
  FROM pairs WHERE _lsn > ${afterLsn} ORDER BY change, domain`;

/** The worker's settings that make it visit a replay's domains as fast as it can. */
export function domainSettings({ settings }: WhoisStandIn): Record<string, string> {
  return {
    ...settings,
    WHOIS_REQUESTS_PER_SECOND: '1000',
    WHOIS_REQUESTS_PER_SECOND_MAX: '1000',
    WHOIS_POLL_MS: '200',
  };
}

/** Puts the replay's domains on the agenda, written as people write them, and tells what came of it. */
export async function watchDomains({ url }: Runtime, { domains }: WhoisStandIn, { write }: Screen): Promise<void> {
  const names = [...domains.map(domainToUnicode), ...NO_DOMAINS];
  const { added, rejections } = await fetchJson<{ added: number; rejections: { text: string; reason: string }[] }>(
    `${url}/v1/sources/whois/keys`,
    {
      method: 'POST',
      headers: { authorization: 'Bearer local', 'content-type': 'application/json' },
      body: JSON.stringify(names),
    },
  );
  const refused = rejections.map(({ text, reason }) => `"${text}" (${reason})`).join(', ');
  write(`Watching ${added} made-up domains; no domain: ${refused}.\n`);
}

/** Shows the first visits until all are durable, what they came to, and the query for expiring domains. */
export async function showVisits(runtime: Runtime, screen: Screen): Promise<Verdict[]> {
  await followVisits(runtime, screen);
  const keys = await watchedKeys(runtime);
  screen.write(`\n${asTable(outcomesOf(keys))}\nThose without an answer:\n\n${asTable(await failuresOf(runtime))}\n`);
  const { tables } = await openAtRest(runtime, 'whois');
  try {
    const expiring = await tables.query(EXPIRING_QUERY);
    screen.write(`${EXPIRING_QUERY}\n\n${asTable(expiring)}\n`);
    const visited = keys.filter(({ outcome }) => outcome !== null).length;
    return [
      {
        check: 'Every watched domain was visited',
        ok: visited === keys.length && visited > 0,
        found: `${visited} of ${keys.length}`,
      },
      {
        check: `The query gives at least ${EXPIRING_ROWS_MIN} expiring domains`,
        ok: expiring.rows.length >= EXPIRING_ROWS_MIN,
        found: `${expiring.rows.length}`,
      },
    ];
  } finally {
    tables.close();
  }
}

/**
 * Moves the clock a month on: `restart` starts the worker again on the same state with its clock so many milliseconds
 * ahead. Shows what was due then, what came of it, the query of that day, and the proof with `verdicts` in front.
 */
export async function showMonthOn(
  before: Runtime,
  replay: WhoisStandIn,
  { screen, verdicts, restart }: { screen: Screen; verdicts: Verdict[]; restart(aheadMs: number): Promise<Runtime> },
): Promise<Verdict[]> {
  const { write } = screen;
  const aheadMs = DAYS_ON * DAY_MS;
  const day = isoDay(Date.now() + aheadMs);
  const keys = await watchedKeys(before);
  const parked = new Set((await failedChanges(before, 'parked')).map(({ key }) => key));
  const status = await fetchStatus(before.url, 'whois');
  await before.stop();
  replay.goTo(DAYS_ON);
  // The registrar that keeps silent would keep a person waiting a second time.
  replay.fault('/registrar-b/', [{ status: 503 }], { repeat: true });
  const dueKeys = keys.filter(({ key, due_at }) => !parked.has(key) && Date.parse(due_at) <= Date.now() + aheadMs);
  write(`The clock goes ${DAYS_ON} days on, to ${day}, and the worker starts again on the same state.\n`);
  write(
    `${dueKeys.length} of ${keys.length} domains are due by then; ${parked.size} are parked, and retried by themselves.\n`,
  );
  write(`\n${asTable(dueOf(dueKeys))}\n`);
  const runtime = await restart(aheadMs);
  try {
    const after = await followVisits(runtime, screen);
    write(`\n${doneText(status, after)}\n`);
    const { tables, status: rest } = await openAtRest(runtime, 'whois');
    try {
      const afterLsn = tableSums(status).rows;
      await showChanges(tables, { afterLsn, day, write });
      const all = [...verdicts, ...(await proofOf(runtime, { tables, status: rest }))];
      write(`${verdictText(all)}\n`);
      return all;
    } finally {
      tables.close();
    }
  } finally {
    await runtime.stop();
  }
}

async function showChanges(
  tables: Tables,
  { afterLsn, day, write }: { afterLsn: number; day: string; write(text: string): void },
): Promise<void> {
  write(`\n${asTable(await tables.query(changesQuery(afterLsn)))}\n`);
  // DuckDB's own date is that of the machine.
  const later = EXPIRING_QUERY.replaceAll('CURRENT_DATE', `DATE '${day}'`);
  write(`The same query on that day:\n\n${asTable(await tables.query(later))}\n`);
}

async function proofOf(
  runtime: Runtime,
  { tables, status }: { tables: Tables; status: SourceStatus },
): Promise<Verdict[]> {
  const last = status.cursor.accepted ?? '';
  const lastSequence = await projectedSequence(runtime, { source: 'whois', last });
  const verdicts = await verify({ status, tables, table: tableNamed('whois_record'), lastSequence, last });
  const { due = null } = status.agenda ?? {};
  return [...verdicts, { check: 'Nothing is due any more', ok: due === 0, found: `${due} due` }];
}

/** Until every due key was visited, and what came of it is in a file. */
function followVisits(runtime: Runtime, screen: Screen): Promise<SourceStatus> {
  return follow(runtime, screen, {
    source: 'whois',
    isDone: ({ agenda, cursor, buffer, balance }) =>
      agenda?.due === 0 && balance.changes > 0 && cursor.accepted === cursor.durable && buffer.rows === 0,
    line(status) {
      const { rows, files } = tableSums(status);
      const { due = 0 } = status.agenda ?? {};
      return `  ${count(due)} domains due  ${count(status.balance.changes)} visits  ${count(rows)} rows durable  ${count(files)} files`;
    },
  });
}

async function watchedKeys({ url }: Runtime): Promise<WatchedKey[]> {
  return (await fetchJson<{ keys: WatchedKey[] }>(`${url}/v1/sources/whois/keys?limit=1000`)).keys;
}

const OUTCOMES: Record<NonNullable<WatchedKey['outcome']>, string> = {
  found: 'registered',
  partial: "registered; the registrar's half did not come",
  gone: 'not registered',
  failed: 'no answer',
};

function outcomesOf(keys: WatchedKey[]): Shown {
  const groups = Object.entries(OUTCOMES).map(([outcome, text]) => [
    text,
    keys.filter(key => key.outcome === outcome).length,
  ]);
  return { columns: ['first visit', 'domains'], numeric: [false, true], rows: groups };
}

function dueOf(keys: WatchedKey[]): Shown {
  const groups = [...Map.groupBy(keys, ({ reason }) => reason)].map(([reason, group]) => [reason, group.length]);
  return { columns: ['why', 'domains'], numeric: [false, true], rows: groups.sort((a, b) => +b[1]! - +a[1]!) };
}

interface FailedVisit {
  key: string;
  reason: string;
  message: string;
}

async function failedChanges({ url }: Runtime, state: 'parked' | 'dead'): Promise<FailedVisit[]> {
  const { failed } = await fetchJson<{ failed: FailedVisit[] }>(`${url}/v1/failed?source=whois&state=${state}`);
  return failed;
}

async function failuresOf(runtime: Runtime): Promise<Shown> {
  const failed = [...(await failedChanges(runtime, 'parked')), ...(await failedChanges(runtime, 'dead'))];
  return {
    columns: ['domain', 'reason', 'message'],
    numeric: [false, false, false],
    rows: failed.map(({ key, reason, message }) => [key, reason, message]),
  };
}

function doneText(before: SourceStatus, after: SourceStatus): string {
  const grown = (of: (balance: SourceStatus['balance']) => number) => of(after.balance) - of(before.balance);
  const visits = grown(({ changes }) => changes);
  const outcomes = {
    changed: grown(({ rows }) => rows),
    deleted: grown(({ tombstones }) => tombstones),
    unchanged: grown(({ skipped }) => skipped.unchanged ?? 0),
    'still not registered': grown(({ skipped }) => skipped['no-rows'] ?? 0),
  };
  // A retry that comes to something meanwhile is one of no visit.
  const without = visits - Object.values(outcomes).reduce((sum, number) => sum + number, 0);
  const parts = Object.entries({ ...outcomes, 'without an answer': Math.max(0, without) });
  return `${count(visits)} visits: ${parts.map(([text, number]) => `${count(number)} ${text}`).join(', ')}. What changed:`;
}
