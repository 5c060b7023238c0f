import type { CatalogTableStatus } from '../contract/iceberg.ts';
import type { Histogram, SourceMetrics } from '../contract/source.ts';
import { messageOf } from '../errors.ts';
import type { ApiCall, ApiEnv, Known } from './env.ts';
import { catalogOf } from './iceberg.ts';
import { METRIC_FAMILIES, type MetricFamily, type Reading, type Scrape } from './metric-families.ts';
import { answerWithin, callSource } from './sources.ts';
import { withoutSecrets } from './token.ts';

/** A source that has not answered after this counts as down: half of the 10 s after which Prometheus gives up. */
const METRICS_MS_MAX = 5_000;

const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Shows every metric family in the text format of Prometheus. A source that does not answer is reported down. */
export async function showMetrics({ env, known }: ApiCall): Promise<Response> {
  const sources = await Promise.all(
    known.sources.map(async ({ id }) => ({ id, metrics: await metricsOf(env, known, id) })),
  );
  const scrape = { sources, catalogTables: await catalogTables(env, known) };
  const lines = METRIC_FAMILIES.flatMap(family => familyLines(family, scrape));
  // The format requires a line feed after the last line too.
  return new Response(`${lines.join('\n')}\n`, {
    headers: { 'content-type': CONTENT_TYPE, 'cache-control': 'no-store' },
  });
}

async function metricsOf(env: ApiEnv, { log }: Known, id: string): Promise<SourceMetrics | null> {
  try {
    return await callSource(env, { id, subject: 'metrics', ms: METRICS_MS_MAX }, stub => stub.metrics());
  } catch (error) {
    log('metrics_failed', { source: id, message: withoutSecrets(messageOf(error), env) });
    return null;
  }
}

async function catalogTables(env: ApiEnv, { log }: Known): Promise<CatalogTableStatus[]> {
  try {
    const status = catalogOf(env)?.status();
    return status ? (await answerWithin(status, { ms: METRICS_MS_MAX, subject: 'metrics of the catalog' })).tables : [];
  } catch (error) {
    log('metrics_failed', { step: 'catalog', message: withoutSecrets(messageOf(error), env) });
    return [];
  }
}

/** The lines of one family, together as the format requires; none when nothing has a value. */
function familyLines(family: MetricFamily, scrape: Scrape): string[] {
  const { name, help, type } = family;
  const lines =
    family.type === 'histogram'
      ? family.read(scrape).flatMap(reading => histogramLines(family, reading))
      : family.read(scrape).map(({ labels, value }) => line(name, pairsOf(family, labels), value));
  if (lines.length === 0) return [];
  return [
    `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`,
    `# TYPE ${name} ${type}`,
    ...lines,
  ];
}

/** Buckets are cumulative; the last one has the bound `+Inf` and holds every observation. */
function histogramLines(family: MetricFamily, { labels, value }: Reading<Histogram>): string[] {
  const pairs = pairsOf(family, labels);
  const bucketLine = (bound: string, count: number) => line(`${family.name}_bucket`, [...pairs, ['le', bound]], count);
  return [
    ...value.buckets.map(({ seconds, count }) => bucketLine(String(seconds), count)),
    bucketLine('+Inf', value.count),
    line(`${family.name}_sum`, pairs, value.sum_seconds),
    line(`${family.name}_count`, pairs, value.count),
  ];
}

type LabelPair = [name: string, value: string];

function pairsOf({ labels }: MetricFamily, values: string[]): LabelPair[] {
  return labels.map((name, index) => [name, values[index]!]);
}

function line(name: string, pairs: LabelPair[], value: number): string {
  const labels = pairs.map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}{${labels.join(',')}} ${value}`;
}

/** A label's value may hold any character; backslash, quote and line feed are escaped with a backslash. */
function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
