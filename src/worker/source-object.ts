import { DurableObject } from 'cloudflare:workers';
import { TABLES } from '../../schemas/index.ts';
import { readSettings } from '../config.ts';
import type { AuditAction, AuditStatus } from '../contract/audit.ts';
import type { ControlAction, ControlResult } from '../contract/controls.ts';
import type { FailedChange, FailedQuery, ReplayResult } from '../contract/failed.ts';
import type { PushPart, PushResult } from '../contract/push.ts';
import type { RangeAction, RangeAnswer, RangeRequest, RangeStatus } from '../contract/ranges.ts';
import type { Signal, SignalResult } from '../contract/signals.ts';
import type { SourceHealth, SourceMetrics, SourceStatus } from '../contract/source.ts';
import type { LiveFile, TableFacts } from '../contract/tables.ts';
import type { WatchedKey, WatchPart, WatchResult } from '../contract/watched-keys.ts';
import { dismissFailed, failedChange, failedOf, replayFailed } from '../engine/controls/failed.ts';
import { metricsOf } from '../engine/controls/metrics.ts';
import { takePush } from '../engine/controls/push.ts';
import { controlRange, rangeOf, startRange } from '../engine/controls/ranges.ts';
import { takeSignal } from '../engine/controls/signals.ts';
import { StalledSource } from '../engine/controls/stalled.ts';
import { healthOf, liveFilesOf, settledFilesOf, stateOf, statusOf, tablesOf } from '../engine/controls/status.ts';
import { unwatchKeys, watchedKey, watchedKeys, watchKeys } from '../engine/controls/watched-keys.ts';
import { Engine } from '../engine/engine.ts';
import { journalSource } from '../engine/journal/open.ts';
import type { RangeLane } from '../engine/journal/ranges.ts';
import { JournalLayoutError, SettingError } from '../errors.ts';
import { createLog } from '../log.ts';
import type { Permit } from '../ports/hosts.ts';
import type { FeedingFiles } from '../ports/inlet.ts';
import type { Ports } from '../ports/ports.ts';
import type { Admitted, HandedBack, Ticket } from '../ports/queues.ts';
import { engineSourceOf } from '../sources/engine-source.ts';
import { checkFeeds } from '../sources/feeds.ts';
import { SOURCES, sourceNamed } from '../sources/registry.ts';
import type { Source } from '../sources/source.ts';
import { clockPort, d1Port, ENCODE, feedingPort, objectSql, ticketPort, wakePort } from './bindings.ts';
import { loadPort } from './loader.ts';
import { bucketPort } from './r2.ts';
import { streamPort } from './streams.ts';

