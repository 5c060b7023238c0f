import { exactJson, parseExactJson } from '../../src/exact-json.ts';
import { objectKey } from '../../src/iceberg/format/location.ts';
import type { FetchPort } from '../../src/iceberg/rest/client.ts';
import { MemoryBucket } from '../simulation/world/bucket.ts';
import { type CatalogAnswer, type CatalogFault, errorAnswer, type Operation } from './catalog-faults.ts';

export const BUCKET = 'lake';
export const WAREHOUSE = 'account_lake';
export const TOKEN = 'a-secret-token';
export const URI = 'https://catalog.test/account/lake';
const PREFIX = '9a1f0c';

type Json = Record<string, unknown>;

/** A request that the catalog received, with its size and that of the answer. */
export interface ReceivedRequest {
  operation: Operation;
  status: number | null;
  requestBytes: number;
  answerBytes: number;
}

interface StoredTable {
  metadata: Metadata;
  metadataUri: string;
  /** Metadata files written so far. */
  version: number;
}

/** A table's metadata as JSON, with longs as `parseExactJson` gives them. */
export interface Metadata extends Json {
  location: string;
  'table-uuid': string;
  'last-sequence-number': number;
  'last-updated-ms': number;
  'current-snapshot-id'?: bigint | number;
  properties: Record<string, string>;
  schemas: { 'schema-id': number; fields: { id: number }[] }[];
  snapshots: StoredSnapshot[];
  refs: Record<string, { 'snapshot-id': bigint | number; type: string }>;
}

export interface StoredSnapshot extends Json {
  'snapshot-id': bigint | number;
  'sequence-number': number;
  'timestamp-ms': number;
  'manifest-list': string;
}

/** An answer with a status other than 200, thrown when a rule is broken. */
class Refusal {
  readonly answer: CatalogAnswer;
  constructor(status: number, type: string, message: string) {
    this.answer = errorAnswer(status, type, message);
  }
}

/**
 * An Iceberg REST catalog in memory, written from the Iceberg REST specification (rest-catalog-open-api.yaml); a
 * comment at each rule names its paragraph. Tests make it fail through `faults`. It ignores `Idempotency-Key`: it
 * carries out a repeated request again.
 */
export class MemoryCatalog {
  readonly bucket: MemoryBucket;
  readonly requests: ReceivedRequest[] = [];
  /** The signal that aborts the last request. */
  lastSignal: AbortSignal | null = null;
  /** Each fault applies once, to the first request of its operation. */
  readonly faults: CatalogFault[] = [];
  /** A catalog may assign other field ids when it creates a table. */
  assignedId: (id: number) => number = id => id;
  /** Whether the catalog supports `snapshots=refs`. Basin Catalog always answers with all snapshots. */
  filtersSnapshots = true;
  /** Above this many commits to one table in a minute the answer is 429. */
  commitsPerMinuteMax = Number.POSITIVE_INFINITY;
  /** Whether a snapshot's sequence number must be higher than the last. Not every catalog checks that. */
  checksSequence = true;
  /** Whether a snapshot's manifest list must exist, as no real catalog asks. Off when files are in another bucket. */
  checksList = true;
  /** Whether answers have null for what is absent, and for a property of another program. */
  writesNulls = false;
  nowMs = Date.UTC(2026, 10, 10, 12);
  readonly #namespaces = new Set<string>();
  readonly #tables = new Map<string, StoredTable>();
  readonly #commitTimes = new Map<string, number[]>();
  #late: (() => void)[] = [];
  #uuids = 0;

  constructor(bucket = new MemoryBucket()) {
    this.bucket = bucket;
  }

  /** Answers the client's requests. */
  readonly fetch: FetchPort = async (url, init) => {
    const { operation, run } = this.#route(new URL(url), init);
    this.lastSignal = init.signal ?? null;
    const index = this.faults.findIndex(({ on }) => on === operation);
    const [fault] = index === -1 ? [] : this.faults.splice(index, 1);
    const requestBytes = url.length + String(init.body ?? '').length;
    if (fault?.effect === 'late') this.#late.push(() => answerOf(run));
    const correct = fault === undefined || fault.effect === 'now' ? answerOf(run) : null;
    if (fault?.answer === 'hangs' || fault?.answer === 'lost') {
      this.requests.push({ operation, status: null, requestBytes, answerBytes: 0 });
      if (fault.answer === 'hangs') return new Promise<Response>(() => undefined);
      throw new TypeError(`fetch failed, its headers were ${JSON.stringify(init.headers)}`);
    }
    const answer = fault?.answer ?? correct!;
    this.requests.push({ operation, status: answer.status, requestBytes, answerBytes: answer.body.length });
    return new Response(answer.status === 204 ? null : answer.body, {
      status: answer.status,
      headers: answer.headers ?? {},
    });
  };

