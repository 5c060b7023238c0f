import { exactJson, parseExactJson } from '../../src/iceberg/format/exact-json.ts';
import { objectKey } from '../../src/iceberg/format/location.ts';
import type { FetchPort } from '../../src/iceberg/rest/client.ts';
import { MemoryBucket } from '../simulation/world/bucket.ts';
import { errorAnswer, type Lie, type LiedAnswer, type Operation } from './lies.ts';

export const BUCKET = 'lake';
export const WAREHOUSE = 'account_lake';
export const TOKEN = 'a-secret-token';
export const URI = 'https://catalog.test/account/lake';
const PREFIX = '9a1f0c';

type Json = Record<string, unknown>;

/** A request the catalog got, and how large it and its answer were. */
export interface Told {
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

/** A table's metadata as JSON, its longs as they come out of `parseExactJson`. */
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

/** An answer other than 200: thrown by a rule that does not hold. */
class Refusal {
  readonly answer: LiedAnswer;
  constructor(status: number, type: string, message: string) {
    this.answer = errorAnswer(status, type, message);
  }
}

/**
 * An Iceberg REST catalog in memory, written from the Iceberg REST specification (rest-catalog-open-api.yaml); the
 * paragraph is named beside each rule. It lies where a test tells it to. `Idempotency-Key` means nothing to it: the same
 * request twice is carried out twice.
 */
export class MemoryCatalog {
  readonly bucket: MemoryBucket;
  readonly told: Told[] = [];
  /** What the last request would be given up by. */
  lastSignal: AbortSignal | null = null;
  /** Each is used once, by the first request it fits. */
  readonly lies: Lie[] = [];
  /** A catalog may assign field ids of its own when it makes a table. */
  assignedId: (id: number) => number = id => id;
  /** Whether `snapshots=refs` is heeded. Basin Catalog gives all snapshots whatever is asked. */
  heedsRefs = true;
  /** Commits a table may have in a minute; past it the answer is 429. */
  commitsPerMinuteMax = Number.POSITIVE_INFINITY;
  /** Whether a snapshot's sequence number must follow. That is a second guard beside the requirements; not all have it. */
  checksSequence = true;
  /** Whether a snapshot's manifest list must be there first: stricter than any catalog. Off where the bucket is another. */
  checksList = true;
  nowMs = Date.UTC(2026, 10, 10, 12);
  readonly #namespaces = new Set<string>();
  readonly #tables = new Map<string, StoredTable>();
  readonly #commitTimes = new Map<string, number[]>();
  #late: (() => void)[] = [];
  #uuids = 0;

  constructor(bucket = new MemoryBucket()) {
    this.bucket = bucket;
  }

  /** The catalog as the client reaches it. */
  readonly fetch: FetchPort = async (url, init) => {
    const { operation, run } = this.#route(new URL(url), init);
    this.lastSignal = init.signal ?? null;
    const at = this.lies.findIndex(({ on }) => on === operation);
    const [told] = at === -1 ? [] : this.lies.splice(at, 1);
    const requestBytes = url.length + String(init.body ?? '').length;
    if (told?.happens === 'late') this.#late.push(() => answerOf(run));
    const answer = told === undefined || told.happens === 'now' ? answerOf(run) : errorAnswer(500, 'Never', 'asked');
    if (told?.answer === 'hangs' || told?.answer === 'lost') {
      this.told.push({ operation, status: null, requestBytes, answerBytes: 0 });
      if (told.answer === 'hangs') return new Promise<Response>(() => undefined);
      throw new TypeError(`fetch failed, its headers were ${JSON.stringify(init.headers)}`);
    }
    const given = told === undefined || told.answer === 'true' ? answer : told.answer;
    this.told.push({ operation, status: given.status, requestBytes, answerBytes: given.body.length });
    return new Response(given.status === 204 ? null : given.body, {
      status: given.status,
      headers: given.headers ?? {},
    });
  };

  /** Lets what was asked for earlier arrive now. */
  arrive(): void {
    const late = this.#late;
    this.#late = [];
    for (const run of late) run();
  }

  metadata(name: string): Metadata {
    return this.#table(name).metadata;
  }

  /** Changes a table's metadata as a request, or the catalog's own upkeep, does: a new metadata file, all at once. */
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
    this.bucket.place(objectKey(metadataUri, BUCKET), new TextEncoder().encode(exactJson(metadata)));
    this.#tables.set(name, { metadata, metadataUri, version });
  }

  #route(url: URL, init: RequestInit): { operation: Operation; run: () => Json } {
    const { method = 'GET' } = init;
    const [, root = '', path = ''] = /^(.*?\/v1)\/(.*)$/.exec(url.origin + url.pathname) ?? [];
    const routed = (operation: Operation, run: () => Json) => ({
      operation,
      run: () => {
        this.#authorize(init);
        // REST spec, getConfig: all other routes come under the prefix the configuration names.
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
    if (url.searchParams.get('snapshots') !== 'refs' || !this.heedsRefs) return this.#loaded(name, metadata);
    const referenced = new Set(Object.values(metadata.refs).map(ref => String(ref['snapshot-id'])));
    const snapshots = metadata.snapshots.filter(snapshot => referenced.has(String(snapshot['snapshot-id'])));
    return this.#loaded(name, { ...metadata, snapshots });
  }

  /** REST spec, LoadTableResult: the metadata, and where its file lies. */
  #loaded(name: string, metadata: Metadata): Json {
    return { 'metadata-location': this.#table(name).metadataUri, metadata, config: {} };
  }

  #commit(name: string, { requirements, updates }: Json): Json {
    this.#limit(name);
    const { metadata } = this.#table(name);
    // REST spec, updateTable: requirements are validated before attempting to make and commit changes.
    for (const requirement of requirements as Json[]) checkRequirement(metadata, requirement);
    // All updates or none: they are made on a copy.
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

function answerOf(run: () => Json): LiedAnswer {
  try {
    return { status: 200, body: exactJson(run()), headers: { 'content-type': 'application/json' } };
  } catch (refusal) {
    if (refusal instanceof Refusal) return refusal.answer;
    throw refusal;
  }
}
