import type { CatalogTableStatus } from '../contract/iceberg.ts';
import type { Histogram, SourceMetrics, SourceState, StreamStatus } from '../contract/source.ts';

/** What one request to `/metrics` reads the families from. */
export interface Scrape {
  /** Every source in the order of the registry; its metrics are null when it did not answer. */
  sources: { id: string; metrics: SourceMetrics | null }[];
  /** Tables of the Iceberg catalog; none without a catalog, or when its object did not answer. */
  catalogTables: CatalogTableStatus[];
}

/** One value with the values of its family's labels, in their order. */
export interface Reading<V> {
  labels: string[];
  value: V;
}

interface FamilyDescription {
  /** Snake case, with the base unit last. */
  name: string;
  unit: string;
  help: string;
  labels: readonly string[];
}

/** One metric family: how Prometheus and the README describe it, and how its values are read. */
export type MetricFamily =
  | (FamilyDescription & { type: 'counter' | 'gauge'; read(scrape: Scrape): Reading<number>[] })
  | (FamilyDescription & { type: 'histogram'; read(scrape: Scrape): Reading<Histogram>[] });

const STATES: SourceState[] = ['following', 'catching-up', 'paused', 'backing-off', 'stalled', 'full'];

/** Every family of `/metrics`, in the order of the answer. An unknown value gives no reading. */
export const METRIC_FAMILIES: readonly MetricFamily[] = [
  {
    name: 'tributary_source_up',
    type: 'gauge',
    unit: '0 or 1',
    labels: ['source'],
    help: 'Whether the source answered: 1, or 0 if not.',
    read: ({ sources }) => sources.map(({ id, metrics }) => ({ labels: [id], value: metrics === null ? 0 : 1 })),
  },
  {
    name: 'tributary_source_state',
    type: 'gauge',
    unit: '0 or 1',
    labels: ['source', 'state'],
    help: 'Whether the source is in this state: 1 for one of them, 0 for the others.',
    read: perSource(({ state }) => STATES.map(one => ({ labels: [one], value: one === state ? 1 : 0 }))),
  },
  {
    name: 'tributary_changes_accepted_total',
    type: 'counter',
    unit: 'changes',
    labels: ['source'],
    help: 'Changes of the feed that were accepted.',
    read: onePerSource(({ changes_accepted }) => changes_accepted),
  },
  {
    name: 'tributary_changes',
    type: 'gauge',
    unit: 'changes',
    labels: ['source', 'outcome'],
    help: 'Accepted changes by what they came to so far; in sum all that were accepted.',
    read: perSource(({ changes }) => Object.entries(changes).map(([outcome, value]) => ({ labels: [outcome], value }))),
  },
  {
    name: 'tributary_parked_changes',
    type: 'gauge',
    unit: 'changes',
    labels: ['source'],
    help: 'Changes that failed and are retried.',
    read: onePerSource(({ changes }) => changes.parked ?? 0),
  },
  {
    name: 'tributary_dead_letters',
    type: 'gauge',
    unit: 'changes',
    labels: ['source'],
    help: 'Changes that failed and are not retried any more, until a person replays or dismisses them.',
    read: onePerSource(({ changes }) => changes.dead ?? 0),
  },
  {
    name: 'tributary_retries_total',
    type: 'counter',
    unit: 'attempts',
    labels: ['source'],
    help: 'Attempts at parked changes, whatever their results.',
    read: onePerSource(({ retries }) => retries),
  },
  {
    name: 'tributary_rows_accepted_total',
    type: 'counter',
    unit: 'rows',
    labels: ['source', 'table'],
    help: 'Rows that are in the journal or were.',
    read: perTable(({ rows_accepted }) => rows_accepted),
  },
  {
    name: 'tributary_rows_known_total',
    type: 'counter',
    unit: 'rows',
    labels: ['source', 'table'],
    help: 'Rows that were not appended because an immutable table has a row of their key.',
    read: perTable(({ rows_known }) => rows_known),
  },
  {
    name: 'tributary_rows_durable_total',
    type: 'counter',
    unit: 'rows',
    labels: ['source', 'table'],
    help: 'Rows that are in data files.',
    read: perTable(({ rows_durable }) => rows_durable),
  },
  {
    name: 'tributary_data_files_total',
    type: 'counter',
    unit: 'files',
    labels: ['source', 'table'],
    help: 'Data files that were written.',
    read: perTable(({ files }) => files),
  },
  {
    name: 'tributary_data_file_bytes_total',
    type: 'counter',
    unit: 'bytes',
    labels: ['source', 'table'],
    help: 'Bytes of data files that were written.',
    read: perTable(({ bytes }) => bytes),
  },
  {
    name: 'tributary_stream_lsn',
    type: 'gauge',
    unit: 'LSN',
    labels: ['source', 'table', 'binding'],
    help: 'The last row that the stream of the table has; absent of a table without a stream.',
    read: perStream(({ last_lsn }) => last_lsn),
  },
  {
    name: 'tributary_stream_waiting_rows',
    type: 'gauge',
    unit: 'rows',
    labels: ['source', 'table', 'binding'],
    help: 'Rows that are in data files and not in the stream of their table.',
    read: perStream(({ waiting }) => waiting),
  },
  {
    name: 'tributary_requests_total',
    type: 'counter',
    unit: 'requests',
    labels: ['source', 'host', 'status'],
    help: 'Requests to upstream hosts, by the class of their status; none for those without an answer.',
    read: perSource(({ requests }) =>
      requests.map(({ host, status, requests: value }) => ({ labels: [host, status], value })),
    ),
  },
  {
    name: 'tributary_readings_total',
    type: 'counter',
    unit: 'answers',
    labels: ['source', 'server', 'reading'],
    help: 'Answers in text, by what the source made of them: whole, part, absent, refused or unknown.',
    read: perSource(({ readings }) =>
      readings.map(({ server, reading, answers: value }) => ({ labels: [server, reading], value })),
    ),
  },
  {
    name: 'tributary_lag_changes',
    type: 'gauge',
    unit: 'changes',
    labels: ['source'],
    help: 'Changes the feed has shown that are not accepted yet; absent until the pages to its head have been read.',
    read: onePerSource(({ lag }) => lag.changes),
  },
  {
    name: 'tributary_lag_seconds',
    type: 'gauge',
    unit: 'seconds',
    labels: ['source'],
    help: 'Time since a pull last reached the head of the feed; absent until one has.',
    read: onePerSource(({ lag }) => lag.seconds),
  },
  {
    name: 'tributary_database_bytes',
    type: 'gauge',
    unit: 'bytes',
    labels: ['source'],
    help: "Size of the database of the source's object.",
    read: onePerSource(({ database_bytes }) => database_bytes),
  },
  {
    name: 'tributary_agenda_keys',
    type: 'gauge',
    unit: 'keys',
    labels: ['source'],
    help: 'Keys that are watched; absent of a source with a feed.',
    read: onePerSource(({ agenda }) => agenda?.keys ?? null),
  },
  {
    name: 'tributary_agenda_due',
    type: 'gauge',
    unit: 'keys',
    labels: ['source'],
    help: 'Watched keys that are due for a visit now.',
    read: onePerSource(({ agenda }) => agenda?.due ?? null),
  },
  {
    name: 'tributary_agenda_overdue',
    type: 'gauge',
    unit: 'keys',
    labels: ['source'],
    help: 'Watched keys that have been due for more than an hour.',
    read: onePerSource(({ agenda }) => agenda?.overdue ?? null),
  },
  {
    name: 'tributary_agenda_stretch',
    type: 'gauge',
    unit: 'factor',
    labels: ['source'],
    help: 'By which factor intervals between visits are stretched, because hosts have no room for all of them.',
    read: onePerSource(({ agenda }) => agenda?.stretch ?? null),
  },
  {
    name: 'tributary_round_checks_total',
    type: 'counter',
    unit: 'checks',
    labels: ['source', 'answer'],
    help: 'Keys that the round checked, by what it found: unchanged, changed or failed; absent of a source without one.',
    read: perSource(({ round }) => Object.entries(round ?? {}).map(([kind, value]) => ({ labels: [kind], value }))),
  },
  {
    name: 'tributary_inlet_lsn',
    type: 'gauge',
    unit: 'LSN',
    labels: ['source', 'table'],
    help: 'The last row of the feeding table that the inlet has read; absent of a source without inlets.',
    read: perInlet(({ lsn }) => lsn),
  },
  {
    name: 'tributary_inlet_behind_rows',
    type: 'gauge',
    unit: 'rows',
    labels: ['source', 'table'],
    help: 'Settled rows of the feeding table that the inlet has not read, when its source last answered.',
    read: perInlet(({ behind }) => behind),
  },
  {
    name: 'tributary_inlet_findings_total',
    type: 'counter',
    unit: 'findings',
    labels: ['source', 'table'],
    help: 'Keys that rows of the feeding table named, those that were known included.',
    read: perInlet(({ findings }) => findings),
  },
  {
    name: 'tributary_inlet_passed_over_total',
    type: 'counter',
    unit: 'findings',
    labels: ['source', 'table', 'reason'],
    help: 'Findings that added no key or kept no facts, by reason.',
    read: perSource(({ inlets }) =>
      inlets.flatMap(({ table, passed_over }) =>
        Object.entries(passed_over).map(([reason, value]) => ({ labels: [table, reason], value })),
      ),
    ),
  },
  {
    name: 'tributary_evidence_items',
    type: 'gauge',
    unit: 'items',
    labels: ['source', 'table'],
    help: 'Facts about keys that are kept of the feeding table.',
    read: perInlet(({ evidence }) => evidence),
  },
  {
    name: 'tributary_buffer_rows',
    type: 'gauge',
    unit: 'rows',
    labels: ['source'],
    help: 'Rows that are accepted and not in a data file yet.',
    read: onePerSource(({ buffer }) => buffer.rows),
  },
  {
    name: 'tributary_buffer_bytes',
    type: 'gauge',
    unit: 'bytes',
    labels: ['source'],
    help: 'Bytes of the rows that are accepted and not in a data file yet.',
    read: onePerSource(({ buffer }) => buffer.bytes),
  },
  {
    name: 'tributary_oldest_row_age_seconds',
    type: 'gauge',
    unit: 'seconds',
    labels: ['source'],
    help: 'Age of the oldest row that is not in a data file yet; 0 when there is none.',
    read: onePerSource(({ buffer }) => buffer.oldest_age_seconds),
  },
  {
    name: 'tributary_flush_duration_seconds',
    type: 'histogram',
    unit: 'seconds',
    labels: ['source'],
    help: 'How long it took to write and settle a data file, in the attempt that did.',
    read: onePerSource(({ flush_seconds }) => flush_seconds),
  },
  {
    name: 'tributary_load_duration_seconds',
    type: 'histogram',
    unit: 'seconds',
    labels: ['source'],
    help: 'How long Loader calls took that loaded documents and answered.',
    read: onePerSource(({ load_seconds }) => load_seconds),
  },
  {
    name: 'tributary_last_success_timestamp_seconds',
    type: 'gauge',
    unit: 'seconds since 1970',
    labels: ['source'],
    help: 'When a run last ended with no step waiting out a failure, in seconds since 1970; absent before the first.',
    read: onePerSource(({ last_success_at }) => last_success_at),
  },
  {
    name: 'tributary_next_wake_timestamp_seconds',
    type: 'gauge',
    unit: 'seconds since 1970',
    labels: ['source'],
    help: 'When the next run is due, in seconds since 1970; absent when none is.',
    read: onePerSource(({ next_wake_at }) => next_wake_at),
  },
  {
    name: 'tributary_catalog_committed_lsn',
    type: 'gauge',
    unit: 'LSN',
    labels: ['source', 'table'],
    help: 'The last LSN whose row is in the Iceberg table; absent until the table has been read.',
    read: perCatalogTable(({ committed_lsn }) => committed_lsn),
  },
  {
    name: 'tributary_catalog_files_waiting',
    type: 'gauge',
    unit: 'files, at most 1,000',
    labels: ['source', 'table'],
    help: 'Data files that are not in the Iceberg table yet, at most 1,000 of them.',
    read: perCatalogTable(({ files_waiting }) => files_waiting),
  },
];

