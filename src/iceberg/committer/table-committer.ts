import type { Table } from '../../../schemas/table.ts';
import type { Run } from '../../alarm/run.ts';
import type { CatalogSettings } from '../../config.ts';
import { StepError } from '../../errors.ts';
import { exactJson, parseExactJson } from '../../exact-json.ts';
import { LIMITS, SECOND } from '../../limits.ts';
import { type CommitRequest, planAppend } from '../append/append.ts';
import { type CopiedFile, rowCount } from '../append/data-file.ts';
import { CatalogError } from '../errors.ts';
import { checkHistory } from '../format/history.ts';
import { copyUri, objectKey } from '../format/location.ts';
import { committedLsn, currentSnapshot, type TableMetadata } from '../format/table-metadata.ts';
import { REQUEST_MS_MAX, type RestCatalog } from '../rest/client.ts';
import { openTable } from '../rest/open-table.ts';
import { consecutiveFiles, copyFile, readCopy } from './copies.ts';
import type { CommitterPorts } from './ports.ts';
import type { CommitAttempt, CommitState, LastCommit, WaitingFile } from './state.ts';

/** Files in one answer of a source to the committer: more than one commit takes. */
const COMMIT_FILES_LISTED_MAX = 1_000;
/** A source's object answers from its SQLite, in well under a second. */
const SOURCE_CALL_MS_MAX = 20 * SECOND;

/** Creating a table takes six requests, each with its own deadline. */
const OPEN_TABLE = { ms: 6 * REQUEST_MS_MAX, subject: 'open table' };
/** The client may have to request the catalog's configuration first. */
const COMMIT = { ms: 2 * REQUEST_MS_MAX, subject: 'commit' };

interface TableCommitterOptions {
  table: Table;
  /** The id of the table's source. */
  source: string;
  /** The bucket's name in the table's location. */
  bucketName: string;
  pace: CatalogSettings['pace'];
  ports: CommitterPorts;
  state: CommitState;
  catalog: RestCatalog;
}

