import { openJournal } from '../../src/engine/journal/open.ts';
import type { SqlValue } from '../../src/ports/sql.ts';
import { PARQUET } from '../simulation/world/encode.ts';
import { nodeSql } from '../simulation/world/node-sql.ts';
import { followed, pass, startedWorld, type World } from '../simulation/world/world.ts';
import { type Bench, digits, type Figure, type Size } from './report.ts';
import { type Rows, type Statement, WrittenRows } from './written.ts';

/** `known`: keys that are in the lake before. */
const SIZES: Record<Size, { changes: number; known: number }> = {
  full: { changes: 2_000, known: 1_000 },
  tiny: { changes: 10, known: 5 },
};
/** Of a hundred changes so many are of new keys, and so many are deletions; the others are of known keys. */
const NEW = 30;
const DELETED = 2;
/** npm's own pace, as its source's settings have it. */
const NPM = { pageChanges: 1_000, settleMs: 10_000, requestsPerSecond: 5 };
/** npm's average. */
const BETWEEN_MS = 4_000;
/** A document's text: its size decides nothing here but what SQLite and files hold. */
const TEXT = 'x'.repeat(1_000);

/** List prices in US dollars, read on 2026-11-23: R2 Standard and Durable Objects, for a million each. */
const PRICE = { classA: 4.5, classB: 0.36, objectRequest: 0.15, gigabyteSecond: 12.5 };
/** An object is charged as this much memory. */
const OBJECT_GIGABYTES = 0.128;

interface Count {
  /** Changes accepted: of a key that changes again before it is read, the feed shows the last only. */
  changes: number;
  calls(pattern: RegExp): number;
  puts: number;
  heads: number;
  requests: number;
  runs: number;
  seconds: number;
  files: number;
  object: Rows;
  database: Rows;
}

/** What changes cost in operations: the engine on ports in memory, its SQL repeated on the runtime's own SQLite. */
export const operations: Bench = { name: 'operations', run };

async function* run(size: Size): AsyncGenerator<Figure> {
  const { changes, known } = SIZES[size];
  const rows = await WrittenRows.start(['following', 'catching_up']);
  try {
    const steady = await count({ known, rows, name: 'following' }, async (world, publish) => {
      for (let i = 0; i < changes; i++) {
        publish(i);
        await pass(world, BETWEEN_MS);
      }
    });
    yield* figuresOf('following', steady);
    const catchUp = await count({ known, rows, name: 'catching_up' }, async (_, publish) => {
      for (let i = 0; i < changes; i++) publish(i);
    });
    yield* figuresOf('catching up', catchUp);
  } finally {
    await rows.stop();
  }
}

/** Counts what a feed costs; the statements are repeated on the object and the database of this name. */
async function count(
  { known, rows, name }: { known: number; rows: WrittenRows; name: string },
  feed: (world: World, publish: (i: number) => void) => Promise<void>,
): Promise<Count> {
  const world = await startedWorld({ ...NPM, encoding: PARQUET });
  const statements = record(world);
  for (let key = 0; key < known; key++) world.upstream.publish(`known-${key}`, TEXT);
  await followed(world);
  await rows.object(name, schema());
  await rows.object(name, statements.object.splice(0));
  await rows.database(name, statements.database.splice(0));
  const before = snapshot(world, statements.heads.length);
  await feed(world, i => publishOne(world, i, known));
  await followed(world);
  const after = snapshot(world, statements.heads.length);
  const made = world.calls.made.slice(before.made);
  return {
    changes: after.changes - before.changes,
    calls: pattern => made.filter(call => pattern.test(call)).length,
    puts: after.puts - before.puts,
    heads: after.heads - before.heads,
    requests: after.requests - before.requests,
    runs: after.runs - before.runs,
    seconds: (after.elapsedMs - before.elapsedMs) / 1_000,
    files: after.files - before.files,
    object: await rows.object(name, statements.object),
    database: await rows.database(name, statements.database),
  };
}

function publishOne(world: World, i: number, keys: number): void {
  const place = i % 100;
  const known = `known-${(i * 7) % keys}`;
  if (place < NEW) world.upstream.publish(`new-${i}`, TEXT);
  else if (place < NEW + DELETED) world.upstream.remove(known);
  else world.upstream.publish(known, TEXT);
}

function snapshot(world: World, heads: number) {
  return {
    changes: world.balance.changes,
    made: world.calls.made.length,
    puts: world.bucket.puts.length,
    heads,
    requests: world.upstream.requests.length,
    runs: world.runs,
    files: world.database.runs().length,
    elapsedMs: world.clock.elapsedMs,
  };
}

/** Notes every statement and every read of an object's head from now on. */
function record({ storage, database, bucket }: World): { object: Statement[]; database: Statement[]; heads: string[] } {
  const noted = { object: [] as Statement[], database: [] as Statement[], heads: [] as string[] };
  storage.refuses = (sql, params) => {
    noted.object.push({ sql, params: [...params] });
    return false;
  };
  const batch = database.batch.bind(database);
  database.batch = statements => {
    noted.database.push(...statements);
    return batch(statements);
  };
  const head = bucket.head.bind(bucket);
  bucket.head = key => {
    noted.heads.push(key);
    return head(key);
  };
  return noted;
}

/** What made the object's tables before anything was noted. */
function schema(): Statement[] {
  const sql = nodeSql();
  const noted: Statement[] = [];
  const exec = <R>(statement: string, ...params: SqlValue[]): R[] => {
    noted.push({ sql: statement, params });
    return sql.exec<R>(statement, ...params);
  };
  openJournal({ ...sql, exec }, 'coalescing', ['npm_package']);
  sql.close();
  return noted;
}

function figuresOf(what: string, counted: Count): Figure[] {
  const { changes, calls, puts, heads, requests, runs, seconds, files, object, database } = counted;
  const per = (operations: number) => (operations * 1_000) / changes;
  const classA = puts + calls(/^bucket\.list/);
  const alarms = calls(/^wake\.set/);
  const basis = `${digits(changes)} accepted changes in ${digits(seconds / 60)} simulated minutes, ${files} files, ${digits(runs)} runs; ${NEW} % new keys, ${DELETED} % deletions`;
  const million = (operations: number, price: number) => (per(operations) * 1_000 * price) / 1e6;
  const bucketCost = million(classA, PRICE.classA) + million(heads, PRICE.classB);
  // An object is paid for while it is awake; a run a poll keeps it so all the time.
  const awake = ((seconds * OBJECT_GIGABYTES) / changes) * PRICE.gigabyteSecond;
  const objectCost = million(runs, PRICE.objectRequest) + awake;
  return [
    {
      what: `${what}: operations per 1,000 changes`,
      figure: [
        `R2 A ${digits(per(classA))}, B ${digits(per(heads))}`,
        `SQLite rows written ${digits(per(object.written + alarms))}, read ${digits(per(object.read))}`,
        `D1 statements ${digits(per(database.statements))}, rows written ${digits(per(database.written))}, read ${digits(per(database.read))}`,
        `Loader calls ${digits(per(calls(/^load\./)))}`,
        `upstream requests ${digits(per(requests))}`,
      ].join('; '),
      basis: `${basis}; ${digits(per(alarms))} of the rows written are alarms set; npm asks once more for each page at the head, and for download counts`,
    },
    {
      what: `${what}: a million changes at list price`,
      figure: `R2 operations $${digits(bucketCost, 2)}, the object's runs and time awake $${digits(objectCost, 2)}`,
      basis:
        'prices of 2026-11-23, allowances not taken off; rows of SQLite and D1, Worker requests and CPU not priced',
    },
  ];
}
