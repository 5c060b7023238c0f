import assert from 'node:assert/strict';
import type { SweepStatus } from '../../../src/contract/audit.ts';
import { isSampled } from '../../../src/engine/journal/sampling.ts';
import type { AuditClient } from '../clients/audit-client.ts';
import type { Schedule } from '../schedules/schedule.ts';
import { nextRun, runUntil, type World } from '../world/world.ts';
import { lakeRows } from './proof.ts';

/** A sweep that is killed after each of its runs must end within this many: each run lists some pages. */
const KILLS_MAX = 200;
/** A capture rate has eight decimal digits. */
const RATE_SCALE = 1e8;

interface SweepRow {
  id: number;
  phase: string;
  ordered: number;
  listed: number;
}

/** The object's row of its newest sweep. */
export function sweepRow({ storage }: World): SweepRow | null {
  return storage.sql.exec<SweepRow & Record<string, never>>('SELECT * FROM sweeps ORDER BY id DESC LIMIT 1')[0] ?? null;
}

/** What is impossible in the status of sweeps and self-checks; null when nothing is. */
export function auditProblem(world: World, audits: AuditClient): string | null {
  if (!audits.isEnabled || audits.hasLostStorage) return null;
  const { last, running, self_check: check } = world.engine.audit.status();
  const undamaged = check?.problems.find(({ key }) => !audits.damage.everDamaged.has(key));
  if (undamaged) return `${undamaged.key}: expected no problem, got ${undamaged.subject} ${undamaged.actual}`;
  const sweep = running ?? last;
  return sweep && (keyProblem(sweep, audits) ?? countProblem(world, sweep, audits) ?? changeProblem(world, audits));
}

function keyProblem({ missing_keys, extra_keys, sample }: SweepStatus, audits: AuditClient): string | null {
  const unsampled = [...missing_keys, ...extra_keys].find(key => !isSampled(key, sample));
  if (unsampled) return `sweep: expected keys of its sample, got ${unsampled}`;
  const missing = missing_keys.find(key => !audits.mayBeMissing(key));
  if (missing) return `sweep: expected ${missing} not to be missing, because the feed has shown it`;
  const extra = extra_keys.find(key => !audits.mayBeExtra(key));
  return extra
    ? `sweep: expected ${extra} not to be extra, because it is listed or the feed has shown its removal`
    : null;
}

/** Each sampled key is counted once. */
function countProblem(world: World, sweep: SweepStatus, audits: AuditClient): string | null {
  const { id, ordered } = sweepRow(world)!;
  const { listed, sampled, present, failed, deleted, missing, missing_keys, loaded_afresh } = sweep;
  const keys = audits.listedIn(id);
  if (ordered === 1 && keys && listed > keys.size) return `sweep: expected ${keys.size} keys listed, got ${listed}`;
  if (missing === null) return null;
  if (missing !== missing_keys.length) return `sweep: expected ${missing} missing keys, got ${missing_keys.length}`;
  const toLoad = missing + deleted;
  if (loaded_afresh > toLoad) return `sweep: expected at most ${toLoad} keys loaded afresh, got ${loaded_afresh}`;
  const counted = present + failed + deleted + missing;
  if (ordered === 1 && counted !== sampled) return `sweep: expected ${sampled} keys to be counted, got ${counted}`;
  return rateProblem(sweep);
}

function rateProblem(sweep: SweepStatus): string | null {
  const { present, failed, missing, capture_rate: rate, capture_rate_low: low, capture_rate_high: high } = sweep;
  const total = present + failed + missing!;
  const expected = total === 0 ? null : Math.round((present / total) * RATE_SCALE) / RATE_SCALE;
  if (rate !== expected) return `capture rate: expected ${expected}, got ${rate}`;
  const isWithin = rate === null || (0 <= low! && low! <= rate && rate <= high! && high! <= 1);
  return isWithin ? null : `capture rate: expected ${rate} within its bounds, got ${low} to ${high}`;
}

/** The key of a sweep's change has no row, unless one was pushed meanwhile. */
function changeProblem({ storage }: World, audits: AuditClient): string | null {
  const rows = storage.sql.exec<{ key: string }>(
    'SELECT parked.key FROM parked JOIN keys ON keys.key = parked.key WHERE from_sweep = 1 AND keys.deleted = 0',
  );
  const wrong = rows.find(({ key }) => !audits.isPushed(key));
  return wrong ? `${wrong.key}: expected no change of a sweep for a key with a row` : null;
}