/**
 * Commits one table's data files to the catalog, in LSN order. Only the property of the catalog's table says what is
 * committed. The committer's own state saves work, and may be lost at every await.
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

  /** Lists the source's new files, copies them, and commits them when they are due. Throws the first failure. */
  async work(run: Run): Promise<void> {
    const { name } = this.table;
    // Load the catalog's table if its state or an attempt's outcome is unknown, and only then, because the answer grows
    // with every snapshot.
    const { location, committed_lsn: committed, attempt } = this.#state.table(name);
    if (location === null || committed === null || attempt !== null) await this.#openTable(run);
    // List the files after the committed LSN.
    await this.#listFiles(run);
    // Copy them under the table's location, as far as the run's time allows.
    await this.#copyFiles(run);
    // Commit them once they are due and all are copied.
    if (this.#isDue() && this.#nextFiles().every(file => file.copied === 1)) await this.#commit(run);
    // Set when the table is worked on next.
    this.#state.setNextMs(name, this.#nextMs());
  }

  /** Loads the catalog's table, which shows the last attempt's outcome. Sends an attempt that is still open again. */
  async #openTable(run: Run): Promise<TableMetadata> {
    const metadata = await this.#loadTable(run);
    const attempt = this.#reconcile(metadata);
    // The same request on the same base is safe: once either of the two succeeds, the other fails its base check.
    return attempt === null ? metadata : this.#send(run, attempt);
  }

  /** Loads the catalog's table. Throws `rolled-back` until a person says what becomes of rows that it lost. */
  async #loadTable(run: Run): Promise<TableMetadata> {
    const metadata = await run.call(() => openTable(this.#catalog, this.table), OPEN_TABLE);
    const committed = committedLsn(metadata);
    const known = this.#state.table(this.table.name);
    // A lower LSN in the same table is that of a person who has rolled it back and set its property.
    const isLowered = known.location === metadata.location && committed < (known.committed_lsn ?? 0);
    if (isLowered) this.#setRolledBack(metadata, known.committed_lsn!);
    try {
      checkHistory(this.table, metadata);
    } catch (error) {
      this.#setRolledBack(metadata, committed);
      throw error;
    }
    return metadata;
  }

  /**
   * Sets the copies of rows that are committed again apart, because the catalog may remove those that the snapshots of
   * before name. Drops an attempt of before: should it still arrive, it succeeds only on its own base, with its own LSN.
   */
  #setRolledBack(metadata: TableMetadata, toLsn: number): void {
    this.#state.setRolledBack(this.table.name, { toLsn, mark: String(metadata['last-sequence-number']) });
  }

  /**
   * Stores what the table's property says is committed. Returns the attempt whose outcome is still open: it is not
   * committed, and the table is at the snapshot that the attempt was planned on.
   */
  #reconcile(metadata: TableMetadata): CommitAttempt | null {
    const { name } = this.table;
    const committed = committedLsn(metadata);
    const attempt = this.#state.attempt(name);
    const isCommitted = attempt !== null && committed >= attempt.committedLsn;
    // On another base the attempt can no longer succeed, however late it arrives.
    const isOpen = attempt !== null && !isCommitted && isBase(attempt, metadata);
    const lastCommit = isCommitted ? this.#logCommit(attempt) : this.#state.lastCommit(name);
    const { location } = metadata;
    this.#state.recordTable(name, { location, committedLsn: committed, attempt: isOpen ? attempt : null, lastCommit });
    return isOpen ? attempt : null;
  }

  /** Logs an attempt that succeeded, and returns it as the table's last commit. */
  #logCommit({ snapshotId: snapshot, files, rows, committedLsn: lastLsn }: CommitAttempt): LastCommit {
    this.#ports.log('catalog_committed', { table: this.table.name, snapshot, files, rows, last_lsn: lastLsn });
    return { atMs: this.#ports.clock.now(), snapshot, files, rows };
  }

  /** Asks the source for its files after the committed LSN, and stores those that the next commit takes. */
  async #listFiles(run: Run): Promise<void> {
    const { name } = this.table;
    const committed = this.#state.table(name).committed_lsn ?? 0;
    const query = { table: name, after: committed, limit: COMMIT_FILES_LISTED_MAX };
    const list = () => this.#ports.files.liveFiles(this.source, query);
    const listed = await run.call(list, { ms: SOURCE_CALL_MS_MAX, subject: `files of ${this.source}` });
    const { next, waiting } = consecutiveFiles(listed, committed);
    this.#state.setFilesWaiting(name, waiting);
    this.#state.setWaiting(name, next.slice(0, this.#pace.commitFiles), this.#ports.clock.now());
  }

  async #copyFiles(run: Run): Promise<void> {
    const { name } = this.table;
    const copied = { files: 0, bytes: 0 };
    for (const file of this.#nextFiles()) {
      if (file.copied === 1) continue;
      if (run.over) break;
      await copyFile(this.#ports.bucket, run, { file, key: this.#copyLocation(file).key });
      this.#state.setCopied(name, file.first_lsn, true);
      copied.files += 1;
      copied.bytes += file.bytes;
    }
    if (copied.files > 0) this.#ports.log('catalog_copied', { table: name, ...copied });
  }

  #copyLocation({ first_lsn: firstLsn, last_lsn: lastLsn }: WaitingFile): { uri: string; key: string } {
    const { location } = this.#state.table(this.table.name);
    const committedAgain = this.#state.committedAgain(this.table.name);
    const again = committedAgain && firstLsn <= committedAgain.toLsn ? committedAgain.mark : null;
    const uri = copyUri(location!, { firstLsn, lastLsn, again });
    return { uri, key: objectKey(uri, this.#bucketName) };
  }

  #nextFiles(): WaitingFile[] {
    return this.#state.waiting(this.table.name);
  }

  #isDue(): boolean {
    const dueMs = this.#dueMs();
    return dueMs !== null && dueMs <= this.#ports.clock.now();
  }

  /** When the next commit is due; null while no file waits for it. */
  #dueMs(): number | null {
    const files = this.#nextFiles();
    if (files.length === 0) return null;
    if (files.length >= this.#pace.commitFiles) return 0;
    return Math.min(...files.map(file => file.seen_ms)) + this.#pace.commitMs;
  }

  /** Commits all files that come next as one snapshot. */
  async #commit(run: Run): Promise<void> {
    const { name } = this.table;
    // Load the table to plan on its current snapshot. This may show that some of the files are committed already.
    const before = this.#state.table(name).committed_lsn ?? 0;
    const metadata = await this.#openTable(run);
    // Rows that a person lets be committed again come first: list the files anew.
    if (committedLsn(metadata) < before) return this.#listFiles(run);
    // Read the facts of each copy from its footer.
    const files: CopiedFile[] = [];
    for (const file of this.#nextFiles()) files.push(await this.#readCopy(run, file));
    if (files.length === 0) return;
    // Plan the append and write its metadata files.
    const snapshotId = this.#ports.newSnapshotId();
    const nowMs = this.#ports.clock.now();
    const read = (uri: string) => this.#readMetadataFile(run, uri);
    const append = await planAppend({ table: this.table, metadata, files, snapshotId, nowMs }, read);
    for (const { uri, bytes } of append.metadataFiles) await this.#putMetadataFile(run, uri, bytes);
    // Store the attempt before sending it, so that after a crash no other is sent until its outcome is known.
    const attempt: CommitAttempt = {
      tableUuid: metadata['table-uuid'],
      baseId: baseOf(metadata),
      snapshotId: String(snapshotId),
      body: exactJson(append.commit),
      committedLsn: append.committedLsn,
      files: files.length,
      rows: rowCount(files),
    };
    this.#state.setAttempt(name, attempt);
    // Send it.
    await this.#send(run, attempt);
  }

  async #readCopy(run: Run, file: WaitingFile): Promise<CopiedFile> {
    // Loading the table may have shown another location, because the table was dropped and created again.
    if (file.copied === 0) await copyFile(this.#ports.bucket, run, { file, key: this.#copyLocation(file).key });
    try {
      return await readCopy(this.#ports, run, { file, ...this.#copyLocation(file) });
    } catch (error) {
      // Copy the file again, or check its copy, before the next attempt.
      if (error instanceof CatalogError) this.#state.setCopied(this.table.name, file.first_lsn, false);
      throw error;
    }
  }

  /** Sends an attempt. The table shows its outcome: in the answer or, without one, when the table is loaded next. */
  async #send(run: Run, attempt: CommitAttempt): Promise<TableMetadata> {
    const { name } = this.table;
    const commit = parseExactJson(attempt.body) as CommitRequest;
    try {
      const metadata = await run.call(() => this.#catalog.commit(name, commit), COMMIT);
      this.#reconcile(metadata);
      if (committedLsn(metadata) >= attempt.committedLsn) return metadata;
      throw new CatalogError('unanswered', `catalog commit ${name}: expected the new rows in its answer, got none`, {
        hint: 'The committer loads the table again to see whether the commit was carried out.',
        outcomeUnknown: true,
      });
    } catch (error) {
      // The catalog rejected this attempt permanently, so drop it. If an earlier copy of the same request is still in
      // flight and wins, the next attempt fails its base check and reloads the table.
      if (error instanceof CatalogError && error.kind === 'refused') this.#state.setAttempt(name, null);
      throw error;
    }
  }

  #readMetadataFile(run: Run, uri: string): Promise<Uint8Array | null> {
    const key = objectKey(uri, this.#bucketName);
    return run.call(() => this.#ports.bucket.read(key), { ms: LIMITS.bucketCallMsMax, subject: 'table metadata' });
  }

  async #putMetadataFile(run: Run, uri: string, bytes: Uint8Array): Promise<void> {
    const key = objectKey(uri, this.#bucketName);
    const options = { onlyIf: { absent: true as const }, metadata: {}, contentType: 'application/octet-stream' };
    const put = () => this.#ports.bucket.put(key, [bytes], options);
    const head = await run.call(put, { ms: LIMITS.bucketCallMsMax, subject: 'put of table metadata' });
    if (head === null) throw new StepError('internal', `${key}: expected no object under a new snapshot id, got one`);
  }

  /** When there is work to do: at once when files wait to be copied, or when more wait than one commit takes. */
  #nextMs(): number {
    const nowMs = this.#ports.clock.now();
    const files = this.#nextFiles();
    const hasMore = files.length === 0 && this.#state.table(this.table.name).files_waiting > 0;
    if (hasMore || files.some(file => file.copied === 0)) return nowMs;
    return Math.max(nowMs, Math.min(this.#dueMs() ?? Number.POSITIVE_INFINITY, nowMs + LIMITS.commitCheckMs));
  }
}

function isBase(attempt: CommitAttempt, metadata: TableMetadata): boolean {
  return attempt.tableUuid === metadata['table-uuid'] && attempt.baseId === baseOf(metadata);
}

function baseOf(metadata: TableMetadata): string | null {
  const base = currentSnapshot(metadata);
  return base === null ? null : String(base['snapshot-id']);
}
