import assert from 'node:assert/strict';
import { parseExactJson } from '../../../src/exact-json.ts';
import { objectKey } from '../../../src/iceberg/format/location.ts';
import { ForeignWriter } from '../../iceberg/foreign-writer.ts';
import { BUCKET } from '../../iceberg/rest-catalog.ts';
import { type CommitWorld, type SentWrite, table } from '../world/commit-world.ts';

const MINUTE = 60_000;
const lsnId = table.columns.find(({ name }) => name === '_lsn')!.fieldId;

/** Checks what must hold of the catalog at every moment. Each check throws what does not hold. */
export class CommitOracle {
  readonly #world: CommitWorld;
  readonly #foreignWriter: ForeignWriter;
  #highestLsn = 0;
  #checkedWrites = 0;
  /** By storage and base, the snapshot id of its commits. */
  readonly #snapshotIds = new Map<object, Map<string, string>>();
  readonly #basesAgain = new Set<string>();
  #checkedMetadata: unknown = null;
  /** An error found during a call. The next `check` throws it, because here it would pass for a failed call. */
  #failedCheck: unknown = null;

  constructor(world: CommitWorld) {
    this.#world = world;
    this.#foreignWriter = new ForeignWriter(world.catalog);
    // Check each write before it is sent, because it must respect every wait that the catalog asked for by then.
    world.calls.before(call => {
      if (!/^catalog\.(create|commit|namespace)$/.test(call)) return;
      try {
        this.#checkWrites();
      } catch (error) {
        this.#failedCheck ??= error;
      }
    });
  }

  /** A person rolled the table back: until its rows are committed again, its property may name another LSN. */
  rolledBack(): void {
    const world = this.#world;
    world.isRolledBack = true;
    world.lostLsn = Math.max(world.lostLsn, world.committedLsn);
    world.lostStorage = world.instance.committer.state.table(table.name).committed_lsn === null;
    // The table is at an earlier base again, on which another commit is right: the catalog refuses an earlier one for
    // its sequence number.
    this.#basesAgain.add(String(world.catalog.metadata(table.name)['current-snapshot-id']));
  }

  /** Each row is in the table once, the table's property is its last LSN, and the property never decreases. */
  check(): void {
    if (this.#failedCheck) throw this.#failedCheck;
    const { committedLsn, catalog, bucket, isRolledBack } = this.#world;
    assert.ok(
      isRolledBack || committedLsn >= this.#highestLsn,
      `property: expected at least ${this.#highestLsn}, got ${committedLsn}`,
    );
    this.#highestLsn = isRolledBack ? 0 : committedLsn;
    const metadata = tableOf(this.#world);
    // The catalog replaces the metadata object with every change.
    if (metadata === null || metadata === this.#checkedMetadata) return;
    this.#checkedMetadata = metadata;
    const live = this.#foreignWriter.liveFiles(table.name).map(({ entry: { data_file: file } }) => ({
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
        `${path}: expected an object of the listed size`,
      );
      next = last + 1;
    }
    // Rows must never continue past a gap, but until a person has put the property right it may name another LSN.
    if (committedLsn === next - 1) this.#world.isRolledBack = false;
    if (!this.#world.isRolledBack && committedLsn >= this.#world.lostLsn) this.#world.lostLsn = 0;
    assert.ok(
      isRolledBack || committedLsn === next - 1,
      `property: expected the last LSN of the table, ${next - 1}, got ${committedLsn}`,
    );
    assert.ok(catalog.metadata(table.name)['last-updated-ms'] > 0);
  }

  /** All settled files are committed, and every copy has the bytes of its file. */
  checkEnd(): void {
    this.check();
    const { lastLsn, committedLsn, bucket, settled } = this.#world;
    assert.equal(
      committedLsn,
      lastLsn,
      `property: expected the last settled LSN ${lastLsn} in the end, got ${committedLsn}`,
    );
    for (const { key, first_lsn, last_lsn } of settled) {
      const name = new RegExp(`/data/lsn-${first_lsn}-${last_lsn}(-again-\\d+)?\\.parquet$`);
      const copies = bucket.keys().filter(other => name.test(other));
      for (const copy of copies) {
        const isEqual = Buffer.compare(bucket.objects.get(key)!.bytes, bucket.objects.get(copy)!.bytes) === 0;
        assert.ok(isEqual, `${copy}: expected the bytes of ${key}`);
      }
    }
  }

  /** Each new write respects the catalog's limits, and each new commit is the only one on its base. */
  #checkWrites(): void {
    const { writes, clock } = this.#world;
    for (const write of writes.slice(this.#checkedWrites)) {
      const recent = writes.filter(({ atMs, storage }) => storage === write.storage && atMs > write.atMs - MINUTE);
      const commits = recent.filter(({ operation }) => operation === 'commit');
      assert.ok(recent.length <= 120, `catalog: expected at most 120 writes a minute, got ${recent.length}`);
      assert.ok(commits.length <= 20, `catalog: expected at most 20 commits a minute, got ${commits.length}`);
      const heldMs = write.storage === this.#world.storage ? this.#world.heldUntilMs - clock.now() : 0;
      assert.ok(heldMs <= 0, `catalog: expected no write for ${heldMs} ms more, got one`);
      if (write.operation === 'commit') this.#checkBase(write);
    }
    this.#checkedWrites = writes.length;
  }

  /** Commits of one storage on the same base are the same snapshot. */
  #checkBase({ storage, body }: SentWrite): void {
    const { requirements, updates } = parseExactJson(body) as {
      requirements: { type: string; 'snapshot-id'?: unknown }[];
      updates: { action: string; snapshot?: { 'snapshot-id': unknown } }[];
    };
    const base = requirements.find(({ type }) => type === 'assert-ref-snapshot-id')?.['snapshot-id'];
    const id = updates.find(({ action }) => action === 'add-snapshot')?.snapshot?.['snapshot-id'];
    if (base === undefined || this.#basesAgain.has(String(base))) return;
    const byBase = this.#snapshotIds.get(storage) ?? new Map<string, string>();
    this.#snapshotIds.set(storage, byBase);
    const before = byBase.get(String(base)) ?? String(id);
    assert.equal(String(id), before, `commit on base ${base}: expected the same snapshot ${before} again, got ${id}`);
    byBase.set(String(base), before);
  }
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