  /** Carries out the requests that are late. */
  deliverLate(): void {
    const late = this.#late;
    this.#late = [];
    for (const run of late) run();
  }

  metadata(name: string): Metadata {
    return this.#table(name).metadata;
  }

  /** Replaces a table's metadata by a changed copy, as a request or the catalog's own maintenance does. */
  change(name: string, change: (metadata: Metadata) => void): Metadata {
    const table = this.#table(name);
    const metadata = structuredClone(table.metadata);
    change(metadata);
    // Iceberg spec, Table Metadata Fields: last-updated-ms is set by each write of the metadata.
    metadata['last-updated-ms'] = Math.max(this.nowMs, metadata['last-updated-ms']);
    this.#store(name, { metadata, version: table.version + 1 });
    return metadata;
  }

  #table(name: string): StoredTable {
    const table = this.#tables.get(name);
    // REST spec, loadTable and updateTable, 404: NoSuchTableException, table to load does not exist.
    if (!table) throw new Refusal(404, 'NoSuchTableException', `Table does not exist: ${name}`);
    return table;
  }

  #store(name: string, { metadata, version }: { metadata: Metadata; version: number }): void {
    const metadataUri = `${metadata.location}/metadata/${String(version).padStart(5, '0')}.metadata.json`;
    this.bucket.store(objectKey(metadataUri, BUCKET), new TextEncoder().encode(exactJson(metadata)));
    this.#tables.set(name, { metadata, metadataUri, version });
  }

  #route(url: URL, init: RequestInit): { operation: Operation; run: () => Json } {
    const { method = 'GET' } = init;
    const [, root = '', path = ''] = /^(.*?\/v1)\/(.*)$/.exec(url.origin + url.pathname) ?? [];
    const routed = (operation: Operation, run: () => Json) => ({
      operation,
      run: () => {
        this.#authorize(init);
        // REST spec, getConfig: all other routes are under the configured prefix.
        const under = operation === 'config' ? path === 'config' : path.startsWith(`${PREFIX}/`);
        if (root !== `${URI}/v1` || !under) throw new Refusal(404, 'NoSuchRouteException', 'no such route');
        return run();
      },
    });
    const body = () => parseExactJson(String(init.body)) as Json;
    const [, , namespace, , table] = path.split('/').map(decodeURIComponent);
    if (path === 'config') return routed('config', () => this.#config(url));
    if (namespace === undefined) return routed('create-namespace', () => this.#createNamespace(body()));
    if (!path.includes('/tables')) return routed('namespace', () => this.#loadNamespace(namespace));
    if (table === undefined) return routed('create', () => this.#createTable(namespace, body()));
    if (method === 'GET') return routed('load', () => this.#loadTable(table, url));
    return routed('commit', () => this.#commit(table, body()));
  }

  #authorize(init: RequestInit): void {
    const { authorization } = init.headers as Record<string, string>;
    if (authorization === `Bearer ${TOKEN}`) return;
    // The specification has JSON here (UnauthorizedResponse); Basin Catalog answers in plain text.
    const refusal = new Refusal(401, '', '');
    refusal.answer.body = `Unauthorized: ${authorization}`;
    refusal.answer.headers = { 'content-type': 'text/plain' };
    throw refusal;
  }

  #config(url: URL): Json {
    if (url.searchParams.get('warehouse') !== WAREHOUSE) throw new Refusal(404, 'NotFoundException', 'no warehouse');
    // REST spec, CatalogConfig: defaults and overrides are required.
    if (this.writesNulls) return { defaults: { prefix: PREFIX, other: null }, overrides: null, endpoints: null };
    return { defaults: {}, overrides: { prefix: PREFIX } };
  }

  #createNamespace({ namespace }: Json): Json {
    const [name = ''] = namespace as string[];
    // REST spec, createNamespace, 409: the namespace already exists.
    if (this.#namespaces.has(name)) throw new Refusal(409, 'AlreadyExistsException', 'namespace exists');
    this.#namespaces.add(name);
    return { namespace, properties: {} };
  }

  #loadNamespace(name: string): Json {
    // REST spec, loadNamespaceMetadata, 404: namespace not found.
    if (!this.#namespaces.has(name)) throw new Refusal(404, 'NoSuchNamespaceException', 'no namespace');
    return { namespace: [name], properties: {} };
  }

  #createTable(namespace: string, body: Json): Json {
    const name = body.name as string;
    this.#loadNamespace(namespace);
    // REST spec, createTable, 409: the table already exists.
    if (this.#tables.has(name)) throw new Refusal(409, 'AlreadyExistsException', `Table already exists: ${name}`);
    this.#uuids += 1;
    const uuid = `00000000-0000-4000-8000-${String(this.#uuids).padStart(12, '0')}`;
    const schema = structuredClone(body.schema) as Metadata['schemas'][0];
    for (const field of schema.fields) field.id = this.assignedId(field.id);
    const { 'format-version': version = '2', ...properties } = body.properties as Record<string, string>;
    const metadata: Metadata = {
      'format-version': Number(version),
      'table-uuid': uuid,
      location: `s3://${BUCKET}/__r2_data_catalog/${WAREHOUSE}/${uuid}`,
      'last-sequence-number': 0,
      'last-updated-ms': this.nowMs,
      'last-column-id': Math.max(...schema.fields.map(({ id }) => id)),
      'current-schema-id': 0,
      schemas: [{ ...schema, 'schema-id': 0 }],
      'default-spec-id': 0,
      'partition-specs': [{ 'spec-id': 0, fields: [] }],
      'last-partition-id': 999,
      'default-sort-order-id': 0,
      'sort-orders': [{ 'order-id': 0, fields: [] }],
      properties,
      snapshots: [],
      refs: {},
      'snapshot-log': [],
      'metadata-log': [],
    };
    this.#store(name, { metadata, version: 0 });
    return this.#loaded(name, metadata);
  }

  #loadTable(name: string, url: URL): Json {
    const { metadata } = this.#table(name);
    // REST spec, loadTable, snapshots: `refs` loads those referenced by branches or tags.
    if (url.searchParams.get('snapshots') !== 'refs' || !this.filtersSnapshots) return this.#loaded(name, metadata);
    const referenced = new Set(Object.values(metadata.refs).map(ref => String(ref['snapshot-id'])));
    const snapshots = metadata.snapshots.filter(snapshot => referenced.has(String(snapshot['snapshot-id'])));
    return this.#loaded(name, { ...metadata, snapshots });
  }

  /** REST spec, LoadTableResult: the metadata, and the location of its file. */
  #loaded(name: string, metadata: Metadata): Json {
    const answer = { 'metadata-location': this.#table(name).metadataUri, metadata, config: {} };
    return this.writesNulls ? { ...answer, metadata: withNulls(metadata), config: null } : answer;
  }

  #commit(name: string, { requirements, updates }: Json): Json {
    this.#limit(name);
    const { metadata } = this.#table(name);
    // REST spec, updateTable: requirements are validated before attempting to make and commit changes.
    for (const requirement of requirements as Json[]) checkRequirement(metadata, requirement);
    // All updates or none: `change` applies them to a copy.
    this.change(name, changed => {
      for (const update of updates as Json[]) this.#apply(changed, update);
    });
    // REST spec, CommitTableResponse: metadata-location and metadata are required.
    return this.#loaded(name, this.metadata(name));
  }

  /** Basin Catalog, limits: 20 `updateTable` a table in 60 s. */
  #limit(name: string): void {
    const recent = (this.#commitTimes.get(name) ?? []).filter(atMs => atMs > this.nowMs - 60_000);
    if (recent.length >= this.commitsPerMinuteMax) {
      const refusal = new Refusal(429, 'TooManyRequestsException', 'too many commits to this table');
      refusal.answer.headers = { ...refusal.answer.headers, 'retry-after': '60' };
      throw refusal;
    }
    this.#commitTimes.set(name, [...recent, this.nowMs]);
  }

  #apply(metadata: Metadata, update: Json): void {
    switch (update.action) {
      case 'add-snapshot':
        this.#addSnapshot(metadata, update.snapshot as StoredSnapshot);
        return;
      case 'set-snapshot-ref':
        setRef(metadata, update);
        return;
      case 'add-schema':
        addSchema(metadata, update.schema as Metadata['schemas'][0]);
        return;
      case 'set-current-schema':
        // REST spec, SetCurrentSchemaUpdate: -1 is the schema added last.
        metadata['current-schema-id'] =
          update['schema-id'] === -1 ? metadata.schemas.at(-1)!['schema-id'] : update['schema-id'];
        return;
      case 'set-properties':
        // REST spec, SetPropertiesUpdate.
        Object.assign(metadata.properties, update.updates);
        return;
      default:
        // REST spec, updateTable: servers are required to fail with 400 if any unknown updates are received.
        throw new Refusal(400, 'BadRequestException', `unknown update ${update.action}`);
    }
  }

  #addSnapshot(metadata: Metadata, snapshot: StoredSnapshot): void {
    const ids = metadata.snapshots.map(known => String(known['snapshot-id']));
    // Iceberg spec, Snapshots: a unique long id.
    if (ids.includes(String(snapshot['snapshot-id']))) throw new Refusal(400, 'BadRequestException', 'snapshot exists');
    // Iceberg spec, Snapshots: the sequence number is monotonically increasing.
    if (this.checksSequence && snapshot['sequence-number'] <= metadata['last-sequence-number']) {
      throw new Refusal(400, 'BadRequestException', 'sequence number is not after the last');
    }
    if (this.checksList && !this.bucket.objects.has(objectKey(snapshot['manifest-list'], BUCKET))) {
      throw new Refusal(400, 'BadRequestException', 'manifest list is missing');
    }
    metadata.snapshots.push(snapshot);
    metadata['last-sequence-number'] = Math.max(snapshot['sequence-number'], metadata['last-sequence-number']);
  }
}

