import type { CatalogTableStatus } from '../contract/iceberg.ts';
import type { Histogram, SourceMetrics, SourceState } from '../contract/source.ts';
import { messageOf } from '../errors.ts';
import type { ApiEnv, Known } from './env.ts';
import { catalogOf } from './iceberg.ts';
import { askSource, within } from './sources.ts';
import { withoutSecrets } from './token.ts';

/** A source that has not answered by then counts as not answering: half of what Prometheus waits for all. */
const METRICS_MS_MAX = 5_000;

const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

const STATES: SourceState[] = ['following', 'catching-up', 'paused', 'backing-off', 'stalled'];

/** A value with its labels; the source's own label comes before them. `suffix`: of the sample's name, for histograms. */
interface Sample {
  labels?: Record<string, string>;
  suffix?: '_bucket' | '_sum' | '_count';
  value: number;
}

/** All samples of one name, with what Prometheus tells of them. Names are snake case with the base unit last. */
interface Family {
  name: string;
  type: 'counter' | 'gauge' | 'histogram';
  help: string;
  samples(metrics: SourceMetrics): Sample[];
}

/** Every family there is, in the order of the answer. A value that is not known gives no sample. */
const FAMILIES: Family[] = [
  {
    name: 'tributary_source_state',
    type: 'gauge',
    help: 'Whether the source is in this state: 1 for one of them, 0 for the others.',
    samples: ({ state }) => STATES.map(one => ({ labels: { state: one }, value: one === state ? 1 : 0 })),
  },
  {
    name: 'tributary_changes_accepted_total',
    type: 'counter',
    help: 'Changes of the feed that were accepted.',
    samples: ({ changes_accepted }) => [{ value: changes_accepted }],
  },
  {
    name: 'tributary_changes',
    type: 'gauge',
    help: 'Accepted changes by what they came to so far; in sum all that were accepted.',
    samples: ({ changes }) => Object.entries(changes).map(([outcome, value]) => ({ labels: { outcome }, value })),
  },
  {
    name: 'tributary_parked_changes',
    type: 'gauge',
    help: 'Changes that failed and are looked at again.',
    samples: ({ changes }) => [{ value: changes.parked ?? 0 }],
  },
  {
    name: 'tributary_dead_letters',
    type: 'gauge',
    help: 'Changes that failed for good and wait for somebody to replay or dismiss them.',
    samples: ({ changes }) => [{ value: changes.dead ?? 0 }],
  },
  {
    name: 'tributary_retries_total',
    type: 'counter',
    help: 'Looks at parked changes, whatever came of them.',
    samples: ({ retries }) => [{ value: retries }],
  },
  {
    name: 'tributary_rows_accepted_total',
    type: 'counter',
    help: 'Rows that are in the journal or were.',
    samples: ({ tables }) => byTable(tables, ({ rows_accepted }) => rows_accepted),
  },
  {
    name: 'tributary_rows_durable_total',
    type: 'counter',
    help: 'Rows that are in data files.',
    samples: ({ tables }) => byTable(tables, ({ rows_durable }) => rows_durable),
  },
  {
    name: 'tributary_data_files_total',
    type: 'counter',
    help: 'Data files that were written.',
    samples: ({ tables }) => byTable(tables, ({ files }) => files),
  },
  {
    name: 'tributary_data_file_bytes_total',
    type: 'counter',
    help: 'Bytes of data files that were written.',
    samples: ({ tables }) => byTable(tables, ({ bytes }) => bytes),
  },
  {
    name: 'tributary_stream_lsn',
    type: 'gauge',
    help: 'The last row that the stream of the table has; absent of a table without a stream.',
    samples: ({ streams }) => byStream(streams, ({ last_lsn }) => last_lsn),
  },
  {
    name: 'tributary_stream_waiting_rows',
    type: 'gauge',
    help: 'Rows that are in data files and not in the stream of their table.',
    samples: ({ streams }) => byStream(streams, ({ waiting }) => waiting),
  },
  {
    name: 'tributary_requests_total',
    type: 'counter',
    help: 'Requests to upstream hosts, by the class of their status; none for those without an answer.',
    samples: ({ requests }) =>
      requests.map(({ host, status, requests: value }) => ({ labels: { host, status }, value })),
  },
  {
    name: 'tributary_lag_changes',
    type: 'gauge',
    help: 'Changes the feed has shown that are not accepted yet; absent until the pages to its head have been read.',
    samples: ({ lag }) => known(lag.changes),
  },
  {
    name: 'tributary_lag_seconds',
    type: 'gauge',
    help: 'Time since a pull last reached the head of the feed; absent until one has.',
    samples: ({ lag }) => known(lag.seconds),
  },
  {
    name: 'tributary_agenda_keys',
    type: 'gauge',
    help: 'Keys that are watched; absent of a source with a feed.',
    samples: ({ agenda }) => known(agenda?.keys ?? null),
  },
  {
    name: 'tributary_agenda_due',
    type: 'gauge',
    help: 'Watched keys that are due for a visit now.',
    samples: ({ agenda }) => known(agenda?.due ?? null),
  },
  {
    name: 'tributary_agenda_overdue',
    type: 'gauge',
    help: 'Watched keys that have been due for more than an hour.',
    samples: ({ agenda }) => known(agenda?.overdue ?? null),
  },
  {
    name: 'tributary_buffer_rows',
    type: 'gauge',
    help: 'Rows that are accepted and not in a data file yet.',
    samples: ({ buffer }) => [{ value: buffer.rows }],
  },
  {
    name: 'tributary_buffer_bytes',
    type: 'gauge',
    help: 'Bytes of the rows that are accepted and not in a data file yet.',
    samples: ({ buffer }) => [{ value: buffer.bytes }],
  },
  {
    name: 'tributary_oldest_row_age_seconds',
    type: 'gauge',
    help: 'Age of the oldest row that is not in a data file yet; 0 when there is none.',
    samples: ({ buffer }) => [{ value: buffer.oldest_age_seconds }],
  },
  {
    name: 'tributary_flush_duration_seconds',
    type: 'histogram',
    help: 'How long it took to write and settle a data file, in the attempt that did.',
    samples: ({ flush_seconds }) => histogram(flush_seconds),
  },
  {
    name: 'tributary_load_duration_seconds',
    type: 'histogram',
    help: 'How long Loader calls took that loaded documents and answered.',
    samples: ({ load_seconds }) => histogram(load_seconds),
  },
  {
    name: 'tributary_last_success_timestamp_seconds',
    type: 'gauge',
    help: 'When a run last ended with no step waiting out a failure, in seconds since 1970; absent before the first.',
    samples: ({ last_success_at }) => known(last_success_at),
  },
  {
    name: 'tributary_next_wake_timestamp_seconds',
    type: 'gauge',
    help: 'When the next run is due, in seconds since 1970; absent when none is.',
    samples: ({ next_wake_at }) => known(next_wake_at),
  },
];

