import { describe, expect, it } from 'vitest';
import { expectNewest, expectProof, lakeRows } from '../simulation/oracle/proof.ts';
import { JSON_LINES, PARQUET } from '../simulation/world/encode.ts';
import { followed, runUntil, startedWorld } from '../simulation/world/world.ts';

describe.each([
  ['JSON lines', JSON_LINES],
  ['Parquet', PARQUET],
])('the path of a change, into files of %s', (_, encoding) => {
  it('leads from an empty object to files that prove themselves', async () => {
    const world = await startedWorld({ encoding });
    world.upstream.publish(['a', 'b', 'internal:x', '@c/d']);
    world.upstream.remove('b');
    await followed(world);
    await expectProof(world);
    await expectNewest(world);
    expect(world.balance).toMatchObject({ changes: 4, rows: 2, tombstones: 1, skipped: { 'internal-document': 1 } });
    world.upstream.publish(['a', 'e']);
    world.upstream.remove('@c/d');
    await followed(world);
    await expectProof(world);
    await expectNewest(world);
    expect(world.files).toHaveLength(2);
    expect(world.state).toBe('following');
  });
});

describe('the path of a change', () => {
  it('works a backlog of many pages off, each change once', async () => {
    const world = await startedWorld({ pageChanges: 70 });
    world.upstream.publish(Array.from({ length: 1_000 }, (_, index) => `package-${index}`));
    await followed(world);
    await expectProof(world);
    await expectNewest(world);
    expect(world.balance).toMatchObject({ changes: 1_000, rows: 1_000 });
    expect(world.upstream.requests.filter(({ subject }) => subject === 'package-500')).toHaveLength(1);
  });

  it('keeps the document as upstream sent it', async () => {
    const world = await startedWorld();
    world.upstream.publish('a', 'text of a');
    await followed(world);
    const { bytes } = world.bucket.objects.get('npm/raw/a/latest.json')!;
    expect(JSON.parse(Buffer.from(bytes).toString())).toEqual({ key: 'a', revision: 1, text: 'text of a' });
  });

  it('gives the operational database one run a file, with its counts', async () => {
    const world = await startedWorld();
    world.upstream.publish(['a', 'internal:x', 'b', 'c']);
    world.upstream.faults.set('b', { status: 403 });
    await followed(world);
    const [file] = world.files;
    const [run] = world.database.runs();
    expect(world.database.runs()).toHaveLength(1);
    expect(run).toMatchObject({
      source: 'coalescing',
      run_type: 'follow',
      status: 'completed',
      cursor: String(world.upstream.seq),
      records_processed: 4,
      records_inserted: 2,
      records_failed: 1,
    });
    expect(JSON.parse(String(run!.data))).toMatchObject({
      key: file!.key,
      first_lsn: 1,
      last_lsn: 2,
      bytes: file!.bytes,
    });
  });

  it('moves the durable cursor by a page without rows alone', async () => {
    const world = await startedWorld();
    world.upstream.publish('internal:x');
    await followed(world);
    expect(world.files).toEqual([]);
    expect(world.database.lastSequence('coalescing')).toBe(String(world.upstream.seq));
    await expectProof(world);
  });

  it('leaves the durable cursor before rows that are in no file yet', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    await followed(world);
    const durable = String(world.upstream.seq);
    world.upstream.publish(['b', 'internal:x']);
    await runUntil(world, { until: () => world.lane.cursor === String(world.upstream.seq) });
    expect(world.engine.files.durableCursor()).toBe(durable);
    expect(world.database.lastSequence('coalescing')).toBe(durable);
    await followed(world);
    await expectProof(world);
  });

  it('gives rows the place of their change and the time they were accepted', async () => {
    const world = await startedWorld();
    world.upstream.publish('a');
    await followed(world);
    const [row] = await lakeRows(world);
    expect(row).toMatchObject({ _lsn: 1, _op: 'upsert', _cursor: String(world.upstream.seq), version: '1' });
    expect(row!.updated_at).toBe('2026-11-10T12:00:00.000Z');
    expect(world.files[0]!.key).toContain('/year=2026/month=11/');
  });
});
