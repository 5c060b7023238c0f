import type { SourceStatus } from '../../contract/source.ts';
import type { DemoCheck } from '../../sources/stand-in/demo.ts';
import type { Tables } from '../query/tables.ts';
import { count } from '../status.ts';

/** A check and what it is about: a source, or one of its tables. */
export interface Verdict extends DemoCheck {
  subject: string;
}

export interface Evidence {
  /** The source's status when nothing was left to do and every row was in a file. */
  status: SourceStatus;
  /** The lake in SQL. */
  lake: Tables;
  /** The tables of the source. */
  tables: readonly { name: string; key: string[] }[];
  /** `sync_state.last_sequence` of the source; null when there is no row. */
  lastSequence: string | null;
  /** The newest cursor of the feed; of an agenda, the number of the last visit. */
  last: string;
}

/** Compares a lake with its upstream and with its own counts: every change has one outcome, every row is there once. */
export async function verify({ status, lake, tables, lastSequence, last }: Evidence): Promise<Verdict[]> {
  const { source, balance, cursor } = status;
  const verdicts: Verdict[] = [
    {
      subject: source,
      check: 'Everything is durable to the last change',
      ok: cursor.durable === last,
      found: `durable ${cursor.durable}, last ${last}`,
    },
    {
      subject: source,
      check: 'Every change has one outcome',
      ok: balance.balanced && balance.changes > 0,
      found: balanceText(balance),
    },
    {
      subject: source,
      check: 'sync_state.last_sequence is that of the last change',
      ok: lastSequence === last,
      found: `${lastSequence}, last ${last}`,
    },
  ];
  for (const table of tables) {
    const checks = await verifyTable(lake, table, status.tables[table.name]?.rows ?? 0);
    verdicts.push(...checks.map(check => ({ subject: table.name, ...check })));
  }
  return verdicts;
}

async function verifyTable(
  lake: Tables,
  table: { name: string; key: string[] },
  statusRows: number,
): Promise<DemoCheck[]> {
  const key = table.key.join(', ');
  const history = await lake.query(
    `SELECT count(*), count(DISTINCT _lsn), coalesce(max(_lsn), 0), count(DISTINCT (${key}, _cursor)), count(DISTINCT (${key}))
    FROM ${table.name}_history`,
  );
  const current = await lake.query(`SELECT count(*), count(DISTINCT (${key})) FROM ${table.name}`);
  const [rows = 0, lsns = 0, lastLsn = 0, changes = 0, keys = 0] = history.rows[0] as number[];
  const [currentRows = 0, currentKeys = 0] = current.rows[0] as number[];
  return [
    {
      check: 'Every row number is there once: count(*) = count(DISTINCT _lsn) = max(_lsn)',
      ok: rows > 0 && rows === lsns && rows === lastLsn,
      found: `${count(rows)}, ${count(lsns)}, ${count(lastLsn)}`,
    },
    {
      check: `Every change is there once: count(*) = count(DISTINCT (${key}, _cursor))`,
      ok: rows > 0 && rows === changes,
      found: `${count(rows)}, ${count(changes)}`,
    },
    {
      check: 'The files hold the rows that the status counts',
      ok: rows === statusRows,
      found: `${count(rows)} rows, status ${count(statusRows)}`,
    },
    {
      check: 'Every key is current at most once',
      ok: currentRows === currentKeys && currentRows <= keys,
      found: `${count(currentRows)} current rows, ${count(currentKeys)} keys of ${count(keys)}`,
    },
  ];
}

function balanceText({ changes, rows, tombstones, parked, dead, skipped, balanced }: SourceStatus['balance']): string {
  const skips = Object.entries(skipped).filter(([, number]) => number > 0);
  const reasons = skips.map(([reason, number]) => `${count(number)} ${reason}`).join(', ');
  const sum = skips.reduce((total, [, number]) => total + number, 0);
  const parts = `${count(rows)} rows + ${count(tombstones)} tombstones + ${count(parked)} parked + ${count(dead)} dead`;
  return `${count(changes)} changes ${balanced ? '=' : '≠'} ${parts} + ${count(sum)} skipped${reasons && ` (${reasons})`}`;
}
