import { TABLES } from '../../../schemas/index.ts';
import type { StreamRecord } from '../../../schemas/stream.ts';
import { messageOf, StepError } from '../../../src/errors.ts';
import { type Loading, runStep } from '../../../src/loader/steps.ts';
import type { BucketPort } from '../../../src/ports/bucket.ts';
import type { Answer, LoaderSteps, LoadOutcome, LoadPort, LoadRequest } from '../../../src/ports/loader.ts';
import type { StreamPort } from '../../../src/ports/platform.ts';
import type { Ports } from '../../../src/ports/ports.ts';
import { streamPort } from '../../../src/worker/streams.ts';
import type { UpstreamCall } from './upstream.ts';
import type { World } from './world.ts';

/** The answer to a call of a dead instance. */
const NEVER = new Promise<never>(() => undefined);

/**
 * The ports of one instance of the engine. A call out of the object flushes its storage first. A dead instance makes no
 * more calls and gets no more answers, but the calls it made have their effect whenever they land.
 */
export function instancePorts(world: World, isAlive: () => boolean): Ports {
  const { storage, clock, bucket, database } = world;
  const whileAlive = <T>(answer: Promise<T>): Promise<T> =>
    answer.then(
      value => (isAlive() ? value : NEVER),
      error => {
        if (isAlive()) throw error;
        return NEVER;
      },
    );
  const makeCall = <T>(call: string, effect: () => T | Promise<T>): Promise<T> => {
    if (!isAlive()) return NEVER;
    storage.flush();
    return whileAlive(world.calls.make(call, effect));
  };
  const bucketCall = <T>(call: string, effect: () => Promise<T>): Promise<T> =>
    failAs('bucket-failed', makeCall(`bucket.${call}`, effect));
  return {
    sql: storage.sql,
    encode: world.encoding.port,
    clock: {
      now: () => clock.now(),
      within: (work, ms, subject) => whileAlive(clock.within(work, ms, subject)),
      turn: () => whileAlive(clock.turn()),
    },
    bucket: {
      head: key => bucketCall(`head ${key}`, () => bucket.head(key)),
      put: (key, chunks, options) => bucketCall(`put ${key}`, () => bucket.put(key, chunks, options)),
      tail: (key, bytes) => bucketCall(`tail ${key}`, () => bucket.tail(key, bytes)),
      range: (key, range) => bucketCall(`range ${key}`, () => bucket.range(key, range)),
      list: (prefix, options) => bucketCall(`list ${prefix}`, () => bucket.list(prefix, options)),
      remove: keys => bucketCall(`remove ${keys.join(' ')}`, () => bucket.remove(keys)),
    },
    d1: {
      batch: statements =>
        failAs(
          'database-failed',
          makeCall('d1.batch', () => database.batch(statements)),
        ),
    },
    load: watchedPort(world, { load: loadPort(world, makeCall), isAlive }),
    wake: {
      get: () => makeCall('wake.get', () => storage.alarmMs),
      set: atMs =>
        makeCall(`wake.set ${atMs}`, () => {
          // The alarm is part of the object's storage, which a dead instance no longer writes.
          if (isAlive()) storage.alarmMs = atMs;
        }),
    },
    feeding: {
      settledFiles: (source, query) =>
        failAs(
          'source-failed',
          makeCall(`feeding.files ${source} ${query.afterLsn}`, () => world.feeding.settledFiles(query)),
        ),
    },
    streams: streamsPort(world, makeCall),
    tickets: { send: tickets => makeCall(`queue.send ${tickets.length}`, () => world.queue.send(tickets)) },
    log: (event, fields) => void world.log.push({ event, ...fields }),
  };
}

/** Reports each load that a living instance requests of its Loader. */
function watchedPort(world: World, { load, isAlive }: { load: LoadPort; isAlive: () => boolean }): LoadPort {
  return {
    ...load,
    run(step, request) {
      if (step === 'load' && isAlive()) world.onLoading(request as LoadRequest);
      return load.run(step, request);
    },
  };
}

