import { createHash } from 'node:crypto';
import type { Table } from '../../../schemas/table.ts';
import type { Run } from '../../alarm/run.ts';
import { LIMITS } from '../../config.ts';
import { messageOf, StepError } from '../../errors.ts';
import { indexOf, rootOf, type SettledFile, schemaOf, segmentOf } from '../../lake/catalog/write.ts';
import { putNewest } from '../../lake/newest.ts';
import { rootKey, schemaKey, segmentKeys } from '../../lake/object-keys.ts';
import type { ObjectHead, PutCondition } from '../../ports/bucket.ts';
import type { Ports } from '../../ports/ports.ts';
import type { JournalCatalog, SegmentRow } from '../journal/catalog.ts';

/** Roots put before a race with another writer is given up. */
const ROOT_ATTEMPTS_MAX = 5;

interface Parts {
  table: Table;
  source: string;
  ports: Ports;
  catalog: JournalCatalog;
}

/**
 * Projects one table's settled files to its catalog: first the open segment and its index, under a name that nothing
 * had before, then the root that names them. Whoever reads through the root sees one of the two, whole.
 */
export class Cataloger {
  /** Its step of a run. */
  readonly step: string;
  readonly #parts: Parts;
  readonly #schema: { text: string; digest: string };

  constructor(parts: Parts) {
    this.#parts = parts;
    this.step = `catalog:${parts.table.name}`;
    const text = JSON.stringify(schemaOf(parts.table));
    this.#schema = { text, digest: digestOf(text) };
  }

  /** There are files the root does not name, or the table has other columns than its schema in the lake says. */
  get isDue(): boolean {
    const { table, catalog } = this.#parts;
    if (catalog.isBehind(table.name)) return true;
    const { last_lsn, schema_digest } = catalog.state(table.name);
    return last_lsn > 0 && schema_digest !== this.#schema.digest;
  }

  /**
   * Brings the catalog to what is settled, as far as one run goes. Throws `StepError`: `catalog-ahead` when the root names
   * rows that are in no file here, `bucket-failed` or `deadline` when the bucket does not answer.
   */
  async work(run: Run): Promise<void> {
    if (!this.isDue) return;
    const { table, catalog } = this.#parts;
    await this.#putSchema(run);
    if (catalog.isBehind(table.name)) await this.#lookAtOne(run);
    for (let attempt = 1; catalog.isBehind(table.name); attempt++) {
      if (attempt > ROOT_ATTEMPTS_MAX)
        throw new StepError(
          'bucket-failed',
          `${rootKey(table.name)}: lost ${ROOT_ATTEMPTS_MAX} puts to another writer`,
        );
      const segments = await this.#writeSegments(run);
      // A catalog that is written anew takes several runs; the root before it stands until then.
      if (segments === null) return;
      if (await this.#putRoot(segments, run)) return this.#removeOld(run);
    }
  }

  async #putSchema(run: Run): Promise<void> {
    const { table, catalog, ports } = this.#parts;
    const { text, digest } = this.#schema;
    if (catalog.state(table.name).schema_digest === digest) return;
    await run.keepArmed();
    const key = schemaKey(table.name);
    // Only the version tells old from new: what stands of the same one is ours to put right.
    const newest = { fetchedAtMs: 0, revision: table.version, contentType: JSON_TYPE };
    const put = putNewest(ports.bucket, key, bytesOf(text), newest);
    await ports.clock.within(put, LIMITS.bucketCallMsMax, `put of ${key}`);
    catalog.noteSchema(table.name, digest);
  }

