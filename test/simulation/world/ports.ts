import { TABLES } from '../../../schemas/index.ts';
import type { StreamRecord } from '../../../schemas/stream.ts';
import { messageOf, StepError } from '../../../src/errors.ts';
import { type Loading, runStep } from '../../../src/loader/steps.ts';
import type { BucketPort } from '../../../src/ports/bucket.ts';
import type { Answer, LoaderSteps, LoadOutcome, LoadPort, LoadRequest } from '../../../src/ports/loader.ts';
import type { StreamPort } from '../../../src/ports/platform.ts';
import type { Ports } from '../../../src/ports/ports.ts';
import { streamPort } from '../../../src/worker/streams.ts';
import type { Visit } from './upstream.ts';
import type { World } from './world.ts';

/** Answers nobody is there to hear. */
const NEVER = new Promise<never>(() => undefined);

/**
 * The ports of one instance of the engine. Each call waits until what was written before it is safe. A dead instance
 * makes no more calls and hears no more answers, but calls it made have their effect whenever they land.
 */
export function instancePorts(world: World, isAlive: () => boolean): Ports {
  const { storage, clock, bucket, database } = world;
  const heard = <T>(answer: Promise<T>): Promise<T> =>
    answer.then(
      value => (isAlive() ? value : NEVER),
      error => {
        if (isAlive()) throw error;
        return NEVER;
      },
    );
  const made = <T>(call: string, effect: () => T | Promise<T>): Promise<T> => {
    if (!isAlive()) return NEVER;
    storage.flush();
    return heard(world.calls.make(call, effect));
  };
  const ours = <T>(kind: 'bucket-failed' | 'database-failed', answer: Promise<T>): Promise<T> =>
    answer.catch(error => {
      throw new StepError(kind, messageOf(error));
    });
  return {
    sql: storage.sql,
    encode: world.encoding.port,
    clock: {
      now: () => clock.now(),
      within: (work, ms, subject) => heard(clock.within(work, ms, subject)),
      turn: () => heard(clock.turn()),
    },
    bucket: {
      head: key =>
        ours(
          'bucket-failed',
          made(`bucket.head ${key}`, () => bucket.head(key)),
        ),
      put: (key, chunks, options) =>
        ours(
          'bucket-failed',
          made(`bucket.put ${key}`, () => bucket.put(key, chunks, options)),
        ),
      tail: (key, bytes) =>
        ours(
          'bucket-failed',
          made(`bucket.tail ${key}`, () => bucket.tail(key, bytes)),
        ),
      range: (key, range) =>
        ours(
          'bucket-failed',
          made(`bucket.range ${key}`, () => bucket.range(key, range)),
        ),
      list: (prefix, options) =>
        ours(
          'bucket-failed',
          made(`bucket.list ${prefix}`, () => bucket.list(prefix, options)),
        ),
      remove: keys =>
        ours(
          'bucket-failed',
          made(`bucket.remove ${keys.join(' ')}`, () => bucket.remove(keys)),
        ),
    },
    d1: {
      batch: statements =>
        ours(
          'database-failed',
          made('d1.batch', () => database.batch(statements)),
        ),
    },
    load: watchedPort(world, { load: loadPort(world, made), isAlive }),
    wake: {
      get: () => made('wake.get', () => storage.alarmMs),
      set: atMs =>
        made(`wake.set ${atMs}`, () => {
          // The alarm is part of the object: what was not safe before it died never is.
          if (isAlive()) storage.alarmMs = atMs;
        }),
    },
    feeds: { send: (target, keys) => made(`feed.send ${target}`, () => world.fed(target, keys)) },
    streams: streamsPort(world, made),
    tickets: { send: tickets => made(`queue.send ${tickets.length}`, () => world.queue.send(tickets)) },
    log: (event, fields) => void world.log.push({ event, ...fields }),
  };
}

