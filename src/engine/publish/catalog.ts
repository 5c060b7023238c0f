import type { Table } from '../../../schemas/table.ts';
import type { Run } from '../../alarm/run.ts';
import { sha256Hex } from '../../digest.ts';
import { messageOf, StepError } from '../../errors.ts';
import { indexOf, rootOf, type SettledFile, schemaOf, segmentOf } from '../../lake/catalog/write.ts';
import { putNewest } from '../../lake/newest.ts';
import { rootKey, schemaKey, segmentKeys } from '../../lake/object-keys.ts';
import { LIMITS, MINUTE } from '../../limits.ts';
import type { ObjectHead, PutCondition } from '../../ports/bucket.ts';
import type { Ports } from '../../ports/ports.ts';
import type { JournalCatalog, SegmentRow } from '../journal/catalog.ts';

/** Segments that one run writes when it writes a catalog anew: 10,000 SQLite rows read, 5 MB put. */
export const CATALOG_SEGMENTS_PER_RUN = 20;
/** How long a segment outlives the last root that names it: a reader fetches a hundred segments in seconds. */
export const CATALOG_RETENTION_MS = 60 * MINUTE;

/** Puts of a root that another writer may beat before the step fails. */
const ROOT_ATTEMPTS_MAX = 5;

interface CatalogerOptions {
  table: Table;
  source: string;
  ports: Ports;
  catalog: JournalCatalog;
}

/**
 * Publishes one table's settled files to its catalog: first the open segment and its index, under a name that is new,
 * then the root that names them. A reader of a root sees the catalog before or after it, never a part.
 */
export class Cataloger {
  /** Its step of a run. */
  readonly step: string;
  readonly #options: CatalogerOptions;
  readonly #schema: { text: string; digest: string };

  constructor(options: CatalogerOptions) {
    this.#options = options;
    this.step = `catalog:${options.table.name}`;
    const text = JSON.stringify(schemaOf(options.table));
    this.#schema = { text, digest: sha256Hex(text) };
  }

  /** Whether there are files that the root does not name, or the schema in the lake is not the table's. */
  get isDue(): boolean {
    const { table, catalog } = this.#options;
    if (catalog.isBehind(table.name)) return true;
    const { last_lsn, schema_digest } = catalog.state(table.name);
    return last_lsn > 0 && schema_digest !== this.#schema.digest;
  }

  /**
   * Publishes what is settled, as far as one run gets. Throws `StepError`: `catalog-ahead` when the root names rows
   * that are in no file of this journal, `bucket-failed` or `deadline` when the bucket does not answer.
   */
  async work(run: Run): Promise<void> {
    if (!this.isDue) return;
    const { table, catalog } = this.#options;
    // Put the table's schema if it changed.
    await this.#putSchema(run);
    // Check that one of the full segments is still in the lake.
    if (catalog.isBehind(table.name)) await this.#checkFullSegment(run);
    for (let attempt = 1; catalog.isBehind(table.name); attempt++) {
      if (attempt > ROOT_ATTEMPTS_MAX)
        throw new StepError(
          'bucket-failed',
          `${rootKey(table.name)}: lost ${ROOT_ATTEMPTS_MAX} puts to another writer`,
        );
      // Put the segments of all files. A catalog that is written anew takes several runs, and keeps its old root until
      // then.
      const segments = await this.#writeSegments(run);
      if (segments === null) return;
      // Put the root that names them, then remove what no root names any more. Start again where another writer put a
      // root.
      if (await this.#putRoot(segments, run)) return this.#removeUnnamed(run);
    }
  }

  async #putSchema(run: Run): Promise<void> {
    const { table, catalog, ports } = this.#options;
    const { text, digest } = this.#schema;
    if (catalog.state(table.name).schema_digest === digest) return;
    await run.keepArmed();
    const key = schemaKey(table.name);
    // Only the version tells an old schema from a new one. One of the same version is replaced, whatever it says.
    const newest = { fetchedAtMs: 0, revision: table.version, contentType: JSON_TYPE };
    const put = putNewest(ports.bucket, key, bytesOf(text), newest);
    await ports.clock.within(put, LIMITS.bucketCallMsMax, `put of ${key}`);
    catalog.saveSchemaDigest(table.name, digest);
  }