const CATALOG_FAMILIES = [
  {
    name: 'tributary_catalog_committed_lsn',
    help: 'The last LSN whose row is in the Iceberg table; absent until the table has been read.',
    value: ({ committed_lsn }: CatalogTableStatus) => committed_lsn,
  },
  {
    name: 'tributary_catalog_files_waiting',
    help: 'Data files that are not in the Iceberg table yet, at most 1,000 of them.',
    value: ({ files_waiting }: CatalogTableStatus) => files_waiting,
  },
];

/** What all sources count and measure, in the text format of Prometheus. One that does not answer is only told to be down. */
export async function showMetrics(env: ApiEnv, api: Known): Promise<Response> {
  const asked = await Promise.all(api.sources.map(async ({ id }) => ({ id, metrics: await metricsOf(env, api, id) })));
  const up = asked.map(({ id, metrics }) => line('tributary_source_up', { source: id }, metrics === null ? 0 : 1));
  const answered = asked.flatMap(({ metrics }) => metrics ?? []);
  const families = FAMILIES.flatMap(family => linesOf(family, answered));
  const tables = await catalogTables(env, api);
  const body = [
    ...head({ name: 'tributary_source_up', type: 'gauge', help: 'Whether the source answered: 1, or 0 if not.' }),
    ...up,
    ...families,
    ...CATALOG_FAMILIES.flatMap(family => catalogLines(family, tables)),
  ];
  // The format wants a line feed after the last line too.
  return new Response(`${body.join('\n')}\n`, {
    headers: { 'content-type': CONTENT_TYPE, 'cache-control': 'no-store' },
  });
}

