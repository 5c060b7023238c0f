import type { Table } from '../../../schemas/table.ts';
import type { Run } from '../../alarm/run.ts';
import { type CatalogSettings, LIMITS } from '../../config.ts';
import { StepError } from '../../errors.ts';
import { type CommitRequest, planAppend } from '../append/append.ts';
import type { PlacedFile } from '../append/data-file.ts';
import { CatalogError } from '../errors.ts';
import { exactJson, parseExactJson } from '../format/exact-json.ts';
import { objectKey, placedFileUri } from '../format/location.ts';
import { committedLsn, currentSnapshot, type TableMetadata } from '../format/table-metadata.ts';
import { REQUEST_MS_MAX, type RestCatalog } from '../rest/client.ts';
import { openTable } from '../rest/open-table.ts';
import { placedFile, placeFile, runOf } from './copies.ts';
import type { CommitterPorts } from './ports.ts';
import type { Attempt, CommitState, WaitingFile } from './state.ts';

/** Making a table takes six requests, each with its own deadline. */
const OPEN = { ms: 6 * REQUEST_MS_MAX, subject: 'opening the table' };
/** The configuration may have to be asked for before it. */
const COMMIT = { ms: 2 * REQUEST_MS_MAX, subject: 'commit' };

interface TableCommitterOptions {
  table: Table;
  /** The id of its source. */
  source: string;
  /** The name of the bucket, as it stands in the table's locations. */
  bucketName: string;
  pace: CatalogSettings['pace'];
  ports: CommitterPorts;
  state: CommitState;
  catalog: RestCatalog;
}

/**
 * Brings one table's data files into the catalog, in the order of their LSNs. What is committed is what the table's own
 * property says; all that is remembered here are ways to it, and may be lost at every await.
 */
export class TableCommitter {
  readonly table: Table;
  readonly source: string;
  readonly #bucketName: string;
  readonly #pace: CatalogSettings['pace'];
  readonly #ports: CommitterPorts;
  readonly #state: CommitState;
  readonly #catalog: RestCatalog;

  constructor({ table, source, bucketName, pace, ports, state, catalog }: TableCommitterOptions) {
    this.table = table;
    this.source = source;
    this.#bucketName = bucketName;
    this.#pace = pace;
    this.#ports = ports;
    this.#state = state;
    this.#catalog = catalog;
  }

  /** One look: asks the source for new files, copies them, commits them once it is time. Throws what stands in the way. */
  async work(run: Run): Promise<void> {
    const { name } = this.table;
    const { location, committed_lsn: committed, attempt } = this.#state.table(name);
    // The table in the catalog is asked only where something has to be known of it: its answers grow with its snapshots.
    if (location === null || committed === null || attempt !== null) await this.#open(run);
    await this.#ask(run);
    await this.#place(run);
    if (this.#isDue() && this.#nextFiles().every(file => file.placed === 1)) await this.#commit(run);
    this.#state.setNext(name, this.#nextMs());
  }

  /** The table as it is now, and with it what became of the last attempt. One the table still waits for is sent again. */
  async #open(run: Run): Promise<TableMetadata> {
    const metadata = await run.call(() => openTable(this.#catalog, this.table), OPEN);
    const attempt = this.#settle(metadata);
    // The same request once more, on the same base: whichever of the two arrives first, the other cannot.
    return attempt === null ? metadata : this.#send(run, attempt);
  }

  /**
   * Takes what is committed from the table's property, and from nothing else. Gives back the attempt whose outcome is still
   * open: the table is as it was when that was made.
   */
  #settle(metadata: TableMetadata): Attempt | null {
    const { name } = this.table;
    const committed = committedLsn(metadata);
    const attempt = this.#state.attempt(name);
    const isCommitted = attempt !== null && committed >= attempt.committedLsn;
    // On another base it cannot be carried out any more, however late it arrives.
    const isOpen = attempt !== null && !isCommitted && isBase(attempt, metadata);
    const lastCommit = isCommitted ? this.#landed(attempt) : this.#state.lastCommit(name);
    const { location } = metadata;
    this.#state.found(name, { location, committedLsn: committed, attempt: isOpen ? attempt : null, lastCommit });
    return isOpen ? attempt : null;
  }

  #landed({ snapshotId, files, rows, committedLsn: lastLsn }: Attempt) {
    const told = { table: this.table.name, snapshot: snapshotId, files, rows, last_lsn: lastLsn };
    this.#ports.log('catalog_committed', told);
    return { atMs: this.#ports.clock.now(), snapshot: snapshotId, files, rows };
  }

  /** Asks the source for the files that come next. */
  async #ask(run: Run): Promise<void> {
    const { name } = this.table;
    const committed = this.#state.table(name).committed_lsn ?? 0;
    const query = { table: name, after: committed, limit: LIMITS.commitFilesAsked };
    const ask = () => this.#ports.files.liveFiles(this.source, query);
    const offered = await run.call(ask, { ms: LIMITS.sourceCallMsMax, subject: `files of ${this.source}` });
    const { run: files, waiting } = runOf(offered, committed);
    this.#state.setFilesWaiting(name, waiting);
    this.#state.keepWaiting(name, files.slice(0, this.#pace.commitFiles), this.#ports.clock.now());
  }

  /** Copies what has no copy yet, as far as the run's time goes. */
  async #place(run: Run): Promise<void> {
    const { name } = this.table;
    const copied = { files: 0, bytes: 0 };
    for (const file of this.#nextFiles()) {
      if (file.placed === 1) continue;
      if (run.over) break;
      await placeFile(this.#ports.bucket, run, { file, key: this.#placeOf(file).key });
      this.#state.setPlaced(name, file.first_lsn, true);
      copied.files += 1;
      copied.bytes += file.bytes;
    }
    if (copied.files > 0) this.#ports.log('catalog_copied', { table: name, ...copied });
  }