/** Reports each load that the present instance asks of its Loader. */
function watchedPort(world: World, { load, isAlive }: { load: LoadPort; isAlive: () => boolean }): LoadPort {
  return {
    ...load,
    run(step, request) {
      if (step === 'load' && isAlive()) world.onLoading(request as LoadRequest);
      return load.run(step, request);
    },
  };
}

/** The real port, bound to stand-ins of the streams that the world's options name. */
function streamsPort({ options, streams }: World, made: <T>(call: string, effect: () => T) => Promise<T>): StreamPort {
  const bindings = Object.entries(options.streams).map(([table, binding]) => {
    const stream = streams.get(table)!;
    const send = (records: StreamRecord[]) => {
      const sent = structuredClone(records);
      return made(`stream.send ${binding} ${sent[0]?._lsn}-${sent.at(-1)?._lsn}`, () => stream.take(sent));
    };
    return [binding, { send }];
  });
  return streamPort({ streams: options.streams, tables: TABLES, env: Object.fromEntries(bindings) });
}

/** What a trace calls a request of a Loader's step. */
const SUBJECTS: { [S in keyof LoaderSteps]: (request: LoaderSteps[S]['request']) => string } = {
  start: () => '',
  pull: ({ cursor }) => ` ${cursor}`,
  servers: () => '',
  prepare: () => '',
  list: ({ after }) => ` ${after}`,
  load: ({ changes }) => ` ${changes.map(change => change.key).join(' ')}`,
};

/** The real Loader steps over the simulated source. */
export function loadPort(world: World, made: <T>(call: string, effect: () => T | Promise<T>) => Promise<T>): LoadPort {
  async function visiting<S extends keyof LoaderSteps>(
    step: S,
    request: LoaderSteps[S]['request'],
  ): Promise<Answer<LoaderSteps[S]['value']>> {
    const deadlineAtMs = 'deadlineAtMs' in request ? request.deadlineAtMs : Number.POSITIVE_INFINITY;
    const visit: Visit = { permits: [...request.permits], deadlineAtMs, tallies: new Map(), slotsUsed: new Map() };
    // Where only the upstream names hosts, whoever asks one has to ask for the slot as well.
    const permit = (host: string) => world.ask(`object.permit ${host}`, engine => engine.permit(host));
    if (world.engine.source.others) visit.permit = permit;
    const { settings, clock } = world;
    const bucket = loaderBucket(world);
    const source = world.kind(world.upstream, visit) as Loading['source'];
    const loading: Loading = { source, settings, contact: 'test', bucket, now: () => clock.now() };
    const answer = await runStep(loading, step, request);
    if (step === 'load') world.onLoaded(request as LoadRequest, answer as Answer<LoadOutcome[]>);
    // What crosses between two isolates is a copy.
    return copied({ ...answer, hosts: [...visit.tallies.values()] });
  }
  return {
    run: async (step, request) => {
      if (step === 'prepare') return { ok: true, value: null, hosts: [] };
      return made(`load.${step}${SUBJECTS[step](request)}`, () => visiting(step, request));
    },
    ping: () => made('load.ping', () => undefined),
  };
}

/** A deep copy of plain values: structuredClone takes many times as long. */
function copied<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copied) as T;
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, unknown> = {};
  for (const name in value) copy[name] = copied(value[name]);
  return copy as T;
}

/** The bucket as a Loader call sees it: it lives on when the object that made the call is dead. */
function loaderBucket({ calls, bucket }: World): BucketPort {
  const ours = <T>(answer: Promise<T>): Promise<T> =>
    answer.catch(error => {
      throw new StepError('bucket-failed', messageOf(error));
    });
  return {
    head: key => ours(calls.make(`loader.head ${key}`, () => bucket.head(key))),
    put: (key, chunks, options) => ours(calls.make(`loader.put ${key}`, () => bucket.put(key, chunks, options))),
    tail: (key, bytes) => bucket.tail(key, bytes),
    range: (key, range) => bucket.range(key, range),
    list: (prefix, options) => bucket.list(prefix, options),
    remove: keys => bucket.remove(keys),
  };
}