async function metricsOf(env: ApiEnv, { log }: Known, id: string): Promise<SourceMetrics | null> {
  try {
    return await askSource(env, { id, subject: 'metrics', ms: METRICS_MS_MAX }, stub => stub.metrics());
  } catch (error) {
    log('metrics_failed', { source: id, message: withoutSecrets(messageOf(error), env) });
    return null;
  }
}

/** Tables of the Iceberg catalog; none where there is no catalog, or its object does not answer. */
async function catalogTables(env: ApiEnv, { log }: Known): Promise<CatalogTableStatus[]> {
  try {
    const asked = catalogOf(env)?.status();
    return asked ? (await within(asked, { ms: METRICS_MS_MAX, subject: 'metrics of the catalog' })).tables : [];
  } catch (error) {
    log('metrics_failed', { step: 'catalog', message: withoutSecrets(messageOf(error), env) });
    return [];
  }
}

function catalogLines(
  { name, help, value }: (typeof CATALOG_FAMILIES)[number],
  tables: CatalogTableStatus[],
): string[] {
  const lines = tables.flatMap(table => {
    const labels = { source: table.source, table: table.table };
    return known(value(table)).map(sample => line(name, labels, sample.value));
  });
  return lines.length === 0 ? [] : [...head({ name, type: 'gauge', help }), ...lines];
}

/** The lines of one family over all sources, together as the format wants them; none when no source has a sample. */
function linesOf(family: Family, sources: SourceMetrics[]): string[] {
  const samples = sources.flatMap(metrics =>
    family
      .samples(metrics)
      .map(({ labels, suffix = '', value }) =>
        line(`${family.name}${suffix}`, { source: metrics.source, ...labels }, value),
      ),
  );
  return samples.length === 0 ? [] : [...head(family), ...samples];
}

function head({ name, type, help }: Pick<Family, 'name' | 'type' | 'help'>): string[] {
  return [`# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`, `# TYPE ${name} ${type}`];
}

function line(name: string, labels: Record<string, string>, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}{${pairs.join(',')}} ${value}`;
}

/** A label's value may hold any character; backslash, quote and line feed are written with a backslash. */
function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function known(value: number | null): Sample[] {
  return value === null ? [] : [{ value }];
}

function byTable(tables: SourceMetrics['tables'], value: (table: SourceMetrics['tables'][number]) => number): Sample[] {
  return tables.map(table => ({ labels: { table: table.name }, value: value(table) }));
}

type Streams = SourceMetrics['streams'];

function byStream(streams: Streams, value: (stream: Streams[number]) => number): Sample[] {
  return streams.map(stream => ({ labels: { table: stream.table, binding: stream.binding }, value: value(stream) }));
}

/** Buckets rise to the one that holds all. */
function histogram({ buckets, count, sum_seconds }: Histogram): Sample[] {
  return [
    ...buckets.map(bucket => ({
      labels: { le: String(bucket.seconds) },
      suffix: '_bucket' as const,
      value: bucket.count,
    })),
    { labels: { le: '+Inf' }, suffix: '_bucket', value: count },
    { suffix: '_sum', value: sum_seconds },
    { suffix: '_count', value: count },
  ];
}
