import { npmPackage } from '../../../schemas/npm_package.ts';
import { LIMITS } from '../../../src/config.ts';
import { dataFileKey, segmentKeys } from '../../../src/lake/object-keys.ts';
import { CatalogReader } from '../oracle/catalog-reader.ts';
import { expectCatalog } from '../world/catalog.ts';
import { pass, settle, startedWorld, type World } from '../world/world.ts';

const MINUTE = 60_000;
const ROWS = 40;
/** What the catalog asks of the bucket. */
export const CATALOG_CALL = /^bucket\.\w+ catalog\//;

/**
 * What happens at one of its calls: the instance dies before, or after, or the call lands when it is long dead, and when
 * another file was settled meanwhile; or the instance lives and hears no answer, or a late one.
 */
export const DEATHS = ['before', 'after', 'late', 'overtaken', 'answer lost', 'held'] as const;
export type Death = (typeof DEATHS)[number];

/**
 * Three files are settled around the end of a segment, and one more an hour later, while one call of the catalog's, the
 * `nth`, goes wrong. Throws what a reader in a loop found, or finds at the end. Returns whether there was such a call.
 */
export async function playCatalog(nth: number, death: Death): Promise<boolean> {
  // What holds of small segments holds of large ones, and takes no minute.
  Object.assign(LIMITS, { catalogSegmentFilesMax: 4 });
  const world = await startedWorld();
  fillFiles(world, LIMITS.catalogSegmentFilesMax - 2);
  const reader = new CatalogReader(world);
  const isHit = strike(world, nth, death);
  for (const key of ['a', 'b', 'c']) {
    world.upstream.publish(key);
    await whole(world);
  }
  // Nothing is looked for meanwhile: only time is to pass.
  world.pollEvery(LIMITS.catalogRetentionMs);
  await pass(world, LIMITS.catalogRetentionMs);
  world.pollEvery(MINUTE);
  world.upstream.publish('d');
  await whole(world);
  await pass(world, 5 * MINUTE);
  world.upstream.publish('e');
  await whole(world);
  reader.check();
  expectCatalog(world);
  expectKnown(world);
  return isHit();
}

/** Waits until all is followed, no longer than anything here takes. */
function whole(world: World): Promise<void> {
  return settle(world, { until: () => world.isFollowed, withinMs: 2 * LIMITS.catalogRetentionMs });
}

/** Every segment and index in the lake is written down, so that it is removed one day. */
function expectKnown({ storage, bucket }: World): void {
  const rows = storage.sql.exec<{ first_lsn: number; last_lsn: number; number: number }>('SELECT * FROM segments');
  const known = new Set(
    rows.flatMap(({ first_lsn: firstLsn, last_lsn: lastLsn, number }) =>
      Object.values(segmentKeys(npmPackage.name, { firstLsn, lastLsn, number })),
    ),
  );
  for (const kind of ['partitions', 'indexes'])
    for (const key of bucket.keys(`catalog/${kind}/${npmPackage.name}/`))
      if (!known.has(key)) throw new Error(`${key}: expected the journal to know of it, got nothing`);
}

function strike(world: World, nth: number, death: Death): () => boolean {
  let calls = 0;
  const isIt = (call: string) => CATALOG_CALL.test(call) && calls++ === nth;
  if (death === 'after' || death === 'answer lost')
    world.calls.after(call => {
      if (!isIt(call)) return;
      if (death === 'after') world.kill();
      else throw new Error('the answer was lost');
    });
  else
    world.calls.before(call => {
      if (!isIt(call)) return;
      if (death !== 'held') world.kill();
      if (death === 'before') throw new Error('the instance is dead');
      if (death === 'overtaken') overtake(world);
      return world.clock.sleep(3 * MINUTE);
    });
  return () => calls > nth;
}

/** Another file is settled before the successor can write any catalog. */
function overtake(world: World): void {
  world.upstream.publish('overtaking');
  const repair = world.calls.fail(CATALOG_CALL);
  void world.clock.sleep(5 * MINUTE).then(repair);
}

/** Settled files of the past, each of forty rows: in the journal, not in the lake. */
export function fillFiles(world: World, count: number, facts: (file: number) => string | null = () => null): void {
  const { sql } = world.storage;
  for (let file = 0; file < count; file++) {
    const [firstLsn, lastLsn] = [file * ROWS + 1, file * ROWS + ROWS];
    const key = dataFileKey(npmPackage, { stampMs: Date.UTC(2026, 9, 1), firstLsn, lastLsn });
    sql.exec(
      `INSERT INTO files (table_name, first_lsn, last_lsn, key, rows, bytes, etag, digest, cursor, run_type, changes,
         parked, started_ms, settled_ms, published, facts)
       VALUES (?, ?, ?, ?, ?, 30000, ?, ?, '0', 'follow', ?, 0, 1, 2, 1, ?)`,
      npmPackage.name,
      firstLsn,
      lastLsn,
      key,
      ROWS,
      `etag-${file}`,
      `digest-${file}`,
      ROWS,
      facts(file),
    );
  }
  const rows = count * ROWS;
  const totals = 'UPDATE tables SET rows = ?, files = ?, bytes = ?, last_lsn = ? WHERE name = ?';
  sql.exec(totals, rows, count, count * 30_000, rows, npmPackage.name);
  sql.exec('UPDATE source SET lake_checked = 1');
  // Who looked for them in the lake would find none.
  sql.exec('UPDATE self_check SET started_ms = ?1, ended_ms = ?1', world.clock.now());
  world.storage.flush();
}
