import assert from 'node:assert/strict';
import type { SweepStatus } from '../../../src/contract/audit.ts';
import { isSampled } from '../../../src/engine/journal/sampling.ts';
import type { AuditDesk } from '../clients/audit-desk.ts';
import type { Scene } from '../schedules/schedule.ts';
import { nextRun, settle, type World } from '../world/world.ts';
import { lakeRows } from './proof.ts';

/** Runs of a sweep that is killed after each of them; each lists some pages. */
const KILLS_MAX = 200;
/** Digits of a capture rate that are told. */
const RATE_SCALE = 1e8;

interface SweepRow {
  id: number;
  phase: string;
  ordered: number;
  listed: number;
}

/** The newest sweep, as the object has it. */
export function sweepRow({ storage }: World): SweepRow | null {
  return storage.sql.exec<SweepRow & Record<string, never>>('SELECT * FROM sweeps ORDER BY id DESC LIMIT 1')[0] ?? null;
}

/** What of the present answer about sweeps and self-checks cannot be; null where it all can. */
export function wrongAudit(world: World, desk: AuditDesk): string | null {
  if (!desk.isOn || desk.hasForgotten) return null;
  const { last, running, self_check: check } = world.engine.audit.status();
  const unharmed = check?.problems.find(({ key }) => !desk.damage.ever.has(key));
  if (unharmed) return `${unharmed.key}: expected no problem with it, got ${unharmed.subject} ${unharmed.actual}`;
  const sweep = running ?? last;
  return sweep && (wrongKeys(sweep, desk) ?? wrongNumbers(world, sweep, desk) ?? wrongMissed(world, desk));
}

function wrongKeys({ missing_keys, extra_keys, sample }: SweepStatus, desk: AuditDesk): string | null {
  const unsampled = [...missing_keys, ...extra_keys].find(key => !isSampled(key, sample));
  if (unsampled) return `sweep: expected keys of its sample, got ${unsampled}`;
  const missing = missing_keys.find(key => !desk.mayMiss(key));
  if (missing) return `sweep: expected ${missing} not to be missing, as the feed has shown it`;
  const extra = extra_keys.find(key => !desk.mayBeExtra(key));
  return extra ? `sweep: expected ${extra} not to be extra, as it is listed or was removed in the feed` : null;
}

/** A key is counted once, and each that was compared comes to something. */
function wrongNumbers(world: World, told: SweepStatus, desk: AuditDesk): string | null {
  const { id, ordered } = sweepRow(world)!;
  const { listed, sampled, present, failed, deleted, missing, missing_keys, loaded_afresh } = told;
  const keys = desk.listedIn(id);
  if (ordered === 1 && keys && listed > keys.size) return `sweep: expected ${keys.size} keys listed, got ${listed}`;
  if (missing === null) return null;
  if (missing !== missing_keys.length) return `sweep: expected ${missing} missing keys, got ${missing_keys.length}`;
  const owed = missing + deleted;
  if (loaded_afresh > owed) return `sweep: expected at most ${owed} keys loaded afresh, got ${loaded_afresh}`;
  const counted = present + failed + deleted + missing;
  if (ordered === 1 && counted !== sampled) return `sweep: expected ${sampled} keys to be counted, got ${counted}`;
  return wrongRate(told);
}

function wrongRate(told: SweepStatus): string | null {
  const { present, failed, missing, capture_rate: rate, capture_rate_low: low, capture_rate_high: high } = told;
  const owed = present + failed + missing!;
  const expected = owed === 0 ? null : Math.round((present / owed) * RATE_SCALE) / RATE_SCALE;
  if (rate !== expected) return `capture rate: expected ${expected}, got ${rate}`;
  const isWithin = rate === null || (0 <= low! && low! <= rate && rate <= high! && high! <= 1);
  return isWithin ? null : `capture rate: expected ${rate} within its bounds, got ${low} to ${high}`;
}