/** The Durable Object of one source: binds the engine to the platform. Its alarm does all the work. */
export class SourceObject extends DurableObject<Env> {
  readonly #running: Engine | StalledSource;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const sql = objectSql(ctx.storage);
    // An alarm may wake the object without its name; then read it from the journal.
    const id = ctx.id.name ?? journalSource(sql);
    if (!id) throw new Error('source object: expected the name of a source, got none');
    const vars = env as unknown as Record<string, unknown>;
    const settings = readSettings(vars);
    checkFeeds(settings.feeds, SOURCES);
    const enabled = settings.sources.includes(id);
    const known = sourceNamed(id);
    const source = engineSourceOf(known, settingsOf(known, vars, enabled), settings.feeds[id]);
    const { clockAheadMs: aheadMs } = settings;
    const ports: Ports = {
      sql,
      bucket: bucketPort(env.LAKE),
      d1: d1Port(env.DB),
      load: loadPort(ctx.exports.Loader, id),
      encode: ENCODE,
      clock: clockPort(aheadMs),
      wake: wakePort(ctx.storage, aheadMs),
      tickets: ticketPort(env.RETRY_QUEUE, id),
      feeding: feedingPort(env.SOURCES_NS),
      streams: streamPort({ streams: settings.streams, tables: TABLES, env: vars }),
      log: createLog(),
    };
    this.#running = openEngine({ ports, source, options: { ...settings, enabled } });
  }

  /** Throws `JournalLayoutError` where another version of Tributary wrote the journal. */
  get #engine(): Engine {
    if (this.#running instanceof StalledSource) throw this.#running.error;
    return this.#running;
  }

  override async alarm(): Promise<void> {
    await this.#running.wake();
  }

  status(): Promise<SourceStatus> {
    return this.#running instanceof StalledSource ? this.#running.status() : statusOf(this.#running);
  }

  metrics(): Promise<SourceMetrics> {
    return this.#running instanceof StalledSource ? this.#running.metrics() : metricsOf(this.#running);
  }

  async control(action: ControlAction): Promise<ControlResult> {
    return this.#controlled(action, await this.#engine.control(action));
  }

  audit(): AuditStatus {
    return this.#engine.audit.status();
  }

  async startSweep(sample: number): Promise<ControlResult | null> {
    const changed = this.#engine.audit.startSweep(sample);
    if (changed) await this.#engine.poke();
    return changed === null ? null : this.#controlled('audit', changed);
  }

  async startSelfCheck(): Promise<ControlResult> {
    const changed = this.#engine.audit.startSelfCheck();
    if (changed) await this.#engine.poke();
    return this.#controlled('self-check', changed);
  }

  watchKeys(part: WatchPart): Promise<WatchResult> {
    return watchKeys(this.#engine, part);
  }

  unwatchKeys(keys: string[]): number {
    return unwatchKeys(this.#engine, keys);
  }

  watchedKeys(query: { after: string | null; limit: number }): WatchedKey[] {
    return watchedKeys(this.#engine, query);
  }

  watchedKey(key: string): WatchedKey | null {
    return watchedKey(this.#engine, key);
  }

  signal(signal: Signal): Promise<SignalResult> {
    return takeSignal(this.#engine, signal);
  }

  permit(host: string): Permit | null {
    return this.#engine.permit(host);
  }

  admitTickets(tickets: Ticket[]): Admitted {
    return this.#engine.retries.admit(tickets);
  }

  takeBack(handedBack: HandedBack): Promise<void> {
    return this.#engine.takeBack(handedBack);
  }

  expireTickets(tickets: Ticket[]): Promise<void> {
    return this.#engine.expire(tickets);
  }

  push(part: PushPart): Promise<PushResult> {
    return takePush(this.#engine, part);
  }

  startRange(lane: RangeLane, request: RangeRequest): Promise<RangeAnswer> {
    return startRange(this.#engine, lane, request);
  }

  controlRange(lane: RangeLane, action: RangeAction): Promise<RangeAnswer> {
    return controlRange(this.#engine, lane, action);
  }

  range(lane: RangeLane): RangeStatus | null {
    return rangeOf(this.#engine, lane);
  }

  failed(query: FailedQuery & { after: number; limit: number }): FailedChange[] {
    // These are asked of all sources together: one without answers must not keep the others from giving theirs.
    return this.#running instanceof StalledSource ? [] : failedOf(this.#running, query);
  }

  failedChange(changeNumber: number): FailedChange | null {
    return failedChange(this.#engine, changeNumber);
  }

  replay(wanted: { numbers: number[] | null; query: FailedQuery; dryRun: boolean }): Promise<ReplayResult> {
    return replayFailed(this.#engine, wanted);
  }

  dismiss(changeNumber: number, note: string): boolean | null {
    return dismissFailed(this.#engine, changeNumber, note);
  }

  tables(): TableFacts[] {
    return this.#running instanceof StalledSource ? [] : tablesOf(this.#running);
  }

  liveFiles(table: string, after: number, limit: number): LiveFile[] {
    return liveFilesOf(this.#engine, { table, after, limit });
  }

  /** For the inlets of other sources. */
  settledFiles(query: { table: string; afterLsn: number; limit: number }): FeedingFiles {
    return settledFilesOf(this.#engine, query);
  }

  health(): SourceHealth {
    return this.#running instanceof StalledSource ? this.#running.health() : healthOf(this.#running);
  }

  watch(): Promise<void> {
    return this.#running.watch();
  }

  #controlled(action: ControlAction | AuditAction, changed: boolean): ControlResult {
    return { source: this.#engine.source.id, action, changed, state: stateOf(this.#engine) };
  }
}

/**
 * The settings of a source; null where some are missing or wrong and the source is not enabled, because it asks its
 * upstream for nothing then, and the answers of the other sources must not fail with it.
 */
function settingsOf(source: Source, vars: Record<string, unknown>, enabled: boolean): unknown {
  try {
    return source.settings(vars);
  } catch (error) {
    if (enabled || !(error instanceof SettingError)) throw error;
    return null;
  }
}

function openEngine(options: ConstructorParameters<typeof Engine>[0]): Engine | StalledSource {
  try {
    return new Engine(options);
  } catch (error) {
    if (!(error instanceof JournalLayoutError)) throw error;
    return new StalledSource({ source: options.source.id, ports: options.ports, error });
  }
}
