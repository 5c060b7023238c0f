import type { SourceStatus } from '../../contract/source.ts';
import type { Tables } from '../query/tables.ts';
import { count, tableSums } from '../status.ts';

/** One thing that must hold, and what was found. */
export interface Verdict {
  check: string;
  ok: boolean;
  found: string;
}

export interface Evidence {
  /** The source's status when nothing was left to do and all was flushed. */
  status: SourceStatus;
  tables: Tables;
  table: { name: string; key: string[] };
  /** `sync_state.last_sequence` of the source; null when there is no row. */
  lastSequence: string | null;
  /** The newest place of the feed; of an agenda, the number of the last visit. */
  last: string;
}

/** Holds a lake against its upstream and its own books: every change accounted for, every row there exactly once. */
export async function verify({ status, tables, table, lastSequence, last }: Evidence): Promise<Verdict[]> {
  const key = table.key.join(', ');
  const [row] = (
    await tables.query(
      `SELECT count(*), count(DISTINCT _lsn), coalesce(max(_lsn), 0), count(DISTINCT (${key}, _cursor)), count(DISTINCT (${key}))
      FROM ${table.name}_history`,
    )
  ).rows as number[][];
  const [rows = 0, lsns = 0, lastLsn = 0, changes = 0, keys = 0] = row!;
  const [[current = 0, names = 0] = []] = (
    await tables.query(`SELECT count(*), count(DISTINCT (${key})) FROM ${table.name}`)
  ).rows as number[][];
  const { balance, cursor } = status;
  return [
    {
      check: 'Everything is durable to the last change',
      ok: cursor.durable === last,
      found: `durable ${cursor.durable}, last ${last}`,
    },
    {
      check: 'Every change has one outcome',
      ok: balance.balanced && balance.changes > 0,
      found: balanceText(balance),
    },
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
      ok: rows === tableSums(status).rows,
      found: `${count(rows)} rows, status ${count(tableSums(status).rows)}`,
    },
    {
      check: 'Every name is current at most once',
      ok: current === names && current <= keys,
      found: `${count(current)} current rows, ${count(names)} names of ${count(keys)}`,
    },
    {
      check: 'sync_state.last_sequence is that of the last change',
      ok: lastSequence === last,
      found: `${lastSequence}, last ${last}`,
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
