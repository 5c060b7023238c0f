import { z } from 'zod';
import { icebergSchema } from '../../../schemas/iceberg.ts';
import type { Table } from '../../../schemas/table.ts';
import { messageOf, SettingError, StepError } from '../../errors.ts';
import { exactJson } from '../../exact-json.ts';
import { SECOND } from '../../limits.ts';
import type { ClockPort } from '../../ports/platform.ts';
import type { CommitRequest } from '../append/append.ts';
import { CatalogError, notACatalog } from '../errors.ts';
import { readTableMetadata, type TableMetadata } from '../format/table-metadata.ts';
import { type CatalogRequest, type CatalogWrite, readAnswer, unanswered } from './answer.ts';

/** Basin Catalog ends a request after 40 s, so no answer comes later than this. */
export const REQUEST_MS_MAX = 45 * SECOND;

/** Sends a request: the platform's `fetch`, or that of a stand-in. */
export type FetchPort = (url: string, init: RequestInit) => Promise<Response>;

/** What is read of the answer to getConfig. The members are required, but some catalogs leave one out or write null. */
const settings = z.looseObject({ prefix: z.unknown().optional() }).nullish();
const config = z.looseObject({ overrides: settings, defaults: settings });

interface RestCatalogOptions {
  /** The catalog's address, without `/v1`. */
  uri: string;
  warehouse: string;
  /** The tables' namespace, of one level. */
  namespace: string;
  token: string;
  fetch: FetchPort;
  clock: Pick<ClockPort, 'now' | 'within'>;
  /** Called before each write is sent. When it throws, the write is not sent. */
  admit?: (write: CatalogWrite) => void;
}

/**
 * A client of an Iceberg REST catalog, limited to what the committer needs. Every failure is a `CatalogError`; when its
 * `outcomeUnknown` is set, the catalog may have carried out the request, or may still do so. The client retries
 * nothing.
 */
export class RestCatalog {
  readonly #options: RestCatalogOptions;
  #root: Promise<string> | null = null;

  /** Throws `SettingError` for a token that no header can carry. */
  constructor(options: RestCatalogOptions) {
    // Check here, because the platform's error about such a header would quote the token.
    if (!/^[\x21-\x7e]+$/.test(options.token))
      throw new SettingError('catalog token: expected visible ASCII characters, got others');
    this.#options = options;
  }