  /** Each flush looks whether one object still stands that is never written again, the next one each time. */
  async #lookAtOne(run: Run): Promise<void> {
    const { table, ports, catalog } = this.#parts;
    const full = catalog.full(table.name);
    if (full.length === 0) return;
    const at = catalog.state(table.name).snapshot % (2 * full.length);
    const row = full[at >> 1]!;
    const key = keysOf(row)[at % 2 === 0 ? 'segment' : 'index'];
    await run.keepArmed();
    const head = await ports.clock.within(ports.bucket.head(key), LIMITS.bucketCallMsMax, `head of ${key}`);
    if (head === null) catalog.lost(row);
  }

  /** The segments of all files, the open one and any before it that are not full yet written now; null when there are more. */
  async #writeSegments(run: Run): Promise<SegmentRow[] | null> {
    const { table, catalog } = this.#parts;
    const segments = catalog.full(table.name);
    for (let written = 0; ; written++) {
      const last = segments.at(-1);
      const files = catalog.filesAfter(table.name, last?.last_lsn ?? 0);
      if (files.length === 0) return segments;
      if (written === LIMITS.catalogSegmentsPerRun) return null;
      segments.push(await this.#writeSegment(files, { cursorFrom: last?.cursor ?? null, run }));
    }
  }

  async #writeSegment(
    files: SettledFile[],
    { cursorFrom, run }: { cursorFrom: string | null; run: Run },
  ): Promise<SegmentRow> {
    const { table, catalog } = this.#parts;
    const row = catalog.draft(table.name, files);
    // Written before, and the root did not land.
    if (row.state !== 'draft') return row;
    await run.keepArmed();
    const keys = keysOf(row);
    const ours = await Promise.all([
      this.#putOnce(keys.segment, JSON.stringify(segmentOf(table, { files, cursorFrom }))),
      this.#putOnce(keys.index, JSON.stringify(indexOf(table, files))),
    ]);
    if (!ours.every(Boolean)) {
      catalog.giveUp(row);
      throw new StepError('bucket-failed', `${keys.segment}: expected it or its index to be ours, got another object`);
    }
    catalog.written(row);
    return { ...row, state: 'written' };
  }

  /** Puts what never changes; false when something else stands there. */
  async #putOnce(key: string, text: string): Promise<boolean> {
    const digest = digestOf(text);
    const stands = await this.#put(key, text, { onlyIf: { absent: true }, metadata: { digest } });
    return stands?.metadata.digest === digest;
  }

  /** False when another root stood than was known of: it is known now. */
  async #putRoot(segments: SegmentRow[], run: Run): Promise<boolean> {
    const { table, source, ports, catalog } = this.#parts;
    const { etag, ...state } = catalog.state(table.name);
    const snapshot = state.snapshot + 1;
    const lastLsn = segments.at(-1)!.last_lsn;
    const text = JSON.stringify(rootOf(table, { snapshot, segments }));
    const digest = digestOf(text);
    const metadata = { digest, snapshot: String(snapshot), 'last-lsn': String(lastLsn) };
    await run.keepArmed();
    const onlyIf: PutCondition = etag === null ? { absent: true } : { etag };
    const stands = await this.#put(rootKey(table.name), text, { onlyIf, metadata });
    if (stands?.metadata.digest !== digest) {
      this.#reconcile(stands, { snapshot: state.snapshot, lastLsn });
      return false;
    }
    catalog.landed(table.name, { snapshot, etag: stands.etag, segments, nowMs: ports.clock.now() });
    ports.log('catalog_landed', { source, table: table.name, bytes: text.length, last_lsn: lastLsn });
    return true;
  }

  /** Another root stands: the next one goes on from it, unless it knows more than the journal. */
  #reconcile(stands: ObjectHead | null, own: { snapshot: number; lastLsn: number }): void {
    const { table, catalog } = this.#parts;
    if (stands === null) {
      catalog.forget(table.name);
      // Counted up, since the names of this attempt are taken.
      catalog.noteRoot(table.name, { snapshot: own.snapshot + 1, etag: null });
      return;
    }
    const { snapshot, 'last-lsn': lastLsn } = stands.metadata;
    if (!(Number(lastLsn) <= own.lastLsn))
      throw new StepError('catalog-ahead', `${stands.key}: expected LSNs up to ${own.lastLsn}, got ${lastLsn}`);
    // An instance that died was one root ahead at most; what is further ahead comes from a journal that is lost, and
    // may have removed what this one believes to stand.
    if (!(Number(snapshot) <= own.snapshot + 1)) catalog.forget(table.name);
    catalog.noteRoot(table.name, { snapshot: Math.max(own.snapshot, Number(snapshot)), etag: stands.etag });
  }

  /** Puts and gives what stands under the key then: ours, or what refused it. */
  async #put(
    key: string,
    text: string,
    { onlyIf, metadata }: { onlyIf: PutCondition; metadata: Record<string, string> },
  ): Promise<ObjectHead | null> {
    const { bucket, clock } = this.#parts.ports;
    const put = bucket.put(key, [bytesOf(text)], { onlyIf, metadata, contentType: JSON_TYPE });
    const head = await clock.within(put, LIMITS.bucketCallMsMax, `put of ${key}`);
    return head ?? clock.within(bucket.head(key), LIMITS.bucketCallMsMax, `head of ${key}`);
  }

  /** Removes what no root has named for so long that nobody reads it any more. */
  async #removeOld(run: Run): Promise<void> {
    const { table, source, ports, catalog } = this.#parts;
    const old = catalog.removable(table.name, ports.clock.now() - LIMITS.catalogRetentionMs);
    if (old.length === 0) return;
    await run.keepArmed();
    const keys = old.flatMap(row => Object.values(keysOf(row)));
    try {
      const removal = ports.bucket.remove(keys);
      await ports.clock.within(removal, LIMITS.bucketCallMsMax, `removal of ${keys.length} keys`);
      catalog.removed(old);
    } catch (error) {
      // The root stands, and what is left over is in nobody's way: the next root's turn removes it.
      ports.log('catalog_left', { source, table: table.name, files: keys.length, reason: messageOf(error) });
    }
  }
}

const JSON_TYPE = 'application/json';

function keysOf({ table_name, first_lsn: firstLsn, last_lsn: lastLsn, number }: SegmentRow) {
  return segmentKeys(table_name, { firstLsn, lastLsn, number });
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
