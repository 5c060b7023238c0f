import assert from 'node:assert/strict';
import { dismissFailed, failedOf, replayFailed } from '../../../src/engine/controls/failed.ts';
import { pick, type Random } from '../world/faults.ts';
import type { World } from '../world/world.ts';
import type { Act } from './people.ts';

const DEAD = { state: 'dead', reason: null, olderThanSeconds: null } as const;

interface Told {
  version: number;
  note: string | null;
  status: string;
  attempts: number;
  failedAt: string;
}

/** What somebody does about dead changes, and what must hold of their letters. */
export class DeadLetterDesk {
  /** Key and place of what was dismissed: nothing of it is owed any more. */
  readonly dismissed = new Set<string>();
  readonly #world: World;
  /** Letters as the database had them last, by change number. */
  readonly #told = new Map<number, Told>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Replays what is dead, or dismisses one of them; null where nothing is. */
  drawn(random: Random): Act | null {
    const letters = failedOf(this.#world.engine, { ...DEAD, after: 0, limit: 100 });
    if (letters.length === 0) return null;
    const letter = pick(random, letters);
    const numbers = [letter.change_number];
    const chance = random();
    if (chance < 0.1) return { kind: 'dismissed', act: () => this.#dismiss(letter) };
    if (chance < 0.4) return { kind: 'replayed one', act: () => this.replay({ numbers }) };
    if (chance < 0.6) return { kind: 'replayed by reason', act: () => this.replay({ reason: letter.reason }) };
    if (chance < 0.8) return { kind: 'replayed all', act: () => this.replay({}) };
    return { kind: 'replayed twice', act: () => Promise.allSettled([this.replay({}), this.replay({ numbers })]) };
  }

  replay({ numbers = null, reason = null }: { numbers?: number[] | null; reason?: string | null }): Promise<unknown> {
    const request = { numbers, query: { ...DEAD, reason }, dryRun: false };
    return this.#world.ask('object.replay', engine => replayFailed(engine, request));
  }

  async #dismiss({ change_number, key, cursor }: { change_number: number; key: string; cursor: string }) {
    await this.#world.ask('object.dismiss', engine => {
      const isDismissed = dismissFailed(engine, change_number, 'not wanted');
      if (isDismissed) this.dismissed.add(`${key}@${cursor}`);
      return engine.poke();
    });
  }

  /** The object lost what it knew of its letters: change numbers may be given anew. */
  forget(): void {
    this.#told.clear();
  }

  /** What the database was told of a letter only becomes newer, and an ended one does not come back. */
  wrongInDatabase(): string | null {
    for (const { number, ...told } of lettersIn(this.#world)) {
      const { version, status, attempts, failedAt } = told;
      const before = this.#told.get(number);
      this.#told.set(number, told);
      if (before === undefined) continue;
      if (failedAt !== before.failedAt && attempts <= before.attempts)
        return `letter ${number}: expected more than ${before.attempts} looks when it died again, got ${attempts}`;
      if (version < before.version)
        return `letter ${number}: expected at least version ${before.version}, got ${version}`;
      if (before.status !== 'failed' && status !== before.status)
        return `letter ${number}: expected it to stay ${before.status}, got ${status}`;
    }
    return null;
  }
}

/** Each letter is in the database once and as the object has it; the failed ones are the dead changes. */
export function expectLetters(world: World): void {
  const { parked } = world.engine.journal;
  const told = new Map(lettersIn(world).map(letter => [letter.number, letter]));
  assert.equal(told.size, lettersIn(world).length, 'failed_messages: expected each letter once');
  const any = { reason: null, status: null, olderMs: null };
  for (const { change_number: number, status, version } of parked.letters.list(any, { after: 0, limit: 1_000 })) {
    const { version: toldVersion, status: toldStatus } = told.get(number) ?? {};
    const expected = `letter ${number}: expected it as the object has it`;
    assert.deepEqual({ version: toldVersion, status: toldStatus }, { version, status }, expected);
  }
  // What failed of a key that is no longer watched is counted as that.
  const isWatched = ({ note }: Told) => note !== 'its key is no longer watched';
  const count = (wanted: string) => [...told.values()].filter(one => one.status === wanted && isWatched(one)).length;
  const { dead, skipped } = world.balance;
  assert.equal(count('failed'), dead, 'failed_messages: expected as many failed letters as dead changes');
  assert.equal(count('dismissed'), skipped.dismissed, 'failed_messages: expected as many dismissed as are counted');
}

function lettersIn({ database, engine }: World): (Told & { number: number })[] {
  const rows = database.rows(
    `SELECT json_extract(message_body, '$.change_number') AS number, json_extract(message_body, '$.version') AS version,
       json_extract(message_body, '$.note') AS note, status, retry_count, failed_at FROM failed_messages WHERE json_extract(message_body, '$.source') = ?`,
    engine.source.id,
  );
  return rows.map(({ number, version, note, status, retry_count, failed_at }) => ({
    number: Number(number),
    version: Number(version),
    status: String(status),
    note: note as string | null,
    attempts: Number(retry_count),
    failedAt: String(failed_at),
  }));
}
