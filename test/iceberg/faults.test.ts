import { expect, it } from 'vitest';
import { emailPattern as table } from '../../schemas/email_pattern.ts';
import type { CopiedFile } from '../../src/iceberg/append/data-file.ts';
import { CatalogError } from '../../src/iceberg/errors.ts';
import { committedLsn } from '../../src/iceberg/format/table-metadata.ts';
import { openTable } from '../../src/iceberg/rest/open-table.ts';
import { numberOf, seedOf } from '../budget.ts';
import { randomFrom, readBack, rowsOf } from '../parquet/rows.ts';
import { type CatalogFault, catalogFault, type Operation } from './catalog-faults.ts';
import { ForeignWriter } from './foreign-writer.ts';
import { CatalogWorld } from './world.ts';

const SEEDS = numberOf('CATALOG_SEEDS', 8);
const FIRST_SEED = seedOf('CATALOG_SEED');
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

/** Draws what goes wrong with requests, and what other programs do. */
class Disturbance {
  readonly #world: CatalogWorld;
  readonly #random: () => number;
  readonly #foreignWriter: ForeignWriter;
  #highestLsn = 0;

  constructor(world: CatalogWorld, random: () => number) {
    this.#world = world;
    this.#random = random;
    this.#foreignWriter = new ForeignWriter(world.catalog);
  }

  #pick<T>(choices: T[]): T {
    return choices[Math.floor(this.#random() * choices.length)]!;
  }

  /** Makes a later request fail. */
  addFault(): void {
    if (this.#random() < 0.5) return;
    const on = this.#pick(OPERATIONS);
    const effect = this.#pick<CatalogFault['effect']>(['now', 'never', 'late']);
    const faults = [
      catalogFault.lostRequest(on),
      catalogFault.lostAnswer(on),
      catalogFault.late(on),
      catalogFault.late('commit'),
      catalogFault.throttled(on),
      catalogFault.concurrentUpdate(effect),
      catalogFault.serverError(on, { status: this.#pick([500, 502, 503, 504]), effect }),
      catalogFault.html(on, { status: this.#pick([200, 302, 502]), effect }),
      catalogFault.plainText(on, { status: this.#pick([401, 403]) }),
    ];
    this.#world.catalog.faults.push(this.#pick(faults));
  }

  /** Checks that the committed LSN never decreases, so that a reader never loses a row. */
  check(): void {
    const { properties } = this.#world.catalog.metadata(table.name);
    const lsn = Number(properties['tributary.committed_lsn']);
    expect(lsn).toBeGreaterThanOrEqual(this.#highestLsn);
    this.#highestLsn = lsn;
  }

  async disturb(): Promise<void> {
    this.check();
    const chance = this.#random();
    if (chance < 0.2) this.#world.catalog.deliverLate();
    else if (chance < 0.3) await this.#foreignWriter.compact(table);
    else if (chance < 0.4) this.#foreignWriter.expire(table.name);
    this.check();
  }
}

/** A minimal committer: loads the table, commits the next files, and after any failure loads the table again. */
async function commitAll(world: CatalogWorld, files: () => CopiedFile[], disturbance: Disturbance): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    disturbance.addFault();
    try {
      const metadata = await openTable(world.client, table);
      const rest = files().filter(({ facts }) => facts.firstLsn > committedLsn(metadata));
      if (rest.length === 0) return;
      await disturbance.disturb();
      const append = await world.plan(table, rest.slice(0, 1 + (attempt % 3)), metadata);
      await disturbance.disturb();
      await world.client.commit(table.name, append.commit);
      await disturbance.disturb();
    } catch (error) {
      if (!(error instanceof CatalogError)) throw error;
      expect(error.kind).not.toBe('files-broken');
      world.catalog.nowMs += error.retryAfterMs ?? 0;
    }
  }
  expect.fail('expected all files to be committed in 500 attempts');
}

it('every row is in the table once, whatever fails and whatever other programs commit', async () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    try {
      const random = randomFrom(seed);
      const world = new CatalogWorld();
      world.catalog.commitsPerMinuteMax = 5;
      world.catalog.checksSequence = random() < 0.5;
      const disturbance = new Disturbance(world, random);
      const rows = rowsOf(table, FILES * 2, { seed });
      let copies: CopiedFile[] | null = null;
      // Copy the files at the first use, because the table must exist before.
      const files = () => {
        copies ??= Array.from({ length: FILES }, (_, i) => {
          return world.copyFile(table, rows.slice(2 * i, 2 * i + 2), { firstLsn: 2 * i + 1 });
        });
        return copies;
      };
      await commitAll(world, files, disturbance);
      // Requests that are still late must change nothing.
      world.catalog.deliverLate();
      disturbance.check();
      expect(await world.rows(table)).toEqual(readBack(table, rows));
      expect(world.catalog.metadata(table.name).properties['tributary.committed_lsn']).toBe(String(FILES * 2));
    } catch (error) {
      throw new Error(`CATALOG_SEED=${seed} CATALOG_SEEDS=1`, { cause: error });
    }
  }
});
