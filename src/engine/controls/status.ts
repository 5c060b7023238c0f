import { LIMITS } from '../../config.ts';
import type { SourceHealth, SourceState, SourceStatus, StreamStatus } from '../../contract/source.ts';
import type { LiveFile, TableFacts } from '../../contract/tables.ts';
import { SKIP_REASONS, type SkipReason } from '../../errors.ts';
import { policyOf } from '../../failure-policy.ts';
import type { FeedingFiles } from '../../ports/inlet.ts';
import { isoTime } from '../../time.ts';
import { AUDIT_STEPS, isUnhealthy } from '../audit/audit.ts';
import type { Engine } from '../engine.ts';
import { TAIL } from '../journal/changes.ts';
import { JournalStreams } from '../journal/streams.ts';
import { inletsOf } from './inlets.ts';
import { agendaStatus } from './watched-keys.ts';

/** The state of a source. */
export function stateOf({ journal, options, ports, room, source, paused }: Engine): SourceState {
  if (paused) return 'paused';
  const faults = journal.state.faults().filter(({ step }) => !AUDIT_STEPS.has(step));
  if (faults.some(fault => fault.stalls === 1)) return 'stalled';
  const lane = journal.state.lane(TAIL);
  const nowMs = ports.clock.now();
  const isHeadAhead = lane.head !== null && lane.cursor !== null && source.compare(lane.head, lane.cursor) > 0;
  const silentMs = lane.page_accepted_ms === null ? 0 : nowMs - lane.page_accepted_ms;
  if (isHeadAhead && silentMs >= options.stalledAfterMs) return 'stalled';
  if (room.isFull) return 'full';
  if (faults.some(fault => fault.retry_ms > nowMs)) return 'backing-off';
  return lane.at_head === 1 ? 'following' : 'catching-up';
}

/** The status of a source, all of it from durable state. */
export async function statusOf(engine: Engine): Promise<SourceStatus> {
  const { journal, files, ports, source } = engine;
  const { state } = journal;
  const row = state.source();
  const lane = state.lane(TAIL);
  const nowMs = ports.clock.now();
  const backlog = files.backlog();
  const [fault] = state.faults();
  const flush = row.last_flush === null ? null : (JSON.parse(row.last_flush) as SourceStatus['last_flush']);
  const minute = Math.floor(nowMs / 60_000);
  return {
    source: source.id,
    state: stateOf(engine),
    cursor: { accepted: lane.cursor, durable: lane.cursor === null ? null : files.durableCursor(), head: lane.head },
    lag: { changes: lane.lag_changes, seconds: secondsSince(lane.reached_head_ms, nowMs) },
    rate: {
      rows_per_second_1m: round(state.rowsSince(minute - 1) / (60 + (nowMs % 60_000) / 1000)),
      rows_per_second_1h: round(state.rowsSince(minute - 59) / (3540 + (nowMs % 60_000) / 1000)),
    },
    buffer: { rows: backlog.rows, bytes: backlog.bytes, oldest_age_seconds: secondsSince(backlog.oldest_ms, nowMs) },
    balance: balanceOf(engine),
    tables: Object.fromEntries(tablesOf(engine).map(({ name, prefix: _, ...facts }) => [name, facts])),
    streams: streamsOf(engine),
    last_flush: flush ?? { at: null, rows: null, bytes: null, key: null, duration_ms: null },
    upstream: { requests: row.requests, not_modified: row.not_modified, throttled: row.throttled, errors: row.errors },
    readings: readingsOf(engine),
    agenda: agendaStatus(engine),
    round: roundOf(engine),
    database: databaseOf(engine),
    inlets: inletsOf(engine),
    next_wake_at: isoTime(await ports.wake.get()),
    last_error: fault
      ? {
          kind: fault.kind,
          reason: fault.reason,
          hint: policyOf(fault.kind).hint,
          retry: isoTime(fault.retry_ms),
          at: isoTime(fault.at_ms),
        }
      : { kind: null, reason: null, hint: null, retry: null, at: null },
  };
}

/** The size of the object's database and, while it is full, what takes the room. */
function databaseOf({ room }: Engine): SourceStatus['database'] {
  const { bytes, limits, isFull } = room;
  return { bytes, bytes_max: limits.bytesMax, by_table: isFull ? room.byTable() : [] };
}

/** How far the round is, and what it has found; null for a source without one. */
export function roundOf({ journal: { round } }: Engine): SourceStatus['round'] {
  if (!round) return null;
  const row = round.current();
  return {
    started_at: isoTime(row?.started_ms ?? null),
    done: row?.checked ?? 0,
    total: round.countKeys(),
    after: row?.after ?? null,
    unchanged: row?.unchanged ?? 0,
    changed: row?.changed ?? 0,
    failed: row?.failed ?? 0,
  };
}

