import { expect, it } from 'vitest';
import { emailPattern as table } from '../../schemas/email_pattern.ts';
import type { PlacedFile } from '../../src/iceberg/append/data-file.ts';
import { CatalogError } from '../../src/iceberg/errors.ts';
import { committedLsn } from '../../src/iceberg/format/table-metadata.ts';
import { openTable } from '../../src/iceberg/rest/open-table.ts';
import { randomFrom, readBack, rowsOf } from '../parquet/rows.ts';
import { Foreigner } from './foreign.ts';
import { type Lie, lie, type Operation } from './lies.ts';
import { CatalogWorld } from './world.ts';

const SEEDS = Number(process.env.CATALOG_SEEDS ?? 25);
const FIRST_SEED = Number(process.env.CATALOG_SEED ?? 1);
const FILES = 12;
const OPERATIONS: Operation[] = [
  'config',
  'load',
  'namespace',
  'create-namespace',
  'create',
  'commit',
  'commit',
  'commit',
];

/** What goes wrong, and what others do, by dice. */
class Trouble {
  readonly #world: CatalogWorld;
  readonly #random: () => number;
  readonly #foreigner: Foreigner;
  #highestLsn = 0;

  constructor(world: CatalogWorld, random: () => number) {
    this.#world = world;
    this.#random = random;
    this.#foreigner = new Foreigner(world.catalog);
  }

  #pick<T>(choices: T[]): T {
    return choices[Math.floor(this.#random() * choices.length)]!;
  }

  lie(): void {
    if (this.#random() < 0.5) return;
    const on = this.#pick(OPERATIONS);
    const happens = this.#pick<Lie['happens']>(['now', 'never', 'late']);
    const lies = [
      lie.lostRequest(on),
      lie.lostAnswer(on),
      lie.late(on),
      lie.late('commit'),
      lie.throttled(on),
      lie.concurrentUpdate(happens),
      lie.serverError(on, { status: this.#pick([500, 502, 503, 504]), happens }),
      lie.html(on, { status: this.#pick([200, 302, 502]), happens }),
      lie.plainText(on, { status: this.#pick([401, 403]) }),
    ];
    this.#world.catalog.lies.push(this.#pick(lies));
  }

  /** What is committed stays committed: a reader who has seen a row sees it from then on. */
  look(): void {
    const { properties } = this.#world.catalog.metadata(table.name);
    const lsn = Number(properties['tributary.committed_lsn']);
    expect(lsn).toBeGreaterThanOrEqual(this.#highestLsn);
    this.#highestLsn = lsn;
  }

  async meddle(): Promise<void> {
    this.look();
    const dice = this.#random();
    if (dice < 0.2) this.#world.catalog.arrive();
    else if (dice < 0.3) await this.#foreigner.compact(table);
    else if (dice < 0.4) this.#foreigner.expire(table.name);
    this.look();
  }
}

/** The least a committer does: it looks what is committed, plans the next, and after any failure looks again. */
async function commitAll(world: CatalogWorld, files: () => Promise<PlacedFile[]>, trouble: Trouble): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    trouble.lie();
    try {
      const metadata = await openTable(world.client, table);
      const rest = (await files()).filter(({ facts }) => facts.firstLsn > committedLsn(metadata));
      if (rest.length === 0) return;
      await trouble.meddle();
      const append = await world.planned(table, rest.slice(0, 1 + (attempt % 3)), metadata);
      await trouble.meddle();
      await world.client.commit(table.name, append.commit);
      await trouble.meddle();
    } catch (error) {
      if (!(error instanceof CatalogError)) throw error;
      expect(error.kind).not.toBe('files-broken');
      world.catalog.nowMs += error.retryAfterMs ?? 0;
    }
  }
  expect.fail('expected all files to be committed in 500 attempts');
}

it('whatever the catalog does, every row is in its table once, and the property says so', async () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    try {
      const random = randomFrom(seed);
      const world = new CatalogWorld();
      world.catalog.commitsPerMinuteMax = 5;
      world.catalog.checksSequence = random() < 0.5;
      const trouble = new Trouble(world, random);
      const rows = rowsOf(table, FILES * 2, { seed });
      let placed: PlacedFile[] | null = null;
      const files = async () => {
        placed ??= Array.from({ length: FILES }, (_, i) => {
          return world.place(table, rows.slice(2 * i, 2 * i + 2), { firstLsn: 2 * i + 1 });
        });
        return placed;
      };
      await commitAll(world, files, trouble);
      // What was sent long ago arrives when all is done.
      world.catalog.arrive();
      trouble.look();
      expect(await world.rows(table)).toEqual(readBack(table, rows));
      expect(world.catalog.metadata(table.name).properties['tributary.committed_lsn']).toBe(String(FILES * 2));
    } catch (error) {
      throw new Error(`CATALOG_SEED=${seed} CATALOG_SEEDS=1`, { cause: error });
    }
  }
});