  async namespaceExists(): Promise<boolean> {
    // GET and not HEAD, because not every catalog has the HEAD route (REST spec, getConfig: endpoints).
    const request: CatalogRequest = { subject: 'catalog namespace', write: null };
    return (await this.#nullIfNotFound(this.#request('GET', this.#namespacePath(), { request }))) !== null;
  }

  /** Throws `already-exists` when the namespace exists. */
  async createNamespace(): Promise<void> {
    const write: CatalogWrite = { operation: 'namespace', table: '' };
    const body = { namespace: [this.#options.namespace], properties: {} };
    await this.#request('POST', 'namespaces', { request: { subject: 'catalog create namespace', write }, body });
  }

  /**
   * A table's current metadata; null when the table or its namespace does not exist. `refs`: only the snapshots of its
   * branches and tags are needed (REST spec, loadTable: snapshots). Basin Catalog always answers with all of them.
   */
  async loadTable(name: string, snapshots: 'refs' | 'all' = 'refs'): Promise<TableMetadata | null> {
    const request: CatalogRequest = { subject: `catalog load ${name}`, write: null };
    const path = `${this.#tablesPath()}/${name}?snapshots=${snapshots}`;
    const answer = await this.#nullIfNotFound(this.#request('GET', path, { request }));
    return answer === null ? null : metadataOf(answer, request);
  }

  /**
   * Creates an unpartitioned table of format version 2, with the declared columns and their field ids. The catalog may
   * assign other ids: `checkTable` detects that. Throws `already-exists` when the table exists.
   */
  async createTable(table: Table, properties: Record<string, string>): Promise<TableMetadata> {
    const write: CatalogWrite = { operation: 'create', table: table.name };
    const request: CatalogRequest = { subject: `catalog create ${table.name}`, write };
    const body = {
      name: table.name,
      schema: icebergSchema(table),
      'partition-spec': { 'spec-id': 0, fields: [] },
      'write-order': { 'order-id': 0, fields: [] },
      'stage-create': false,
      properties: { 'format-version': '2', comment: table.description, ...properties },
    };
    return metadataOf(await this.#request('POST', this.#tablesPath(), { request, body }), request);
  }

  /** Commits to a table and returns its new metadata. Throws `conflict` when a requirement does not hold. */
  async commit(name: string, commit: CommitRequest): Promise<TableMetadata> {
    const request: CatalogRequest = { subject: `catalog commit ${name}`, write: { operation: 'commit', table: name } };
    const path = `${this.#tablesPath()}/${name}`;
    return metadataOf(await this.#request('POST', path, { request, body: commit }), request);
  }

  #namespacePath(): string {
    return `namespaces/${encodeURIComponent(this.#options.namespace)}`;
  }

  #tablesPath(): string {
    return `${this.#namespacePath()}/tables`;
  }

  async #nullIfNotFound<T>(answer: Promise<T>): Promise<T | null> {
    try {
      return await answer;
    } catch (error) {
      if (error instanceof CatalogError && error.kind === 'not-found') return null;
      throw error;
    }
  }

  async #request(
    method: string,
    path: string,
    { request, body }: { request: CatalogRequest; body?: object },
  ): Promise<unknown> {
    this.#root ??= this.#readRoot().catch(error => {
      this.#root = null;
      throw error;
    });
    const url = `${await this.#root}/${path}`;
    if (request.write) this.#options.admit?.(request.write);
    return this.#send(method, url, { request, body });
  }

  /** The URL that the catalog's routes begin with: its configuration gives their prefix (REST spec, getConfig). */
  async #readRoot(): Promise<string> {
    const { uri, warehouse } = this.#options;
    const request: CatalogRequest = { subject: 'catalog config', write: null, isConfig: true };
    const noCatalogAt = (expected: string, actual: string) =>
      notACatalog(request.subject, { expected, actual, isConfig: true });
    const root = `${uri.replace(/\/+$/, '')}/v1`;
    const query = new URLSearchParams({ warehouse });
    const read = config.safeParse(await this.#send('GET', `${root}/config?${query}`, { request }));
    if (!read.success) throw noCatalogAt('the configuration of a catalog', 'another form');
    const { overrides, defaults } = read.data;
    const prefix = overrides?.prefix ?? defaults?.prefix ?? '';
    // The prefix is used unchanged, escapes included.
    if (typeof prefix !== 'string' || !/^[\w.~%/!$&'()*+,;=:@-]*$/.test(prefix)) {
      throw noCatalogAt('a prefix of URL path characters', 'other characters');
    }
    return prefix === '' ? root : `${root}/${prefix}`;
  }

  async #send(
    method: string,
    url: string,
    { request, body }: { request: CatalogRequest; body?: object | undefined },
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
      // Do not follow redirects, because they would send the token to another host.
      redirect: 'manual',
      signal: aborted.signal,
    };
    const send = async () => readAnswer(await fetch(url, init), request, { token, nowMs: clock.now() });
    try {
      return await clock.within(send(), REQUEST_MS_MAX, request.subject);
    } catch (error) {
      if (error instanceof CatalogError) throw error;
      aborted.abort();
      throw unanswered(request, describeFailure(error));
    }
  }
}

/** A request that got no answer. Quotes the name of an error only, because its message may hold the headers. */
function describeFailure(error: unknown): string {
  if (error instanceof StepError && error.kind === 'deadline') return `none within ${REQUEST_MS_MAX / SECOND} s`;
  return `a broken connection (${error instanceof Error ? error.name : 'no error'})`;
}

function metadataOf(answer: unknown, request: CatalogRequest): TableMetadata {
  try {
    return readTableMetadata((answer as { metadata?: unknown } | null)?.metadata, request.subject);
  } catch (error) {
    // A success without metadata does not say whether the write was carried out.
    throw request.write ? unanswered(request, messageOf(error)) : error;
  }
}
