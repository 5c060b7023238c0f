import { icebergSchema } from '../../../schemas/iceberg.ts';
import type { Table } from '../../../schemas/table.ts';
import { messageOf, SettingError } from '../../errors.ts';
import type { ClockPort } from '../../ports/platform.ts';
import type { CommitRequest } from '../append/append.ts';
import { CatalogError } from '../errors.ts';
import { exactJson } from '../format/exact-json.ts';
import { readTableMetadata, type TableMetadata } from '../format/table-metadata.ts';
import { type Asked, readAnswer, unanswered } from './answer.ts';

/** Basin Catalog gives a request up after 40 s: a later answer than this does not come. */
export const REQUEST_MS_MAX = 45_000;

/** How a request is sent; the platform's `fetch`, or a stand-in's. */
export type FetchPort = (url: string, init: RequestInit) => Promise<Response>;

/** A change that is asked of the catalog. */
export interface CatalogChange {
  operation: 'namespace' | 'create' | 'commit';
  /** Empty where it is of no table. */
  table: string;
}

interface RestCatalogOptions {
  /** Of the catalog, without `/v1`. */
  uri: string;
  warehouse: string;
  /** The tables' namespace, one level. */
  namespace: string;
  token: string;
  fetch: FetchPort;
  clock: Pick<ClockPort, 'now' | 'within'>;
  /** Told of each change before it is asked for; what it throws keeps it from being. */
  admit?: (change: CatalogChange) => void;
}

/**
 * A client of an Iceberg REST catalog, for what committing takes. Every failure is a `CatalogError`; where its
 * `outcomeUnknown` is set, what was asked for may have happened, and may still happen. Nothing is tried twice here.
 */
export class RestCatalog {
  readonly #options: RestCatalogOptions;
  #root: Promise<string> | null = null;

  /** Throws `SettingError` for a token that no header can carry. */
  constructor(options: RestCatalogOptions) {
    // The platform's own error about such a header would quote it.
    if (!/^[\x21-\x7e]+$/.test(options.token))
      throw new SettingError('catalog token: expected visible ASCII characters');
    this.#options = options;
  }

  async namespaceExists(): Promise<boolean> {
    // Not by HEAD, which is not among the routes that every catalog has (REST spec, getConfig: endpoints).
    const asked: Asked = { subject: 'catalog namespace', changes: false, onConflict: 'conflict' };
    return (await this.#orNull(this.#ask('GET', this.#namespacePath(), { asked }))) !== null;
  }

  /** Makes the namespace. Throws `already-exists` when somebody else did. */
  async createNamespace(): Promise<void> {
    const asked: Asked = { subject: 'catalog create namespace', changes: true, onConflict: 'already-exists' };
    const change: CatalogChange = { operation: 'namespace', table: '' };
    await this.#ask('POST', 'namespaces', {
      asked,
      change,
      body: { namespace: [this.#options.namespace], properties: {} },
    });
  }

  /** A table's metadata as it is now; null when there is no such table, or namespace. */
  async loadTable(name: string): Promise<TableMetadata | null> {
    const asked: Asked = { subject: `catalog load ${name}`, changes: false, onConflict: 'conflict' };
    // Only the newest snapshot is of use (REST spec, loadTable: snapshots). Basin Catalog gives all of them.
    const answer = await this.#orNull(this.#ask('GET', `${this.#tablesPath()}/${name}?snapshots=refs`, { asked }));
    return answer === null ? null : metadataOf(answer, asked);
  }

  /**
   * Makes a table of format version 2, unpartitioned, with the columns' own field ids in declared order. Whether the
   * catalog took those ids is for `checkTable` to see. Throws `already-exists` when the table is there.
   */
  async createTable(table: Table, properties: Record<string, string>): Promise<TableMetadata> {
    const asked: Asked = { subject: `catalog create ${table.name}`, changes: true, onConflict: 'already-exists' };
    const body = {
      name: table.name,
      schema: icebergSchema(table),
      'partition-spec': { 'spec-id': 0, fields: [] },
      'write-order': { 'order-id': 0, fields: [] },
      'stage-create': false,
      properties: { 'format-version': '2', comment: table.description, ...properties },
    };
    const change: CatalogChange = { operation: 'create', table: table.name };
    return metadataOf(await this.#ask('POST', this.#tablesPath(), { asked, change, body }), asked);
  }

  /** Commits to a table and gives its metadata then. Throws `conflict` when it is no longer what the commit was made for. */
  async commit(name: string, commit: CommitRequest): Promise<TableMetadata> {
    const asked: Asked = { subject: `catalog commit ${name}`, changes: true, onConflict: 'conflict' };
    const change: CatalogChange = { operation: 'commit', table: name };
    const path = `${this.#tablesPath()}/${name}`;
    return metadataOf(await this.#ask('POST', path, { asked, change, body: commit }), asked);
  }

  #namespacePath(): string {
    return `namespaces/${encodeURIComponent(this.#options.namespace)}`;
  }

  #tablesPath(): string {
    return `${this.#namespacePath()}/tables`;
  }

  async #orNull<T>(answer: Promise<T>): Promise<T | null> {
    try {
      return await answer;
    } catch (error) {
      if (error instanceof CatalogError && error.kind === 'not-found') return null;
      throw error;
    }
  }

