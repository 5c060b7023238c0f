import { MINUTE } from '../../limits.ts';
import type { SqlPort } from '../../ports/sql.ts';

/** With this stretch, a key that is due hourly is visited every 42 days. More keys need another pace, not another factor. */
const STRETCH_MAX = 1_000;

/**
 * The longest time that counts as taken by the visits that end it. A visit of many requests waits minutes for its permits
 * at a slow pace; a longer time was a pause, or an outage, which says nothing of the hosts' room.
 */
const TAKEN_MS_MAX = 5 * MINUTE;

/** Of how many visits the pace is an average: about one round of all keys, within these. */
const VISITS_MIN = 200;
const VISITS_MAX = 10_000;

interface Pace {
  wanting: number;
  wanted: number;
  visits: number;
  taken_ms: number;
  at_ms: number;
  new_visits: number;
  new_others: number;
}

/**
 * By which factor intervals between visits are stretched. Each key says after what wait it wants its next visit, and visits
 * take a time while some are due. The visits that all keys want in a time, times what one takes, is the factor at which
 * hosts have just room for all. Keys without a visit yet count like the others in the mean.
 */
export class AgendaPace {
  readonly #sql: SqlPort;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  /** 1 while hosts have room for all visits. */
  stretch(): number {
    return this.#sql.exec<{ stretch: number }>('SELECT stretch FROM agenda_pace')[0]!.stretch;
  }

  /** Counts an accepted visit. `isWhole`: it did not fail, and has no more to load. */
  count(isWhole: boolean): void {
    const [whole, other] = isWhole ? [1, 0] : [0, 1];
    this.#sql.exec('UPDATE agenda_pace SET new_visits = new_visits + ?, new_others = new_others + ?', whole, other);
  }

  /** Adjusts the stretch before visits are made, or none is due (`isIdle`). `keys`: how many there are. */
  adjust({ isIdle, keys, nowMs }: { isIdle: boolean; keys: number; nowMs: number }): void {
    // The sum is of visits in a trillion milliseconds, so that it is a whole number.
    const columns = 'wanting, wanted / 1e12 AS wanted, visits, taken_ms, at_ms, new_visits, new_others';
    const pace = this.#sql.exec<Pace & Record<string, number>>(`SELECT ${columns} FROM agenda_pace`)[0]!;
    const isNew = pace.new_visits + pace.new_others > 0;
    // Begin to measure when visits become due, and go on until some are accepted.
    const atMs = isIdle ? 0 : isNew || pace.at_ms === 0 ? nowMs : pace.at_ms;
    if (!isNew) {
      if (atMs !== pace.at_ms) this.#sql.exec('UPDATE agenda_pace SET at_ms = ?', atMs);
      return;
    }
    // Add the visits, with their share of the time that all took; the oldest lose weight.
    const tookMs = pace.at_ms === 0 ? 0 : Math.min(TAKEN_MS_MAX, Math.max(0, nowMs - pace.at_ms));
    const share = pace.new_visits / (pace.new_visits + pace.new_others);
    const most = Math.min(VISITS_MAX, Math.max(VISITS_MIN, keys));
    const weight = Math.min(1, most / (pace.visits + pace.new_visits));
    const takenMs = (pace.taken_ms + tookMs * share) * weight;
    const visits = (pace.visits + pace.new_visits) * weight;
    // Compare what all keys want with what there is time for.
    const wanted = pace.wanting === 0 ? 0 : pace.wanted * (keys / pace.wanting);
    const stretch = visits === 0 ? 1 : Math.min(STRETCH_MAX, Math.max(1, (wanted * takenMs) / visits));
    this.#sql.exec(
      `UPDATE agenda_pace SET stretch = ?, at_ms = ?, taken_ms = ?, visits = ?, new_visits = 0, new_others = 0`,
      stretch,
      atMs,
      takenMs,
      visits,
    );
  }
}