/** Metadata with null for each list or map that is empty, for a branch without retention, and for a foreign property. */
function withNulls(metadata: Metadata): Json {
  const isEmpty = (value: unknown) => typeof value === 'object' && value !== null && Object.keys(value).length === 0;
  const members = Object.entries(metadata).map(([name, value]) => [name, isEmpty(value) ? null : value]);
  const refs = Object.entries(metadata.refs).map(([name, ref]) => [name, { 'max-ref-age-ms': null, ...ref }]);
  return {
    'current-snapshot-id': null,
    statistics: null,
    ...Object.fromEntries(members),
    ...(refs.length > 0 && { refs: { ...Object.fromEntries(refs), other: null } }),
    properties: { ...metadata.properties, 'other.property': null },
  };
}

/** REST spec, TableRequirement. */
function checkRequirement(metadata: Metadata, requirement: Json): void {
  const failed = (text: string) => new Refusal(409, 'CommitFailedException', `Requirement failed: ${text}`);
  switch (requirement.type) {
    case 'assert-table-uuid':
      // AssertTableUUID: the table UUID must match the requirement's `uuid`.
      if (requirement.uuid !== metadata['table-uuid']) throw failed('UUID does not match');
      return;
    case 'assert-ref-snapshot-id': {
      // AssertRefSnapshotId: the ref must reference the requirement's `snapshot-id`; if it is null, must not exist.
      const ref = metadata.refs[requirement.ref as string];
      if (String(ref?.['snapshot-id'] ?? null) !== String(requirement['snapshot-id']))
        throw failed('branch has changed');
      return;
    }
    case 'assert-current-schema-id':
      if (requirement['current-schema-id'] !== metadata['current-schema-id']) throw failed('schema has changed');
      return;
    case 'assert-last-assigned-field-id':
      if (requirement['last-assigned-field-id'] !== metadata['last-column-id']) throw failed('columns were added');
      return;
    default:
      // REST spec, updateTable: servers are required to fail with 400 if any unknown requirements are received.
      throw new Refusal(400, 'BadRequestException', `unknown requirement ${requirement.type}`);
  }
}