/** The real port, bound to a stand-in of each stream that the world's options name. */
function streamsPort(
  { options, streams }: World,
  makeCall: <T>(call: string, effect: () => T) => Promise<T>,
): StreamPort {
  const bindings = Object.entries(options.streams).map(([table, binding]) => {
    const stream = streams.get(table)!;
    const send = (records: StreamRecord[]) => {
      const sent = structuredClone(records);
      return makeCall(`stream.send ${binding} ${sent[0]?._lsn}-${sent.at(-1)?._lsn}`, () => stream.take(sent));
    };
    return [binding, { send }];
  });
  return streamPort({ streams: options.streams, tables: TABLES, env: Object.fromEntries(bindings) });
}

/** What a trace says of a request, after the name of the Loader's step. */
const SUBJECTS: { [S in keyof LoaderSteps]: (request: LoaderSteps[S]['request']) => string } = {
  start: () => '',
  pull: ({ cursor }) => ` ${cursor}`,
  servers: () => '',
  prepare: () => '',
  probe: ({ changes }) => ` ${changes.map(change => change.key).join(' ')}`,
  list: ({ after }) => ` ${after}`,
  round: ({ changes }) => ` ${changes.map(change => change.key).join(' ')}`,
  load: ({ changes }) => ` ${changes.map(change => change.key).join(' ')}`,
  inlet: ({ table, afterLsn }) => ` ${table} ${afterLsn}`,
};

/** The real Loader steps over the simulated source. */
export function loadPort(
  world: World,
  makeCall: <T>(call: string, effect: () => T | Promise<T>) => Promise<T>,
): LoadPort {
  async function runLoaderStep<S extends keyof LoaderSteps>(
    step: S,
    request: LoaderSteps[S]['request'],
  ): Promise<Answer<LoaderSteps[S]['value']>> {
    const deadlineAtMs = 'deadlineAtMs' in request ? request.deadlineAtMs : Number.POSITIVE_INFINITY;
    const upstreamCall: UpstreamCall = {
      permits: [...request.permits],
      deadlineAtMs,
      tallies: new Map(),
      slotsUsed: new Map(),
    };
    // A source that learns its hosts from the upstream requests their permits while it loads.
    const permit = (host: string) => world.ask(`object.permit ${host}`, engine => engine.permit(host));
    if (world.engine.source.agenda) upstreamCall.permit = permit;
    const { settings, clock } = world;
    const bucket = loaderBucket(world);
    const source = world.kind(world.upstream, upstreamCall) as Loading['source'];
    const { reader } = world.encoding.port;
    const blockKeys = settings.pageChanges;
    const loading: Loading = { source, settings, contact: 'test', bucket, reader, blockKeys, now: () => clock.now() };
    if (world.fetches) loading.permit = permit;
    const answer = await runStep(loading, step, request);
    if (step === 'load') world.onLoaded(request as LoadRequest, answer as Answer<LoadOutcome[]>);
    // Two isolates share no objects.
    return deepCopy(world.fetches ? answer : { ...answer, hosts: [...upstreamCall.tallies.values()] });
  }
  return {
    run: async (step, request) => {
      if (step === 'prepare') return { ok: true, value: null, hosts: [] };
      return makeCall(`load.${step}${SUBJECTS[step](request)}`, () => runLoaderStep(step, request));
    },
    ping: () => makeCall('load.ping', () => undefined),
  };
}

/** A deep copy of plain values. `structuredClone` takes many times as long. */
function deepCopy<T>(value: T): T {
  if (Array.isArray(value)) return value.map(deepCopy) as T;
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, unknown> = {};
  for (const name in value) copy[name] = deepCopy(value[name]);
  return copy as T;
}

/** A Loader call's own bucket: it lives on when the object that made the call is dead. */
function loaderBucket({ calls, bucket }: World): BucketPort {
  const bucketCall = <T>(call: string, effect: () => Promise<T>): Promise<T> =>
    failAs('bucket-failed', calls.make(`loader.${call}`, effect));
  return {
    head: key => bucketCall(`head ${key}`, () => bucket.head(key)),
    put: (key, chunks, options) => bucketCall(`put ${key}`, () => bucket.put(key, chunks, options)),
    tail: (key, bytes) => bucket.tail(key, bytes),
    range: (key, range) => bucketCall(`range ${key}`, () => bucket.range(key, range)),
    list: (prefix, options) => bucket.list(prefix, options),
    remove: keys => bucket.remove(keys),
  };
}

function failAs<T>(kind: 'bucket-failed' | 'database-failed' | 'source-failed', answer: Promise<T>): Promise<T> {
  return answer.catch(error => {
    throw new StepError(kind, messageOf(error));
  });
}