/** A self-check finds exactly the damaged files, and none when they are restored. */
export async function expectSelfChecked({ world, faults, oracle, clients }: Schedule): Promise<void> {
  const { audits } = clients;
  const { damage } = audits;
  const check = () => world.engine.audit.status().self_check!;
  const isOver = () => oracle.violation !== null || !check().running;
  await runUntil(world, { until: isOver });
  if (!audits.hasLostStorage) damage.draw(faults.draw('damage at the end').random)?.run();
  await audits.check();
  await runUntil(world, { until: isOver });
  oracle.check();
  const { files, problems } = check();
  const count = world.engine.source.tables.reduce((sum, { name }) => sum + filesOf(world, name), 0);
  assert.equal(files, count, 'self-check: expected a check of each file');
  const keys = problems.map(({ key }) => key).sort();
  assert.deepEqual(keys, damage.keys, 'self-check: expected the damaged files');
  damage.restore();
  const isWhole = () => check().problems.length === 0 && world.fault('damage') === null;
  await runUntil(world, { until: () => oracle.violation !== null || isWhole() });
  oracle.check();
}

function filesOf({ engine }: World, table: string): number {
  return engine.files.files({ table, afterLsn: 0, limit: 1_000 }).length;
}

/** A last sweep finds exactly the keys without a row, and has them loaded. */
export async function expectSwept(schedule: Schedule, becomeQuiet: () => Promise<void>): Promise<void> {
  const { world, faults, oracle, clients } = schedule;
  const { audits } = clients;
  const isOver = () => oracle.violation !== null || world.engine.audit.status().running === null;
  await runUntil(world, { until: isOver });
  await becomeQuiet();
  const { expected, toLoad } = await expectedOf(world);
  const { changes } = world.balance;
  await audits.sweep(1);
  if (faults.draw('killed sweep').random() < 0.5) await killEachRun(world, isOver);
  await runUntil(world, { until: isOver });
  oracle.check();
  assert.deepEqual(countsOf(world), expected, 'sweep: expected these counts and keys');
  await becomeQuiet();
  assert.equal(world.balance.changes - changes, toLoad.size, 'sweep: expected one change for each key without a row');
  audits.reloadedKeys = toLoad;
}

function countsOf(world: World) {
  const { phase, listed, sampled, present, failed, deleted, missing, extra, ...rest } =
    world.engine.audit.status().last!;
  const { missing_keys, extra_keys, loaded_afresh } = rest;
  const counts = { listed, sampled, present, failed, deleted, missing, extra, loaded_afresh };
  return { phase, ...counts, missing_keys, extra_keys };
}

/** What a full sweep must find by the lake and the upstream, and the keys that it must have loaded. */
async function expectedOf(
  world: World,
): Promise<{ expected: ReturnType<typeof countsOf>; toLoad: ReadonlySet<string> }> {
  const newest = new Map((await lakeRows(world)).map(row => [String(row.name), row._op]));
  const parked = new Set(world.storage.sql.exec<{ key: string }>('SELECT key FROM parked').map(({ key }) => key));
  const items = [...world.upstream.items.values()].filter(
    ({ key, deleted }) => !deleted && !key.startsWith('internal:'),
  );
  const listed = new Set(items.map(({ key }) => key));
  const standings = { present: [], failed: [], deleted: [], missing: [] } as Record<string, string[]>;
  for (const key of listed) {
    const absent = parked.has(key) ? 'failed' : newest.has(key) ? 'deleted' : 'missing';
    standings[newest.get(key) === 'upsert' ? 'present' : absent]!.push(key);
  }
  const { present, failed, deleted, missing } = standings as Record<
    'present' | 'failed' | 'deleted' | 'missing',
    string[]
  >;
  const extra = [...newest].filter(([key, op]) => op === 'upsert' && !listed.has(key)).map(([key]) => key);
  const toLoad = new Set([...missing, ...deleted]);
  const expected = {
    phase: 'done' as const,
    listed: listed.size,
    sampled: listed.size,
    present: present.length,
    failed: failed.length,
    deleted: deleted.length,
    missing: missing.length,
    extra: extra.length,
    loaded_afresh: toLoad.size,
    missing_keys: missing.sort(),
    extra_keys: extra.sort(),
  };
  return { expected, toLoad };
}

/** A sweep makes progress even when the object is killed after each of its runs. */
async function killEachRun(world: World, isOver: () => boolean): Promise<void> {
  for (let kills = 0; !isOver(); kills++) {
    assert.ok(kills < KILLS_MAX, `sweep: expected an end within ${KILLS_MAX} runs`);
    await nextRun(world);
    world.kill();
  }
}
