import { domainToUnicode } from 'node:url';
import type { SourceStatus } from '../../../contract/source.ts';
import type { WatchedKey } from '../../../contract/watched-keys.ts';
import { isoDay } from '../../../time.ts';
import { type Demo, type DemoAct, type DemoConsole, isVisited } from '../../stand-in/demo.ts';
import { startStandIn, type WhoisStandIn } from './stand-in.ts';

const DAY_MS = 86_400_000;

/** A month and a day: a domain that is visited once a month is due by then, with its jitter. */
const MONTH_DAYS = 31;

/** The query for expiring domains that the lake was specified with, unchanged. */
const EXPIRING_QUERY = `SELECT domain, registrar_name, expiry_date
FROM r2_sql('data-ingestion/whois/metadata/partitions.parquet')
WHERE CAST(expiry_date AS DATE) BETWEEN CURRENT_DATE AND DATE_ADD(CURRENT_DATE, INTERVAL 30 DAY)
ORDER BY expiry_date;`;
/** So many of the made-up registrations end within 30 days of the demo's day. */
const EXPIRING_ROWS_MIN = 12;

/** Texts that are no domains: the worker rejects each with its reason. */
const NO_DOMAINS = ['co.uk', 'not a domain'];

/** Compares each row after an LSN with the row before it of the same domain. */
const changesQuery = (afterLsn: number) => `WITH pairs AS (
  SELECT *, lag({expiry: expiry_date, statuses: status_codes, servers: nameservers}) OVER (PARTITION BY domain ORDER BY _lsn) AS was
  FROM whois_record_history)
SELECT domain,
  CASE WHEN _op = 'delete' THEN 'deleted' WHEN was IS NULL THEN 'first answer'
    WHEN expiry_date <> was.expiry THEN 'renewed' WHEN status_codes <> was.statuses THEN 'other status'
    WHEN nameservers <> was.servers THEN 'other name servers' ELSE 'other' END AS change,
  CASE change WHEN 'renewed' THEN was.expiry WHEN 'other name servers' THEN was.servers ELSE was.statuses END AS before,
  CASE change WHEN 'renewed' THEN expiry_date WHEN 'other name servers' THEN nameservers ELSE status_codes END AS after
FROM pairs WHERE _lsn > ${afterLsn} ORDER BY change, domain`;

/** What the first act leaves for the second: the status at its end, and how many domains are due a month later. */
interface Month {
  before: SourceStatus | null;
  due: number;
}

export const demo: Demo = {
  example: 'SELECT domain, registrar_name, expiry_date FROM whois_record LIMIT 10',

  async start() {
    const standIn = await startStandIn({ day: isoDay(Date.now()), fast: true });
    const month: Month = { before: null, due: 0 };
    return {
      standIn,
      content: `${standIn.domains.length} made-up domains, over RDAP or WHOIS`,
      acts: [firstVisits(standIn, month), monthLater(standIn, month)],
    };
  },
};

function firstVisits({ domains }: WhoisStandIn, month: Month): DemoAct {
  return {
    daysAhead: 0,
    async begin({ call, print }) {
      // People write domains in their own script.
      const texts = [...domains.map(domainToUnicode), ...NO_DOMAINS];
      const { added, rejections } = await call<{ added: number; rejections: { text: string; reason: string }[] }>(
        '/v1/sources/whois/keys',
        texts,
      );
      const rejected = rejections.map(({ text, reason }) => `"${text}" (${reason})`).join(', ');
      print(`Watching ${added} domains; rejected: ${rejected}.`);
    },
    isDone: isVisited,
    progress: ({ balance, agenda }) => ({ done: balance.changes, total: agenda?.keys ?? 0, unit: 'visits' }),
    async end(result) {
      const keys = (await result.call<{ keys: WatchedKey[] }>('/v1/sources/whois/keys?limit=1000')).keys;
      const failed = await failedVisits(result);
      showOutcomes(result, keys, failed);
      const visited = keys.filter(({ outcome }) => outcome !== null).length;
      result.check({
        check: 'Every watched domain was visited',
        ok: visited === keys.length && visited > 0,
        found: `${visited} of ${keys.length}`,
      });
      await result.query({
        title: 'Domains that expire within 30 days',
        sql: EXPIRING_QUERY,
        rowsMin: EXPIRING_ROWS_MIN,
      });
      month.before = result.status;
      month.due = showDue(result, keys, failed);
    },
  };
}

