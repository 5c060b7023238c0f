import { npmPackage } from '../../../schemas/npm_package.ts';
import { LIMITS } from '../../../src/config.ts';
import { CATALOG_RETENTION_MS } from '../../../src/engine/publish/catalog.ts';
import { dataFileKey, segmentKeys } from '../../../src/lake/object-keys.ts';
import { CatalogReader } from '../oracle/catalog-reader.ts';
import { expectCatalog } from '../world/catalog.ts';
import { pass, runUntil, startedWorld, type World } from '../world/world.ts';
import { faultNthCall } from './nth-call.ts';

const MINUTE = 60_000;
const ROWS = 40;
/** The bucket calls of the catalog. */
export const CATALOG_CALL = /^bucket\.\w+ catalog\//;

/** `overtaken`: as `late`, and another file is settled before the call lands. */
export const CALL_FAULTS = ['before', 'after', 'late', 'overtaken', 'answer lost', 'held'] as const;
type CatalogCallFault = (typeof CALL_FAULTS)[number];

/**
 * Settles three files around the end of a segment, and two more an hour later, with a fault at the nth call of the
 * catalog. Throws what a catalog reader found. Returns whether there was such a call.
 */
export async function playCatalog(nth: number, fault: CatalogCallFault): Promise<boolean> {
  // Segments of four files show the same as full ones, in less time.
  Object.assign(LIMITS, { catalogSegmentFilesMax: 4 });
  const world = await startedWorld();
  fillFiles(world, LIMITS.catalogSegmentFilesMax - 2);
  const reader = new CatalogReader(world);
  const wasMade = faultNthCall(world, {
    pattern: CATALOG_CALL,
    nth,
    fault: fault === 'overtaken' ? 'late' : fault,
    ...(fault === 'overtaken' && { onKilled: () => overtake(world) }),
  });
  for (const key of ['a', 'b', 'c']) {
    world.upstream.publish(key);
    await catalogued(world);
  }
  // Pulls in this time would find nothing.
  world.pollEvery(CATALOG_RETENTION_MS);
  await pass(world, CATALOG_RETENTION_MS);
  world.pollEvery(MINUTE);
  world.upstream.publish('d');
  await catalogued(world);
  await pass(world, 5 * MINUTE);
  world.upstream.publish('e');
  await catalogued(world);
  reader.check();
  expectCatalog(world);
  expectKnown(world);
  return wasMade();
}

function catalogued(world: World): Promise<void> {
  return runUntil(world, { until: () => world.isFollowed, withinMs: 2 * CATALOG_RETENTION_MS });
}

/** The journal knows every segment and index in the lake, so that it can remove them. */
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

/** Settles another file before the next instance can write the catalog. */
function overtake(world: World): void {
  world.upstream.publish('overtaking');
  const repair = world.calls.fail(CATALOG_CALL);
  void world.clock.sleep(5 * MINUTE).then(repair);
}

/** Adds settled files of forty rows each to the journal, without objects in the lake. */
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
  // A self-check would find their objects missing, so it counts as done.
  sql.exec('UPDATE self_check SET started_ms = ?1, ended_ms = ?1', world.clock.now());
  world.storage.flush();
}
