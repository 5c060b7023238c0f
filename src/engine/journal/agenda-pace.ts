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
  stretch: number;
  at_ms: number;
  taken_ms: number;
  waits_ms: number;
  visits: number;
  new_visits: number;
  new_waits_ms: number;
  new_others: number;
}

/**
 * By which factor intervals between visits are stretched. Each visit says after what wait its key wants the next one, and
 * took a time while visits were due. All keys together want one visit each in the mean wait, and a visit of each takes
 * keys times the time of one: the quotient is the factor at which hosts have just room for all. The mean is over visits,
 * and keys that want more visits have more of them, so it is the harmonic mean over keys, as it must be.
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

  /**
   * Counts an accepted visit. `waitMs`: when its key wants the next one, without any stretch; null for a visit that says
   * nothing of that, because it failed or has more to load.
   */
  count(waitMs: number | null): void {
    this.#sql.exec(
      `UPDATE agenda_pace SET new_visits = new_visits + ?1, new_waits_ms = new_waits_ms + ?2, new_others = new_others + 1 - ?1`,
      waitMs === null ? 0 : 1,
      waitMs ?? 0,
    );
  }

  /** Adjusts the stretch before visits are made, or none is due (`isIdle`). `keys`: how many there are. */
  adjust({ isIdle, keys, nowMs }: { isIdle: boolean; keys: number; nowMs: number }): void {
    const pace = this.#sql.exec<Pace & Record<string, number>>('SELECT * FROM agenda_pace')[0]!;
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
    const waitsMs = (pace.waits_ms + pace.new_waits_ms) * weight;
    const visits = (pace.visits + pace.new_visits) * weight;
    const stretch = waitsMs === 0 ? 1 : Math.min(STRETCH_MAX, Math.max(1, (keys * takenMs) / waitsMs));
    this.#sql.exec(
      `UPDATE agenda_pace SET stretch = ?, at_ms = ?, taken_ms = ?, waits_ms = ?, visits = ?, new_visits = 0,
         new_waits_ms = 0, new_others = 0`,
      stretch,
      atMs,
      takenMs,
      waitsMs,
      visits,
    );
  }
}
