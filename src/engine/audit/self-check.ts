import { waitingUntil } from '../../alarm/backoff.ts';
import type { Run } from '../../alarm/run.ts';
import { LIMITS } from '../../config.ts';
import { messageOf, StepError } from '../../errors.ts';
import type { BucketPort, ObjectHead } from '../../ports/bucket.ts';
import type { Ports } from '../../ports/ports.ts';
import type { DataFile } from '../journal/files.ts';
import type { JournalProblems, Problem } from '../journal/problems.ts';

/** Data files that a self-check reads in one run: two ranged reads each. */
const SELF_CHECK_FILES_PER_RUN = 50;

/** The etag of an object that was put whole is the MD5 of its bytes; that of a multipart upload has another form. */
const MD5 = /^[0-9a-f]{32}$/;

interface SelfCheckOptions {
  ports: Ports;
  tables: string[];
  problems: JournalProblems;
  /** The time from the start of one check to that of the next. */
  everyMs: number;
}

/** Compares the lake with the journal's `files`, some data files a run, and checks damaged files again in each run. */
export class SelfCheck {
  readonly #ports: Ports;
  readonly #tables: string[];
  readonly #problems: JournalProblems;
  readonly #everyMs: number;

  constructor({ ports, tables, problems, everyMs }: SelfCheckOptions) {
    this.#ports = ports;
    this.#tables = tables;
    this.#problems = problems;
    this.#everyMs = everyMs;
  }

  /** Continues the running check, or starts one that is due. Throws `StepError` when the bucket does not answer. */
  async work(run: Run, { periodic }: { periodic: boolean }): Promise<void> {
    const { clock } = this.#ports;
    // Start a check when none is running and one is due.
    if (!this.#isRunning()) {
      if (this.nextMs(clock.now(), { periodic }) !== clock.now()) return;
      this.#problems.start(this.#tables, clock.now());
    }
    // Check files until the run has had its share.
    const endMs = clock.now() + LIMITS.auditStepMsMax;
    for (let files = 0; this.#isRunning() && files < SELF_CHECK_FILES_PER_RUN && clock.now() < endMs; ) {
      const check = this.#problems.current();
      const results = await this.#checkFiles(this.#problems.nextFiles(check), run);
      this.#problems.advance(check, results, clock.now());
      files += results.length;
    }
  }