  /**
   * Checks that one object of the full segments is in the lake, another one each time, because none is written again.
   */
  async #checkFullSegment(run: Run): Promise<void> {
    const { table, ports, catalog } = this.#options;
    const full = catalog.fullSegments(table.name);
    if (full.length === 0) return;
    const index = catalog.state(table.name).snapshot % (2 * full.length);
    const row = full[index >> 1]!;
    const key = keysOf(row)[index % 2 === 0 ? 'segment' : 'index'];
    await run.keepArmed();
    const head = await ports.clock.within(ports.bucket.head(key), LIMITS.bucketCallMsMax, `head of ${key}`);
    if (head === null) catalog.markLost(row);
  }

  /**
   * The segments of all files; writes those that are not full, or not there. Null when there are more than one run
   * writes.
   */
  async #writeSegments(run: Run): Promise<SegmentRow[] | null> {
    const { table, catalog } = this.#options;
    const segments = catalog.fullSegments(table.name);
    for (let written = 0; ; written++) {
      const last = segments.at(-1);
      const files = catalog.filesAfter(table.name, last?.last_lsn ?? 0);
      if (files.length === 0) return segments;
      if (written === CATALOG_SEGMENTS_PER_RUN) return null;
      segments.push(await this.#writeSegment(files, { cursorFrom: last?.cursor ?? null, run }));
    }
  }

  async #writeSegment(
    files: SettledFile[],
    { cursorFrom, run }: { cursorFrom: string | null; run: Run },
  ): Promise<SegmentRow> {
    const { table, catalog } = this.#options;
    const row = catalog.draftSegment(table.name, files);
    // An earlier attempt wrote it, and its root did not land.
    if (row.state !== 'draft') return row;
    await run.keepArmed();
    const keys = keysOf(row);
    const areOurs = await Promise.all([
      this.#putOnce(keys.segment, JSON.stringify(segmentOf(table, { files, cursorFrom }))),
      this.#putOnce(keys.index, JSON.stringify(indexOf(table, files))),
    ]);
    if (!areOurs.every(Boolean)) {
      catalog.removeDraft(row);
      throw new StepError('bucket-failed', `${keys.segment}: expected it or its index to be ours, got another object`);
    }
    catalog.markWritten(row);
    return { ...row, state: 'written' };
  }

  /** Puts an object that never changes; false when another object has its key. */
  async #putOnce(key: string, text: string): Promise<boolean> {
    const digest = sha256Hex(text);
    const found = await this.#put(key, text, { onlyIf: { absent: true }, metadata: { digest } });
    return found?.metadata.digest === digest;
  }

  /**
   * Puts the root. False when another writer's root is in the lake: then the journal knows it, and the next attempt
   * replaces it.
   */
  async #putRoot(segments: SegmentRow[], run: Run): Promise<boolean> {
    const { table, source, ports, catalog } = this.#options;
    const { etag, ...state } = catalog.state(table.name);
    const snapshot = state.snapshot + 1;
    const lastLsn = segments.at(-1)!.last_lsn;
    const text = JSON.stringify(rootOf(table, { snapshot, segments }));
    const digest = sha256Hex(text);
    const metadata = { digest, snapshot: String(snapshot), 'last-lsn': String(lastLsn) };
    await run.keepArmed();
    const onlyIf: PutCondition = etag === null ? { absent: true } : { etag };
    const root = await this.#put(rootKey(table.name), text, { onlyIf, metadata });
    if (root?.metadata.digest !== digest) {
      this.#learnRoot(root, { snapshot: state.snapshot, lastLsn });
      return false;
    }
    catalog.saveOwnRoot(table.name, { snapshot, etag: root.etag, segments, nowMs: ports.clock.now() });
    ports.log('catalog_landed', { source, table: table.name, bytes: text.length, last_lsn: lastLsn });
    return true;
  }

  /**
   * Notes the root that is in the lake, so that the next one replaces it. Throws `catalog-ahead` where it names more
   * rows.
   */
  #learnRoot(root: ObjectHead | null, own: { snapshot: number; lastLsn: number }): void {
    const { table, catalog } = this.#options;
    if (root === null) {
      catalog.markAllLost(table.name);
      // Raise the number, because this attempt has used its names.
      catalog.saveRoot(table.name, { snapshot: own.snapshot + 1, etag: null });
      return;
    }
    const { snapshot, 'last-lsn': lastLsn } = root.metadata;
    if (!(Number(lastLsn) <= own.lastLsn))
      throw new StepError('catalog-ahead', `${root.key}: expected LSNs up to ${own.lastLsn}, got ${lastLsn}`);
    // An instance that died was one root ahead at most. A root further ahead was put by a journal that is lost, and
    // that journal may have removed segments that this one still knows.
    if (!(Number(snapshot) <= own.snapshot + 1)) catalog.markAllLost(table.name);
    catalog.saveRoot(table.name, { snapshot: Math.max(own.snapshot, Number(snapshot)), etag: root.etag });
  }

  /** Puts an object. Returns the head of the object that has the key then: ours, or the one that made the put fail. */
  async #put(
    key: string,
    text: string,
    { onlyIf, metadata }: { onlyIf: PutCondition; metadata: Record<string, string> },
  ): Promise<ObjectHead | null> {
    const { bucket, clock } = this.#options.ports;
    const put = bucket.put(key, [bytesOf(text)], { onlyIf, metadata, contentType: JSON_TYPE });
    const head = await clock.within(put, LIMITS.bucketCallMsMax, `put of ${key}`);
    return head ?? clock.within(bucket.head(key), LIMITS.bucketCallMsMax, `head of ${key}`);
  }

  /** Removes segments that no root has named for so long that no reader needs them. */
  async #removeUnnamed(run: Run): Promise<void> {
    const { table, source, ports, catalog } = this.#options;
    const old = catalog.unnamedSegments(table.name, ports.clock.now() - CATALOG_RETENTION_MS);
    if (old.length === 0) return;
    await run.keepArmed();
    const keys = old.flatMap(row => Object.values(keysOf(row)));
    try {
      const removal = ports.bucket.remove(keys);
      await ports.clock.within(removal, LIMITS.bucketCallMsMax, `removal of ${keys.length} keys`);
      catalog.removeSegments(old);
    } catch (error) {
      // Only log it: the root has landed, and the run of the next root tries the removal again.
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