  async #ask(
    method: string,
    path: string,
    { asked, change, body }: { asked: Asked; change?: CatalogChange; body?: object },
  ): Promise<unknown> {
    this.#root ??= this.#configuredRoot().catch(error => {
      this.#root = null;
      throw error;
    });
    const url = `${await this.#root}/${path}`;
    if (change) this.#options.admit?.(change);
    return this.#send(method, url, { asked, body });
  }

  /** Where the catalog's routes begin: its configuration says under which prefix (REST spec, getConfig). */
  async #configuredRoot(): Promise<string> {
    const { uri, warehouse } = this.#options;
    const asked: Asked = { subject: 'catalog config', changes: false, onConflict: 'conflict' };
    const root = `${uri.replace(/\/+$/, '')}/v1`;
    const query = new URLSearchParams({ warehouse });
    const config = (await this.#send('GET', `${root}/config?${query}`, { asked })) as Record<string, unknown> | null;
    const { overrides = {}, defaults = {} } = (config ?? {}) as Record<string, Record<string, unknown>>;
    const prefix = overrides.prefix ?? defaults.prefix ?? '';
    // It is part of a path as it is, escapes included.
    if (typeof prefix !== 'string' || !/^[\w.~%/!$&'()*+,;=:@-]*$/.test(prefix)) {
      throw new CatalogError('not-a-catalog', `${asked.subject}: expected a prefix to be part of a path, got another`, {
        hint: 'Check that the URI is that of an Iceberg REST catalog.',
      });
    }
    return prefix === '' ? root : `${root}/${prefix}`;
  }

  async #send(
    method: string,
    url: string,
    { asked, body }: { asked: Asked; body?: object | undefined },
  ): Promise<unknown> {
    const { token, fetch, clock } = this.#options;
    const aborted = new AbortController();
    const init: RequestInit = {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        accept: 'application/json',
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: exactJson(body) }),
      // A redirect would carry the token somewhere else.
      redirect: 'manual',
      signal: aborted.signal,
    };
    const answered = async () => readAnswer(await fetch(url, init), asked, { token, nowMs: clock.now() });
    try {
      return await clock.within(answered(), REQUEST_MS_MAX, asked.subject);
    } catch (error) {
      if (error instanceof CatalogError) throw error;
      aborted.abort();
      throw unanswered(asked, error instanceof Error ? error.name : 'none');
    }
  }
}

function metadataOf(answer: unknown, asked: Asked): TableMetadata {
  try {
    return readTableMetadata((answer as { metadata?: unknown } | null)?.metadata, asked.subject);
  } catch (error) {
    // Answered as if it had been carried out, but not by a catalog.
    throw asked.changes ? unanswered(asked, messageOf(error)) : error;
  }
}
