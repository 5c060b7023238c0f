import type { RangeAction, RangeAnswer, RangeRefusal, RangeRequest, RangeStatus } from '../../contract/ranges.ts';
import { CursorError } from '../../errors.ts';
import { isoTime } from '../../time.ts';
import type { Engine } from '../engine.ts';
import { TAIL } from '../journal/changes.ts';
import type { Range, RangeLane } from '../journal/ranges.ts';

/** The share of its slowest host's pace that a range uses by default; the tail keeps the rest. */
const RATE_SHARE = 0.5;

/** Starts a range, unless the same one exists. Another range that is under way is not replaced. */
export async function startRange(engine: Engine, lane: RangeLane, request: RangeRequest): Promise<RangeAnswer> {
  if (engine.source.agenda) {
    const message = `${lane}: expected a source with a feed, got ${engine.source.id}`;
    return { code: 'conflict', message, hint: 'A source without a feed visits its keys again by itself.' };
  }
  const checked = boundsOf(engine, lane, request);
  if ('message' in checked) return checked;
  const { from, to } = checked;
  const { journal, ports, source } = engine;
  const before = journal.ranges.find(lane);
  const isSame = before?.from_cursor === from && before.to_cursor === to && before.phase !== 'cancelled';
  if (isSame) return { changed: false, range: statusOf(engine, before) };
  if (before && isUnderWay(before)) {
    const message = `${lane}: expected none under way, got one from ${before.from_cursor} to ${before.to_cursor}`;
    return {
      code: 'conflict',
      message,
      hint: `Wait for its end, or cancel it: POST /v1/sources/${source.id}/${lane}/cancel.`,
    };
  }
  const paces = Object.values(source.hosts).map(({ requestsPerSecond }) => requestsPerSecond);
  const rate = request.rate ?? RATE_SHARE * Math.min(...paces);
  journal.startRange({ lane, from_cursor: from, to_cursor: to, rate, cursor: from, started_ms: ports.clock.now() });
  // Read the range before the next await, because the alarm may change it.
  const answer = { changed: true, range: statusOf(engine, journal.ranges.find(lane)!) };
  await engine.poke();
  return answer;
}

/** Pauses, resumes or cancels a range; `changed` is false when it was in that state already. */
export async function controlRange(engine: Engine, lane: RangeLane, action: RangeAction): Promise<RangeAnswer> {
  const { journal, ports, source } = engine;
  const range = journal.ranges.find(lane);
  if (!range) {
    const hint = `Start one: POST /v1/sources/${source.id}/${lane}.`;
    return { code: 'not_found', message: `${lane}: expected one, got none`, hint };
  }
  const wanted = { pause: { paused: 1 }, resume: { paused: 0 }, cancel: { phase: 'cancelled' as const } }[action];
  const changed =
    isUnderWay(range) && Object.entries(wanted).some(([name, value]) => range[name as 'paused'] !== value);
  if (changed) {
    const nowMs = ports.clock.now();
    // Measure the pace anew after a pause; a cancelled range has ended.
    const times = action === 'cancel' ? { ended_ms: nowMs } : { paced_ms: nowMs, paced_done: range.done, next_ms: 0 };
    journal.ranges.update(lane, { ...wanted, ...times });
  }
  const answer = { changed, range: statusOf(engine, journal.ranges.find(lane)!) };
  if (changed) await engine.poke();
  return answer;
}

/** The last range of a lane; null where there was none. */
export function rangeOf(engine: Engine, lane: RangeLane): RangeStatus | null {
  const range = engine.journal.ranges.find(lane);
  return range && statusOf(engine, range);
}

function boundsOf(engine: Engine, lane: RangeLane, request: RangeRequest): { from: string; to: string } | RangeRefusal {
  const { source, journal } = engine;
  const tail = journal.state.lane(TAIL);
  const invalid = (message: string, hint: string): RangeRefusal => ({ code: 'invalid_body', message, hint });
  const conflict = (message: string, hint: string): RangeRefusal => ({ code: 'conflict', message, hint });
  if (tail.cursor === null) return conflict(`${lane}: expected a source that has begun`, `Start ${source.id} first.`);
  // A rewind ends at the tail's cursor, a backfill at the latest where the tail began.
  const limit = lane === 'rewind' ? tail.cursor : tail.first_cursor!;
  try {
    const from = source.parse(lane === 'rewind' ? request.to! : request.from!);
    const to = lane === 'rewind' ? tail.cursor : source.parse(request.to!);
    if (source.compare(from, to) >= 0)
      return invalid(`${lane}: expected a range that runs forwards, got ${from} to ${to}`, 'Give an earlier cursor.');
    if (source.compare(to, limit) > 0)
      return invalid(
        `${lane}: expected an end of at most ${limit}, got ${to}`,
        'The tail follows what comes after it.',
      );
    return { from, to };
  } catch (error) {
    if (!(error instanceof CursorError)) throw error;
    return invalid(error.message, 'Give a cursor as the status of the source shows it.');
  }
}

function isUnderWay({ phase }: Range): boolean {
  return phase === 'counting' || phase === 'loading';
}

function statusOf({ ports, source }: Engine, range: Range): RangeStatus {
  const { lane, run, from_cursor: from, to_cursor: to, phase, cursor, counted, done, rate } = range;
  const isCounted = phase === 'loading' || phase === 'done';
  return {
    source: source.id,
    lane,
    run,
    from,
    to,
    cursor,
    rate,
    done,
    state: range.paused === 1 && isUnderWay(range) ? 'paused' : phase,
    changes: isCounted ? counted : null,
    changes_counted: counted,
    seconds_left: isCounted ? Math.round(secondsLeft(range, ports.clock.now())) : null,
    started_at: isoTime(range.started_ms),
    ended_at: isoTime(range.ended_ms),
  };
}

/** The wait for the next slice, plus the rest at the pace measured since the range was last resumed, or at its set rate. */
function secondsLeft({ rate, counted, done, paced_done, paced_ms, next_ms }: Range, nowMs: number): number {
  if (done >= counted) return 0;
  const nextMs = Math.max(nowMs, next_ms);
  const pacedMs = nextMs - paced_ms;
  const pace = done > paced_done && pacedMs > 0 ? (1000 * (done - paced_done)) / pacedMs : rate;
  return (nextMs - nowMs) / 1000 + (counted - done) / pace;
}
