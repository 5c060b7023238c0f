import assert from 'node:assert/strict';
import { dismissFailed, failedOf, replayFailed } from '../../../src/engine/controls/failed.ts';
import { pick, type Random } from '../world/faults.ts';
import type { World } from '../world/world.ts';
import type { ClientAction } from './clients.ts';

const DEAD = { state: 'dead', reason: null, olderThanSeconds: null } as const;

interface PublishedLetter {
  version: number;
  note: string | null;
  status: string;
  attempts: number;
  failedAt: string;
}

/** Replays and dismisses dead changes, and checks their letters in the database. */
export class LetterClient {
  /** Changes that were dismissed, as `<key>@<cursor>`: they need no row. */
  readonly dismissed = new Set<string>();
  readonly #world: World;
  /** The letters last read from the database, by change number. */
  readonly #published = new Map<number, PublishedLetter>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Replays dead changes or dismisses one; null when there are none. */
  draw(random: Random): ClientAction | null {
    const letters = failedOf(this.#world.engine, { ...DEAD, after: 0, limit: 100 });
    if (letters.length === 0) return null;
    const letter = pick(random, letters);
    const numbers = [letter.change_number];
    const chance = random();
    if (chance < 0.1) return { kind: 'dismissed', run: () => this.#dismiss(letter) };
    if (chance < 0.4) return { kind: 'replayed one', run: () => this.replay({ numbers }) };
    if (chance < 0.6) return { kind: 'replayed by reason', run: () => this.replay({ reason: letter.reason }) };
    if (chance < 0.8) return { kind: 'replayed all', run: () => this.replay({}) };
    return { kind: 'replayed twice', run: () => Promise.allSettled([this.replay({}), this.replay({ numbers })]) };
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

  /** Without its storage the object may give the same change numbers again. */
  onStorageLost(): void {
    this.#published.clear();
  }

  /** What is wrong in the database, else null: a letter's version only grows, and one that ended stays so. */
  databaseProblem(): string | null {
    for (const { number, ...letter } of lettersIn(this.#world)) {
      const { version, status, attempts, failedAt } = letter;
      const before = this.#published.get(number);
      this.#published.set(number, letter);
      if (before === undefined) continue;
      if (failedAt !== before.failedAt && attempts <= before.attempts)
        return `letter ${number}: expected more than ${before.attempts} attempts when it died again, got ${attempts}`;
      if (version < before.version)
        return `letter ${number}: expected at least version ${before.version}, got ${version}`;
      if (before.status !== 'failed' && status !== before.status)
        return `letter ${number}: expected it to stay ${before.status}, got ${status}`;
    }
    return null;
  }
}

/** The database has each letter once, as the object has it, and the failed letters are the dead changes. */
export function expectLetters(world: World): void {
  const { parked } = world.engine.journal;
  const published = new Map(lettersIn(world).map(letter => [letter.number, letter]));
  assert.equal(published.size, lettersIn(world).length, 'failed_messages: expected each letter once');
  const any = { reason: null, status: null, olderMs: null };
  for (const { change_number: number, status, version } of parked.letters.list(any, { after: 0, limit: 1_000 })) {
    const letter = published.get(number);
    const expected = `letter ${number}: expected it as the object has it`;
    assert.deepEqual({ version: letter?.version, status: letter?.status }, { version, status }, expected);
  }
  // The balance counts a failed change of a key that is no longer watched as `unwatched`.
  const isWatched = ({ note }: PublishedLetter) => note !== 'its key is no longer watched';
  const count = (wanted: string) =>
    [...published.values()].filter(one => one.status === wanted && isWatched(one)).length;
  const { dead, skipped } = world.balance;
  assert.equal(count('failed'), dead, 'failed_messages: expected as many failed letters as dead changes');
  assert.equal(count('dismissed'), skipped.dismissed, 'failed_messages: expected as many dismissed as are counted');
}

function lettersIn({ database, engine }: World): (PublishedLetter & { number: number })[] {
  const rows = database.rows(
    `SELECT json_extract(message_body, '$.change_number') AS number, json_extract(message_body, '$.version') AS version,
       json_extract(message_body, '$.note') AS note, status, retry_count, failed_at FROM failed_messages
     WHERE json_extract(message_body, '$.source') = ?`,
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