/** What a sweep has loaded is not here: nobody but who pushes brings a row of it meanwhile. */
function wrongMissed({ storage }: World, desk: AuditDesk): string | null {
  const here = storage.sql.exec<{ key: string }>(
    'SELECT parked.key FROM parked JOIN keys ON keys.key = parked.key WHERE from_sweep = 1 AND keys.deleted = 0',
  );
  const wrong = here.find(({ key }) => !desk.isPushed(key));
  return wrong ? `${wrong.key}: expected no missed change of a key that is here` : null;
}

/** A self-check names what is damaged and nothing else, and what is put back is whole again. */
export async function expectChecked({ world, faults, oracle, people }: Scene): Promise<void> {
  const { audits } = people;
  const { damage } = audits;
  const check = () => world.engine.audit.status().self_check!;
  const isOver = () => oracle.violation !== null || !check().running;
  await settle(world, { until: isOver });
  if (!audits.hasForgotten) damage.drawn(faults.draw('damage at the end').random)?.act();
  await audits.check();
  await settle(world, { until: isOver });
  oracle.check();
  const { files, problems } = check();
  const count = world.engine.source.tables.reduce((sum, { name }) => sum + filesOf(world, name), 0);
  assert.equal(files, count, 'self-check: expected a look at each file');
  const keys = problems.map(({ key }) => key).sort();
  assert.deepEqual(keys, damage.keys, 'self-check: expected what is damaged');
  damage.putBack();
  const isWhole = () => check().problems.length === 0 && world.fault('damage') === null;
  await settle(world, { until: () => oracle.violation !== null || isWhole() });
  oracle.check();
}

function filesOf({ engine }: World, table: string): number {
  return engine.files.files({ table, afterLsn: 0, limit: 1_000 }).length;
}

/** A last sweep finds exactly what is not here, and has it loaded. */
export async function expectSwept(scene: Scene, becomeQuiet: () => Promise<void>): Promise<void> {
  const { world, faults, oracle, people } = scene;
  const { audits } = people;
  const isOver = () => oracle.violation !== null || world.engine.audit.status().running === null;
  await settle(world, { until: isOver });
  await becomeQuiet();
  const { expected, owed } = await expectedOf(world);
  const { changes } = world.balance;
  await audits.sweep(1);
  if (faults.draw('killed sweep').random() < 0.5) await killEachRun(world, isOver);
  await settle(world, { until: isOver });
  oracle.check();
  assert.deepEqual(toldOf(world), expected, 'sweep: expected what is here and what is not');
  await becomeQuiet();
  assert.equal(world.balance.changes - changes, owed.size, 'sweep: expected one change a key that was not here');
  audits.owed = owed;
}

function toldOf(world: World) {
  const { phase, listed, sampled, present, failed, deleted, missing, extra, ...rest } =
    world.engine.audit.status().last!;
  const { missing_keys, extra_keys, loaded_afresh } = rest;
  const counts = { listed, sampled, present, failed, deleted, missing, extra, loaded_afresh };
  return { phase, ...counts, missing_keys, extra_keys };
}

/** What a full sweep must find, by the files and what upstream holds, and the keys that it must have loaded. */
async function expectedOf(world: World): Promise<{ expected: ReturnType<typeof toldOf>; owed: ReadonlySet<string> }> {
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
  const owed = new Set([...missing, ...deleted]);
  const expected = {
    phase: 'done' as const,
    listed: listed.size,
    sampled: listed.size,
    present: present.length,
    failed: failed.length,
    deleted: deleted.length,
    missing: missing.length,
    extra: extra.length,
    loaded_afresh: owed.size,
    missing_keys: missing.sort(),
    extra_keys: extra.sort(),
  };
  return { expected, owed };
}

/** A sweep gets on however often it is killed, if only a run of it ends well in between. */
async function killEachRun(world: World, isOver: () => boolean): Promise<void> {
  for (let kills = 0; !isOver(); kills++) {
    assert.ok(kills < KILLS_MAX, `sweep: expected an end within ${KILLS_MAX} runs`);
    await nextRun(world);
    world.kill();
  }
}