/** Reads each source that answered; the source's label comes before the labels of its readings. */
function perSource<V>(read: (metrics: SourceMetrics) => Reading<V>[]): (scrape: Scrape) => Reading<V>[] {
  return ({ sources }) =>
    sources.flatMap(({ id, metrics }) =>
      metrics === null ? [] : read(metrics).map(({ labels, value }) => ({ labels: [id, ...labels], value })),
    );
}

function onePerSource<V>(read: (metrics: SourceMetrics) => V | null): (scrape: Scrape) => Reading<V>[] {
  return perSource(metrics => {
    const value = read(metrics);
    return value === null ? [] : [{ labels: [], value }];
  });
}

function perTable(read: (table: SourceMetrics['tables'][number]) => number): (scrape: Scrape) => Reading<number>[] {
  return perSource(({ tables }) => tables.map(table => ({ labels: [table.name], value: read(table) })));
}

function perInlet(read: (inlet: SourceMetrics['inlets'][number]) => number): (scrape: Scrape) => Reading<number>[] {
  return perSource(({ inlets }) => inlets.map(inlet => ({ labels: [inlet.table], value: read(inlet) })));
}

function perStream(read: (stream: StreamStatus) => number): (scrape: Scrape) => Reading<number>[] {
  return perSource(({ streams }) =>
    streams.map(stream => ({ labels: [stream.table, stream.binding], value: read(stream) })),
  );
}

function perCatalogTable(read: (table: CatalogTableStatus) => number | null): (scrape: Scrape) => Reading<number>[] {
  return ({ catalogTables }) =>
    catalogTables.flatMap(table => {
      const value = read(table);
      return value === null ? [] : [{ labels: [table.source, table.table], value }];
    });
}
