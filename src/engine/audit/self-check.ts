import { waitingUntil } from '../../alarm/backoff.ts';
import type { Run } from '../../alarm/run.ts';
import { LIMITS } from '../../config.ts';
import { messageOf, StepError } from '../../errors.ts';
import type { BucketPort, ObjectHead } from '../../ports/bucket.ts';
import type { Ports } from '../../ports/ports.ts';
import type { DataFile } from '../journal/files.ts';
import type { JournalProblems, Problem } from '../journal/problems.ts';

/** The etag of an object put whole is the MD5 of its bytes; one put in parts has another form, which says nothing. */
const MD5 = /^[0-9a-f]{32}$/;

interface Parts {
  ports: Ports;
  tables: string[];
  problems: JournalProblems;
  /** The time from the start of one check to that of the next. */
  everyMs: number;
}

/** Compares the lake with what the journal says of it, some data files a run, and looks again at what is damaged. */
export class SelfCheck {
  readonly #ports: Ports;
  readonly #tables: string[];
  readonly #problems: JournalProblems;
  readonly #everyMs: number;

  constructor({ ports, tables, problems, everyMs }: Parts) {
    this.#ports = ports;
    this.#tables = tables;
    this.#problems = problems;
    this.#everyMs = everyMs;
  }

  /** Goes on with the check, and begins one when its time has come. Throws `StepError` when the bucket does not answer. */
  async work(run: Run, { periodic }: { periodic: boolean }): Promise<void> {
    const { clock } = this.#ports;
    if (!this.#isRunning()) {
      if (this.nextMs(clock.now(), { periodic }) !== clock.now()) return;
      this.#problems.begin(this.#tables, clock.now());
    }
    const endMs = clock.now() + LIMITS.auditStepMsMax;
    for (let files = 0; this.#isRunning() && files < LIMITS.selfCheckFilesPerRun && clock.now() < endMs; ) {
      const check = this.#problems.check();
      const looks = await this.#look(this.#problems.nextFiles(check), run);
      this.#problems.advance(check, looks, clock.now());
      files += looks.length;
    }
  }

  /** Looks again at what is damaged, and throws `lake-damaged` while something is. */
  async lookAgain(run: Run): Promise<void> {
    const before = this.#problems.problems();
    for (const table of new Set(before.filter(isRange).map(problem => problem.table_name)))
      this.#problems.recheckRanges(table, this.#ports.clock.now());
    const places = new Map(before.filter(problem => !isRange(problem)).map(problem => [placeOf(problem), problem]));
    const files: DataFile[] = [];
    for (const problem of places.values()) {
      const file = this.#problems.fileAt(problem);
      if (file) files.push(file);
      else this.#problems.replace(problem, [], this.#ports.clock.now());
    }
    for (const { file, found } of await this.#look(files, run))
      this.#problems.replace(file, found, this.#ports.clock.now());
    const [first, ...others] = this.#problems.problems();
    // Problems that were counted and had no room are found again by another check.
    const isMore = before.length > 0 && this.#problems.check().problems > LIMITS.auditNamesMax;
    if (!first && isMore) this.#problems.request();
    if (!first) return;
    const more = others.length > 0 ? ` (and ${others.length} more)` : '';
    throw new StepError(
      'lake-damaged',
      `${first.key}: ${first.subject}: expected ${first.expected}, got ${first.actual}${more}`,
    );
  }

  /** When the next one begins, or goes on; null when none is asked for and none comes by itself. */
  nextMs(nowMs: number, { periodic }: { periodic: boolean }): number | null {
    const { requested, started_ms } = this.#problems.check();
    if (requested === 1 || this.#isRunning()) return nowMs;
    if (!periodic) return null;
    if (started_ms === null) return nowMs;
    return Math.max(nowMs, waitingUntil(started_ms + this.#everyMs, nowMs, this.#everyMs));
  }

  get isDamaged(): boolean {
    return this.#problems.problems().length > 0;
  }

  #isRunning(): boolean {
    const { started_ms, ended_ms } = this.#problems.check();
    return started_ms !== null && ended_ms === null;
  }

  /** Looks at files, at the first of them at least, until the time for it is over. */
  async #look(files: DataFile[], run: Run): Promise<{ file: DataFile; found: Problem[] }[]> {
    const looks: { file: DataFile; found: Problem[] }[] = [];
    const endMs = this.#ports.clock.now() + LIMITS.auditStepMsMax;
    for (let first = 0; first < files.length; first += LIMITS.selfCheckFilesAtOnce) {
      if (first > 0 && this.#ports.clock.now() >= endMs) break;
      await run.keepArmed();
      const some = files.slice(first, first + LIMITS.selfCheckFilesAtOnce);
      looks.push(...(await Promise.all(some.map(async file => ({ file, found: await this.#lookAt(file) })))));
    }
    return looks;
  }

  async #lookAt(file: DataFile): Promise<Problem[]> {
    const { table_name, first_lsn, key } = file;
    const problem = (subject: Problem['subject'], expected: string, actual: string): Problem[] => [
      { table_name, first_lsn, subject, key, expected, actual },
    ];
    const head = await this.#ask('head', key, bucket => bucket.head(key));
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
    const read = (size: number) => this.#ask('tail', key, bucket => bucket.tail(key, Math.min(size, bytes)));
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

  #ask<T>(call: string, key: string, ask: (bucket: BucketPort) => Promise<T>): Promise<T> {
    return this.#ports.clock.within(ask(this.#ports.bucket), LIMITS.bucketCallMsMax, `${call} of ${key}`);
  }
}

function hasOtherBytes({ etag }: DataFile, head: ObjectHead): boolean {
  return MD5.test(etag) && MD5.test(head.etag) && etag !== head.etag;
}

function footerText({ rows, firstLsn, lastLsn }: { rows: number; firstLsn: number; lastLsn: number }): string {
  return `${rows} rows of LSN ${firstLsn} to ${lastLsn}`;
}

function placeOf({ table_name, first_lsn }: Problem): string {
  return `${table_name} ${first_lsn}`;
}

function isRange({ subject }: Problem): boolean {
  return subject === 'range';
}
