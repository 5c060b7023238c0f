import assert from 'node:assert/strict';
import { parseExactJson } from '../../../src/iceberg/format/exact-json.ts';
import { objectKey } from '../../../src/iceberg/format/location.ts';
import { Foreigner } from '../../iceberg/foreign.ts';
import { BUCKET } from '../../iceberg/rest-catalog.ts';
import { type Asked, type CommitWorld, table } from '../world/commit-world.ts';

const MINUTE = 60_000;
const lsnId = table.columns.find(({ name }) => name === '_lsn')!.fieldId;

/** What must hold of the catalog at every moment, whatever happens. Each look throws what does not. */
export class CommitOracle {
  readonly #world: CommitWorld;
  readonly #foreigner: Foreigner;
  #highestLsn = 0;
  #looked = 0;
  readonly #plans = new Map<string, string>();
  #seen: unknown = null;
  /** What was wrong with a call: thrown there, it would pass for a failure of the call. */
  #wrong: unknown = null;

  constructor(world: CommitWorld) {
    this.#world = world;
    this.#foreigner = new Foreigner(world.catalog);
    // Heard of before it is asked: a hold that was told by then must be kept.
    world.calls.before(call => {
      if (!/^catalog\.(create|commit|namespace)$/.test(call)) return;
      try {
        this.#asked();
      } catch (error) {
        this.#wrong ??= error;
      }
    });
  }

  /** Each row is in the table once, the property says which, and never says less. */
  look(): void {
    if (this.#wrong) throw this.#wrong;
    const { committedLsn, catalog, bucket } = this.#world;
    assert.ok(committedLsn >= this.#highestLsn, `property: expected at least ${this.#highestLsn}, got ${committedLsn}`);
    this.#highestLsn = committedLsn;
    const metadata = tableOf(this.#world);
    // Metadata is replaced whole when it changes.
    if (metadata === null || metadata === this.#seen) return;
    this.#seen = metadata;
    const live = this.#foreigner.liveFiles(table.name).map(({ entry: { data_file: file } }) => ({
      path: file.file_path,
      bytes: Number(file.file_size_in_bytes),
      rows: Number(file.record_count),
      first: longOf(file.lower_bounds),
      last: longOf(file.upper_bounds),
    }));
    live.sort((a, b) => a.first - b.first);
    let next = 1;
    for (const { path, bytes, rows, first, last } of live) {
      assert.equal(first, next, `files: expected LSN ${next} next, got ${first} of ${path}`);
      assert.equal(rows, last - first + 1, `${path}: expected a row for each LSN`);
      assert.equal(
        bucket.objects.get(objectKey(path, BUCKET))?.bytes.length,
        bytes,
        `${path}: expected it to be there`,
      );
      next = last + 1;
    }
    assert.equal(
      committedLsn,
      next - 1,
      `property: expected the last LSN of the table, ${next - 1}, got ${committedLsn}`,
    );
    assert.ok(catalog.metadata(table.name)['last-updated-ms'] > 0);
  }

  /** All that was settled is committed, from copies that are the files byte for byte. */
  end(): void {
    this.look();
    const { lastLsn, committedLsn, bucket, settled } = this.#world;
    assert.equal(
      committedLsn,
      lastLsn,
      `property: expected all to be committed in the end, ${lastLsn}, got ${committedLsn}`,
    );
    for (const { key, first_lsn, last_lsn } of settled) {
      const copies = bucket.keys().filter(other => other.endsWith(`/data/lsn-${first_lsn}-${last_lsn}.parquet`));
      for (const copy of copies) {
        const [original, copied] = [key, copy].map(at => Buffer.from(bucket.objects.get(at)!.bytes).toString('base64'));
        assert.equal(copied, original, `${copy}: expected the bytes of ${key}`);
      }
    }
  }

  /** A change that was just asked of the catalog is within its limits, and the only one on its base. */
  #asked(): void {
    const { asked, clock } = this.#world;
    for (const one of asked.slice(this.#looked)) {
      const recent = asked.filter(({ atMs, storage }) => storage === one.storage && atMs > one.atMs - MINUTE);
      const commits = recent.filter(({ operation }) => operation === 'commit');
      assert.ok(recent.length <= 120, `catalog: expected at most 120 changes a minute, got ${recent.length}`);
      assert.ok(commits.length <= 20, `catalog: expected at most 20 commits a minute, got ${commits.length}`);
      const held = one.storage === this.#world.storage ? this.#world.heldUntilMs : 0;
      assert.ok(clock.now() >= held, `catalog: expected no change for ${held - clock.now()} ms more`);
      if (one.operation === 'commit') this.#checkPlan(one);
    }
    this.#looked = asked.length;
  }

  #checkPlan({ storage, body }: Asked): void {
    const { requirements, updates } = parseExactJson(body) as {
      requirements: { type: string; 'snapshot-id'?: unknown }[];
      updates: { action: string; snapshot?: { 'snapshot-id': unknown } }[];
    };
    const base = requirements.find(({ type }) => type === 'assert-ref-snapshot-id')?.['snapshot-id'];
    const id = updates.find(({ action }) => action === 'add-snapshot')?.snapshot?.['snapshot-id'];
    if (base === undefined) return;
    const cursor = `${storageName(storage)} ${base}`;
    const before = this.#plans.get(cursor) ?? String(id);
    assert.equal(String(id), before, `commit on base ${base}: expected the same snapshot ${before} again, got ${id}`);
    this.#plans.set(cursor, before);
  }
}

const names = new WeakMap<object, number>();
let storages = 0;

function storageName(storage: object): number {
  const name = names.get(storage) ?? ++storages;
  names.set(storage, name);
  return name;
}

function tableOf({ catalog }: CommitWorld): object | null {
  try {
    return catalog.metadata(table.name);
  } catch {
    return null;
  }
}

function longOf(bounds: { key: number; value: Uint8Array }[] | null | undefined): number {
  const bound = bounds?.find(({ key }) => key === lsnId)?.value;
  assert.ok(bound, 'data file: expected bounds of its LSNs, got none');
  return Number(Buffer.from(bound).readBigInt64LE());
}