function monthLater(standIn: WhoisStandIn, month: Month): DemoAct {
  return {
    daysAhead: MONTH_DAYS,
    prepare() {
      standIn.goTo(MONTH_DAYS);
      // A registrar that gives no answer would make a person wait for the timeout a second time.
      standIn.fault('/registrar-b/', [{ status: 503 }], { repeat: true });
    },
    isDone: isVisited,
    progress: ({ balance }) => {
      const before = month.before?.balance.changes ?? 0;
      return { done: balance.changes - before, total: month.due, unit: 'visits' };
    },
    async end(result) {
      const { status, today, print, query, check } = result;
      if (month.before !== null) {
        print(visitsText(month.before, status));
        const sql = changesQuery(rowsOf(month.before));
        await query({ title: 'What changed in the month', sql, answerOnly: true });
      }
      // DuckDB's own date is that of the machine.
      const sql = EXPIRING_QUERY.replaceAll('CURRENT_DATE', `DATE '${today}'`);
      await query({ title: `Domains that expire within 30 days of ${today}`, sql, answerOnly: true });
      const { due = null } = status.agenda ?? {};
      check({ check: 'No domain is due', ok: due === 0, found: `${due} due` });
    },
  };
}

interface FailedVisit {
  key: string;
  state: 'parked' | 'dead';
  reason: string;
  message: string;
}

async function failedVisits({ call }: DemoConsole): Promise<FailedVisit[]> {
  const failed: FailedVisit[] = [];
  for (const state of ['parked', 'dead'] as const) {
    const answer = await call<{ failed: Omit<FailedVisit, 'state'>[] }>(`/v1/failed?source=whois&state=${state}`);
    failed.push(...answer.failed.map(visit => ({ ...visit, state })));
  }
  return failed;
}

const OUTCOMES: Record<NonNullable<WatchedKey['outcome']>, string> = {
  found: 'registered',
  partial: 'registered; no answer from the registrar',
  gone: 'not registered',
  failed: 'no answer',
};

function showOutcomes({ print, printTable }: DemoConsole, keys: WatchedKey[], failed: FailedVisit[]): void {
  const outcomes = Object.entries(OUTCOMES).map(([outcome, text]) => [
    text,
    keys.filter(key => key.outcome === outcome).length,
  ]);
  printTable(['first visit', 'domains'], outcomes);
  print('Domains without an answer:\n');
  printTable(
    ['domain', 'reason', 'message'],
    failed.map(({ key, reason, message }) => [key, reason, message]),
  );
}

/** Shows why domains are due a month later; gives how many are. */
function showDue({ print, printTable }: DemoConsole, keys: WatchedKey[], failed: FailedVisit[]): number {
  const parked = failed.filter(({ state }) => state === 'parked').map(({ key }) => key);
  const monthEnd = Date.now() + MONTH_DAYS * DAY_MS;
  const due = keys.filter(({ key, due_at }) => !parked.includes(key) && Date.parse(due_at) <= monthEnd);
  print(
    `${due.length} of ${keys.length} domains are due within ${MONTH_DAYS} days; ` +
      `${parked.length} are parked, which the worker retries by itself.\n`,
  );
  const reasons = [...Map.groupBy(due, ({ reason }) => reason)].map(([reason, group]) => ({ reason, n: group.length }));
  printTable(
    ['why', 'domains'],
    reasons.sort((a, b) => b.n - a.n).map(({ reason, n }) => [reason, n]),
  );
  return due.length;
}

function visitsText(before: SourceStatus, after: SourceStatus): string {
  const grown = (of: (balance: SourceStatus['balance']) => number) => of(after.balance) - of(before.balance);
  const visits = grown(({ changes }) => changes);
  const outcomes = {
    changed: grown(({ rows }) => rows),
    deleted: grown(({ tombstones }) => tombstones),
    unchanged: grown(({ skipped }) => skipped.unchanged ?? 0),
    'still not registered': grown(({ skipped }) => skipped['no-rows'] ?? 0),
  };
  // A retry that succeeded meanwhile gave an outcome without a visit of this month.
  const without = visits - Object.values(outcomes).reduce((sum, number) => sum + number, 0);
  const parts = Object.entries({ ...outcomes, 'without an answer': Math.max(0, without) });
  return `${visits} visits: ${parts.map(([text, number]) => `${number} ${text}`).join(', ')}.`;
}

/** How many rows all tables have: of one table, its last LSN. */
function rowsOf({ tables }: SourceStatus): number {
  return Object.values(tables).reduce((sum, { rows }) => sum + rows, 0);
}
