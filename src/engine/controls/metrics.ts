import type { SourceMetrics } from '../../contract/source.ts';
import type { Engine } from '../engine.ts';
import { TAIL } from '../journal/changes.ts';
import { FLUSH_SECONDS, histogramOf, LOAD_SECONDS, type Statuses } from '../journal/counts.ts';
import { inletsOf } from './inlets.ts';
import { balanceOf, roundOf, stateOf, streamsOf } from './status.ts';
import { agendaCount } from './watched-keys.ts';

/** What a source counts and measures, all of it from its SQLite, so that nothing is lost with the memory. */
export async function metricsOf(engine: Engine): Promise<SourceMetrics> {
  const { journal, files, ports, source } = engine;
  // Await the alarm first, so that everything after it is read at one moment.
  const wakeMs = await ports.wake.get();
  const row = journal.state.source();
  const lane = journal.state.lane(TAIL);
  const backlog = files.backlog();
  const nowMs = ports.clock.now();
  const { changes, rows, tombstones, parked, dead, skipped } = balanceOf(engine);
  const skips = Object.entries(skipped).map(([reason, count]) => [`skipped:${reason}`, count]);
  return {
    source: source.id,
    state: stateOf(engine),
    changes_accepted: changes,
    changes: { rows, tombstones, parked, dead, ...Object.fromEntries(skips) },
    tables: journal.state.tables().map(({ name, last_lsn, known_rows, rows, files, bytes }) => ({
      name,
      rows_accepted: last_lsn,
      rows_known: known_rows,
      rows_durable: rows,
      files,
      bytes,
    })),
    streams: Object.entries(streamsOf(engine)).flatMap(([table, stream]) => (stream ? [{ table, ...stream }] : [])),
    requests: requestsOf(JSON.parse(row.statuses) as Statuses),
    readings: journal.state.readings(),
    retries: row.attempts,
    lag: {
      changes: lane.lag_changes,
      seconds: lane.reached_head_ms === null ? null : secondsBetween(lane.reached_head_ms, nowMs),
    },
    database_bytes: engine.room.bytes,
    agenda: dueOf(engine),
    round: checksOf(engine),
    inlets: inletsOf(engine).map(({ table, lsn, behind, findings, evidence, passed_over }) => ({
      table,
      lsn,
      behind,
      findings,
      evidence,
      passed_over,
    })),
    buffer: {
      rows: backlog.rows,
      bytes: backlog.bytes,
      oldest_age_seconds: secondsBetween(backlog.oldest_ms ?? nowMs, nowMs),
    },
    flush_seconds: histogramOf(row.flush_times, FLUSH_SECONDS),
    load_seconds: histogramOf(row.load_times, LOAD_SECONDS),
    last_success_at: row.last_success_ms === null ? null : row.last_success_ms / 1_000,
    next_wake_at: wakeMs === null ? null : wakeMs / 1_000,
  };
}

function dueOf(engine: Engine): SourceMetrics['agenda'] {
  const count = agendaCount(engine);
  const { agenda } = engine.journal;
  return (
    count && agenda && { keys: count.keys, due: count.due, overdue: count.overdue, stretch: agenda.pace.stretch() }
  );
}

function checksOf(engine: Engine): SourceMetrics['round'] {
  const round = roundOf(engine);
  return round && { unchanged: round.unchanged, changed: round.changed, failed: round.failed };
}

function requestsOf(statuses: Statuses): SourceMetrics['requests'] {
  return Object.entries(statuses).flatMap(([host, answers]) =>
    Object.entries(answers).map(([status, requests]) => ({ host, status, requests })),
  );
}

/** Never below nothing, whatever the clock did in between. */
function secondsBetween(fromMs: number, toMs: number): number {
  return Math.max(0, toMs - fromMs) / 1_000;
}
