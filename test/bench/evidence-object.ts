import { DurableObject } from 'cloudflare:workers';
import { JournalEvidence } from '../../src/engine/journal/evidence.ts';
import { Journal } from '../../src/engine/journal/journal.ts';
import { openJournal } from '../../src/engine/journal/open.ts';
import type { EncodePort } from '../../src/ports/data-file.ts';
import type { RowFindings } from '../../src/ports/inlet.ts';
import { objectSql } from '../../src/worker/bindings.ts';

/** One kind of work, and how often it is done in one request: within it no clock of the runtime moves. */
export interface EvidenceWork {
  kind: 'nothing' | 'fill' | 'fold' | 'lookup' | 'hot' | 'counts' | 'counts-hot' | 'accept';
  times: number;
  /** The first row of a `fill`. */
  from: number;
}

/** Items that each row gives, and rows that give an item of one key. */
const ITEMS = 4;
const ROWS_PER_KEY = 5;
/** One row in so many also names a key that very many name. */
const HOT_EVERY = 25;
const HOT = 'hot.example';

const inlet = { source: 'npm', table: 'npm_package' };
const rules = {
  read: (text: string) => ({ key: text, space: 'example' }),
  next: ({ nowMs }: { nowMs: number }) => ({ atMs: nowMs + 86_400_000, reason: 'regular' }),
};

/** The evidence of a real object's SQLite, asked for one kind of work at a time. */
export class Bench extends DurableObject {
  override async fetch(request: Request): Promise<Response> {
    const { kind, times, from } = (await request.json()) as EvidenceWork;
    const sql = objectSql(this.ctx.storage);
    openJournal(sql, 'bench', []);
    const pace = { waitMs: 10_000, attemptsMax: 20, leaseMs: 300_000 };
    const journal = new Journal(sql, {} as EncodePort, { pace, agenda: rules, inlets: [inlet] });
    const inlets = journal.inlets!;
    const counts = new JournalEvidence(sql, { counts: true });
    inlets.begin(inlet, { identity: 'bench', nowMs: Date.now() });
    const keys = sql.exec<{ keys: number }>('SELECT count(*) AS keys FROM evidence_keys')[0]!.keys;
    let done = 0;
    const append = (rows: RowFindings[]) => {
      const { lsn: lsnBefore } = inlets.find(inlet);
      const numbered = rows.map((row, index) => ({ ...row, lsn: lsnBefore + index + 1 }));
      inlets.append({ inlet, identity: 'bench', lsnBefore, rows: numbered, nowMs: Date.now() });
      done += rows.length;
    };
    if (kind === 'fill')
      for (let part = 0; part < times; part += 500)
        append(Array.from({ length: Math.min(500, times - part) }, (_, index) => rowOf(from + part + index, 'first')));
    for (let round = 0; round < times; round++) {
      const number = Math.floor((Math.random() * 0.9 * keys * ROWS_PER_KEY) / ITEMS);
      const key = keyOf(number, 0);
      // A row that says other facts of the same items: each is replaced, and its keys are due.
      if (kind === 'fold') append([rowOf(number, `${Math.random()}`)]);
      if (kind === 'lookup') done += journal.evidence!.of(key).evidence.items.length;
      if (kind === 'hot') done += journal.evidence!.of(HOT).evidence.items.length;
      if (kind === 'counts') done += counts.of(key).evidence.counts!.facts.length;
      if (kind === 'counts-hot') done += counts.of(HOT).evidence.counts!.facts.length;
      if (kind === 'accept') done += accept(journal, sql, key);
    }
    return Response.json({ done, ...sql.exec<{ items: number }>('SELECT items FROM inlets')[0] });
  }
}

/** A visit: its evidence is gathered, and its outcome accepted. */
function accept(journal: Journal, sql: ReturnType<typeof objectSql>, key: string): number {
  const { evidence } = journal.evidence!.of(key);
  const seen = {
    found: true,
    always: false,
    partial: false,
    digests: { domain: 'x'.repeat(22) },
    mainDigest: 'x'.repeat(22),
    facts: {},
  };
  const outcome = { kind: 'rows' as const, rows: [], revision: null, documentBytes: 0, seen };
  const change = { key, cursor: '1', deleted: false, revision: null, skip: null };
  const visit = { change, outcome, evidenceVersion: evidence.version };
  sql.transaction(() => journal.visits!.accept(visit, { nowMs: Date.now(), rowState: 'missing' }));
  return evidence.items.length;
}

/** The key that an item of a row is of: neighbouring rows name the same keys. */
function keyOf(number: number, item: number): string {
  return `company-${Math.floor(number / ROWS_PER_KEY)}-${item}.example`;
}

function rowOf(number: number, text: string): RowFindings {
  const findings = Array.from({ length: ITEMS }, (_, item) => {
    const key = item === 0 && number % HOT_EVERY === 0 ? HOT : keyOf(number, item);
    const facts = { role: item === 0 ? 'author' : 'maintainer', pattern: ['first', 'first.last', 'flast'][number % 3] };
    const sample = `Person ${number} ${item} <person-${number}@${key}> ${text}`.slice(0, 80);
    return { key, space: 'example', item: `person-${number}-${item}`, facts: JSON.stringify(facts), sample };
  });
  return { lsn: 0, key: `@scope/package-${number}`, findings, refused: {} };
}

export default {
  fetch: (request: Request, env: { BENCH: DurableObjectNamespace }) =>
    request.method === 'POST' ? env.BENCH.getByName('bench').fetch(request) : Response.json({}),
};