function readingsOf({ journal }: Engine): SourceStatus['readings'] {
  const readings: SourceStatus['readings'] = {};
  for (const { server, reading, answers } of journal.state.readings()) {
    readings[server] ??= { whole: 0, part: 0, absent: 0, refused: 0, unknown: 0 };
    readings[server][reading] = answers;
  }
  return readings;
}

/** Change numbers by present outcome; balanced when every one has exactly one. */
export function balanceOf({ journal }: Engine): SourceStatus['balance'] {
  const outcomes = new Map(journal.state.outcomes().map(({ outcome, changes }) => [outcome, changes]));
  const skipped = Object.fromEntries(
    SKIP_REASONS.map(reason => [reason, outcomes.get(`skipped:${reason}`) ?? 0]),
  ) as Record<SkipReason, number>;
  const changes = journal.state.source().change_number;
  const rows = outcomes.get('rows') ?? 0;
  const tombstones = outcomes.get('tombstones') ?? 0;
  const { parked, dead } = journal.parked.count();
  const sum = rows + tombstones + parked + dead + Object.values(skipped).reduce((total, count) => total + count, 0);
  return { changes, rows, tombstones, parked, dead, skipped, balanced: changes === sum };
}

/** Every table of the source with its live files in sum. */
export function tablesOf({ journal, source }: Engine): TableFacts[] {
  const facts = new Map(journal.state.tables().map(table => [table.name, table]));
  return source.tables.map(({ name, prefix }) => {
    const { rows, files, bytes, last_lsn, known_rows } = facts.get(name)!;
    return { name, prefix, rows, files, bytes, last_lsn, known_rows };
  });
}

/** The stream of each of the source's tables, and how far it has followed. */
export function streamsOf({ source, ports, options }: Engine): Record<string, StreamStatus | null> {
  const journal = new JournalStreams(ports.sql);
  const statusOf = (table: string, binding: string | undefined) =>
    binding === undefined
      ? null
      : { binding, last_lsn: journal.lastLsn(table, binding), waiting: journal.waitingRows(table, binding) };
  return Object.fromEntries(source.tables.map(({ name }) => [name, statusOf(name, options.streams[name])]));
}

/** Live data files of a table after an LSN, in order. */
export function liveFilesOf(
  { files }: Engine,
  { table, after, limit }: { table: string; after: number; limit: number },
): LiveFile[] {
  return files.files({ table, afterLsn: after, limit }).map(({ key, first_lsn, last_lsn, rows, bytes, etag }) => {
    const [, year, month] = /\/year=(\d{4})\/month=(\d{2})\//.exec(key)!;
    return { key, first_lsn, last_lsn, rows, bytes, etag, year: Number(year), month: Number(month) };
  });
}

/** The settled files of a table with rows after an LSN, for the inlets of other sources. */
export function settledFilesOf(
  { files, source }: Engine,
  { table, afterLsn, limit }: { table: string; afterLsn: number; limit: number },
): FeedingFiles {
  if (!source.tables.some(({ name }) => name === table))
    throw new Error(`${source.id}: expected one of its tables, got ${table}`);
  return {
    identity: files.identity(table),
    lastLsn: files.lastFile(table)?.last_lsn ?? 0,
    files: files
      .filesHolding({ table, afterLsn, limit })
      .map(({ key, etag, bytes, first_lsn, last_lsn }) => ({ key, etag, bytes, first_lsn, last_lsn })),
  };
}

/** Healthy: paused, or a run ended well within the last three intervals. An interval lasts at least as long as a slice may. */
export function healthOf(engine: Engine): SourceHealth {
  const state = stateOf(engine);
  const { started, last_success_ms: endedWellMs } = engine.journal.state.source();
  if (engine.options.enabled && started === 0) {
    return {
      id: engine.source.id,
      state,
      ok: false,
      reason: 'not started yet: the watchdog starts it within a minute',
    };
  }
  const windowMs = 3 * Math.max(engine.source.pollMs, LIMITS.sliceLoadMsMax);
  const isRecent = endedWellMs !== null && engine.ports.clock.now() - endedWellMs <= windowMs;
  if (state === 'paused' || isRecent) return { id: engine.source.id, state, ok: true, reason: null };
  const faults = engine.journal.state.faults();
  const fault = faults.find(isUnhealthy) ?? faults[0];
  const since =
    endedWellMs === null ? 'no run ended well yet' : `the last run that ended well ended at ${isoTime(endedWellMs)}`;
  return { id: engine.source.id, state, ok: false, reason: fault ? `${fault.reason} (${since})` : since };
}

function secondsSince(ms: number | null, nowMs: number): number | null {
  return ms === null ? null : Math.max(0, Math.round((nowMs - ms) / 100) / 10);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