/** REST spec, AddSchemaUpdate: the server tracks the last column id, and gives the schema its own. */
function addSchema(metadata: Metadata, schema: Metadata['schemas'][0]): void {
  metadata.schemas.push({ ...schema, 'schema-id': metadata.schemas.at(-1)!['schema-id'] + 1 });
  metadata['last-column-id'] = Math.max(...schema.fields.map(({ id }) => id), metadata['last-column-id'] as number);
}

/** REST spec, SetSnapshotRefUpdate. */
function setRef(metadata: Metadata, { action: _, 'ref-name': name, ...ref }: Json): void {
  const id = ref['snapshot-id'] as bigint | number;
  const snapshot = metadata.snapshots.find(known => String(known['snapshot-id']) === String(id));
  if (!snapshot) throw new Refusal(400, 'BadRequestException', 'no such snapshot');
  metadata.refs[name as string] = ref as Metadata['refs'][string];
  if (name !== 'main') return;
  // Iceberg spec, Table Metadata Fields: current-snapshot-id must be the same as the current ID of the main branch.
  metadata['current-snapshot-id'] = id;
  (metadata['snapshot-log'] as Json[]).push({ 'snapshot-id': id, 'timestamp-ms': snapshot['timestamp-ms'] });
}

function answerOf(run: () => Json): CatalogAnswer {
  try {
    return { status: 200, body: exactJson(run()), headers: { 'content-type': 'application/json' } };
  } catch (refusal) {
    if (refusal instanceof Refusal) return refusal.answer;
    throw refusal;
  }
}