  #placeOf({ first_lsn: firstLsn, last_lsn: lastLsn }: WaitingFile): { uri: string; key: string } {
    const uri = placedFileUri(this.#state.table(this.table.name).location!, { firstLsn, lastLsn });
    return { uri, key: objectKey(uri, this.#bucketName) };
  }

  #nextFiles(): WaitingFile[] {
    return this.#state.waiting(this.table.name);
  }

  #isDue(): boolean {
    const dueMs = this.#dueMs();
    return dueMs !== null && dueMs <= this.#ports.clock.now();
  }

  /** When the files that come next are to be committed; null while there are none. */
  #dueMs(): number | null {
    const files = this.#nextFiles();
    if (files.length === 0) return null;
    if (files.length >= this.#pace.commitFiles) return 0;
    return Math.min(...files.map(file => file.seen_ms)) + this.#pace.commitMs;
  }

  /** One snapshot for all files that come next. */
  async #commit(run: Run): Promise<void> {
    const { name } = this.table;
    const metadata = await this.#open(run);
    // A file that is no longer among those waiting was committed meanwhile.
    const files = this.#nextFiles();
    const placed: PlacedFile[] = [];
    for (const file of files) placed.push(await this.#placed(run, file));
    if (placed.length === 0) return;
    const snapshotId = this.#ports.newSnapshotId();
    const nowMs = this.#ports.clock.now();
    const read = (uri: string) => this.#read(run, uri);
    const append = await planAppend({ table: this.table, metadata, files: placed, snapshotId, nowMs }, read);
    for (const { uri, bytes } of append.metadataFiles) await this.#put(run, uri, bytes);
    const attempt: Attempt = {
      tableUuid: metadata['table-uuid'],
      baseId: baseOf(metadata),
      snapshotId: String(snapshotId),
      body: exactJson(append.commit),
      committedLsn: append.committedLsn,
      files: placed.length,
      rows: placed.reduce((sum, { facts }) => sum + facts.rows, 0),
    };
    // Written down before it is sent: whoever comes after a death looks for this snapshot, and sends no other before.
    this.#state.setAttempt(name, attempt);
    await this.#send(run, attempt);
  }

  async #placed(run: Run, file: WaitingFile): Promise<PlacedFile> {
    // Not placed where the table lies now: it was dropped and made anew.
    if (file.placed === 0) await placeFile(this.#ports.bucket, run, { file, key: this.#placeOf(file).key });
    try {
      return await placedFile(this.#ports, run, { file, ...this.#placeOf(file) });
    } catch (error) {
      // Copied anew, or looked at again, before the next attempt.
      if (error instanceof CatalogError) this.#state.setPlaced(this.table.name, file.first_lsn, false);
      throw error;
    }
  }

  /** Sends an attempt. What became of it is told by the table, in its answer or, without one, at the next look. */
  async #send(run: Run, attempt: Attempt): Promise<TableMetadata> {
    const { name } = this.table;
    const commit = parseExactJson(attempt.body) as CommitRequest;
    try {
      const metadata = await run.call(() => this.#catalog.commit(name, commit), COMMIT);
      this.#settle(metadata);
      if (committedLsn(metadata) >= attempt.committedLsn) return metadata;
      throw new CatalogError('unanswered', `catalog commit ${name}: expected the commit in its answer, got none`, {
        hint: 'The table is loaded again to see what became of it.',
        outcomeUnknown: true,
      });
    } catch (error) {
      // Refused for good, as it stands. Should an earlier one of the same still arrive, it takes its base from the next.
      if (error instanceof CatalogError && error.kind === 'refused') this.#state.setAttempt(name, null);
      throw error;
    }
  }

  #read(run: Run, uri: string): Promise<Uint8Array | null> {
    const key = objectKey(uri, this.#bucketName);
    return run.call(() => this.#ports.bucket.read(key), { ms: LIMITS.bucketCallMsMax, subject: 'table metadata' });
  }

  async #put(run: Run, uri: string, bytes: Uint8Array): Promise<void> {
    const key = objectKey(uri, this.#bucketName);
    const options = { onlyIf: { absent: true as const }, metadata: {}, contentType: 'application/octet-stream' };
    const put = () => this.#ports.bucket.put(key, [bytes], options);
    const head = await run.call(put, { ms: LIMITS.bucketCallMsMax, subject: 'put of table metadata' });
    if (head === null) throw new StepError('internal', `${key}: expected none under a new snapshot's name, got one`);
  }

  /** When there is something to do: at once where files are still to be copied or more than one commit takes is there. */
  #nextMs(): number {
    const nowMs = this.#ports.clock.now();
    const files = this.#nextFiles();
    const isMore = files.length === 0 && this.#state.table(this.table.name).files_waiting > 0;
    if (isMore || files.some(file => file.placed === 0)) return nowMs;
    return Math.max(nowMs, Math.min(this.#dueMs() ?? Number.POSITIVE_INFINITY, nowMs + LIMITS.commitLookMs));
  }
}

function isBase(attempt: Attempt, metadata: TableMetadata): boolean {
  return attempt.tableUuid === metadata['table-uuid'] && attempt.baseId === baseOf(metadata);
}

function baseOf(metadata: TableMetadata): string | null {
  const base = currentSnapshot(metadata);
  return base === null ? null : String(base['snapshot-id']);
}