  /** Checks damaged files and ranges again. Throws `lake-damaged` while one is still damaged. */
  async recheckDamage(run: Run): Promise<void> {
    // Check the LSN ranges again of tables that have a problem there.
    const before = this.#problems.problems();
    for (const table of new Set(before.filter(isRange).map(problem => problem.table_name)))
      this.#problems.checkRanges(table, this.#ports.clock.now());
    // Check files again that have a problem; a file that is no longer in `files` has none.
    const damaged = new Map(before.filter(problem => !isRange(problem)).map(problem => [fileIdOf(problem), problem]));
    const files: DataFile[] = [];
    for (const problem of damaged.values()) {
      const file = this.#problems.fileAt(problem);
      if (file) files.push(file);
      else this.#problems.replace(problem, [], this.#ports.clock.now());
    }
    for (const { file, found } of await this.#checkFiles(files, run))
      this.#problems.replace(file, found, this.#ports.clock.now());
    // Request another check when all known problems are gone and there were more than the journal stores.
    const [first, ...others] = this.#problems.problems();
    const isMore = before.length > 0 && this.#problems.current().problems > LIMITS.auditNamesMax;
    if (!first && isMore) this.#problems.request();
    if (!first) return;
    const more = others.length > 0 ? ` (and ${others.length} more)` : '';
    throw new StepError(
      'lake-damaged',
      `${first.key}: ${first.subject}: expected ${first.expected}, got ${first.actual}${more}`,
    );
  }

  /** When the check continues or the next one starts; null when none is requested and none is `periodic`. */
  nextMs(nowMs: number, { periodic }: { periodic: boolean }): number | null {
    const { requested, started_ms } = this.#problems.current();
    if (requested === 1 || this.#isRunning()) return nowMs;
    if (!periodic) return null;
    if (started_ms === null) return nowMs;
    return Math.max(nowMs, waitingUntil(started_ms + this.#everyMs, nowMs, this.#everyMs));
  }

  get isDamaged(): boolean {
    return this.#problems.problems().length > 0;
  }

  #isRunning(): boolean {
    const { started_ms, ended_ms } = this.#problems.current();
    return started_ms !== null && ended_ms === null;
  }

  /** Checks files until their time in this run is over, the first ones in any case. */
  async #checkFiles(files: DataFile[], run: Run): Promise<{ file: DataFile; found: Problem[] }[]> {
    const results: { file: DataFile; found: Problem[] }[] = [];
    const endMs = this.#ports.clock.now() + LIMITS.auditStepMsMax;
    for (let first = 0; first < files.length; first += LIMITS.selfCheckFilesAtOnce) {
      if (first > 0 && this.#ports.clock.now() >= endMs) break;
      await run.keepArmed();
      const some = files.slice(first, first + LIMITS.selfCheckFilesAtOnce);
      results.push(...(await Promise.all(some.map(async file => ({ file, found: await this.#checkFile(file) })))));
    }
    return results;
  }

  async #checkFile(file: DataFile): Promise<Problem[]> {
    const { table_name, first_lsn, key } = file;
    const problem = (subject: Problem['subject'], expected: string, actual: string): Problem[] => [
      { table_name, first_lsn, subject, key, expected, actual },
    ];
    const head = await this.#callBucket('head', key, bucket => bucket.head(key));
    if (!head) return problem('object', `${file.bytes} bytes`, 'nothing');
    if (head.bytes !== file.bytes) return problem('size', `${file.bytes} bytes`, `${head.bytes} bytes`);
    if (head.metadata.digest !== file.digest)
      return problem('digest', file.digest, head.metadata.digest?.slice(0, 100) ?? 'none');
    if (hasOtherBytes(file, head)) return problem('bytes', `MD5 ${file.etag}`, `MD5 ${head.etag}`);
    const expected = footerText({ rows: file.rows, firstLsn: first_lsn, lastLsn: file.last_lsn });
    const actual = await this.#footer(key, head.bytes);
    return actual === expected ? [] : problem('footer', expected, actual);
  }

  async #footer(key: string, bytes: number): Promise<string> {
    const { encode } = this.#ports;
    const read = (size: number) => this.#callBucket('tail', key, bucket => bucket.tail(key, Math.min(size, bytes)));
    const end = await read(LIMITS.footerBytes);
    if (!end) return 'nothing';
    try {
      let footer = encode.footer(end);
      if ('endBytes' in footer && footer.endBytes <= bytes) {
        const whole = await read(footer.endBytes);
        if (!whole) return 'nothing';
        footer = encode.footer(whole);
      }
      return 'endBytes' in footer ? `a footer of ${footer.endBytes} bytes` : footerText(footer);
    } catch (error) {
      if (error instanceof StepError) throw error;
      return `no footer: ${messageOf(error).slice(0, 200)}`;
    }
  }

  #callBucket<T>(call: string, key: string, ask: (bucket: BucketPort) => Promise<T>): Promise<T> {
    return this.#ports.clock.within(ask(this.#ports.bucket), LIMITS.bucketCallMsMax, `${call} of ${key}`);
  }
}

function hasOtherBytes({ etag }: DataFile, head: ObjectHead): boolean {
  return MD5.test(etag) && MD5.test(head.etag) && etag !== head.etag;
}

function footerText({ rows, firstLsn, lastLsn }: { rows: number; firstLsn: number; lastLsn: number }): string {
  return `${rows} rows of LSN ${firstLsn} to ${lastLsn}`;
}

function fileIdOf({ table_name, first_lsn }: Problem): string {
  return `${table_name} ${first_lsn}`;
}

function isRange({ subject }: Problem): boolean {
  return subject === 'range';
}
