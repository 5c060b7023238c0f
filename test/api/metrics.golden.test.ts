import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { expectRules } from './exposition-rules.ts';
import { CATALOG_SETTINGS, catalogStatus, fakeApi, metricsOf } from './fake-sources.ts';

/** UPDATE_GOLDEN=1 writes the file anew; read the difference before you commit it. */
const GOLDEN = path.resolve(import.meta.dirname, '../golden/metrics.txt');

/** Two sources with a value for every family, a third one that does not answer, and two tables in the catalog. */
function fullApi() {
  const api = fakeApi(CATALOG_SETTINGS);
  const histogram = { buckets: [0.25, 1, 2.5].map((seconds, index) => ({ seconds, count: index })), count: 5 };
  api.stubs.npm!.metrics = async () => ({
    ...metricsOf('npm'),
    state: 'catching-up',
    agenda: { keys: 9, due: 4, overdue: 0, stretch: 1.5 },
    round: { unchanged: 6, changed: 1, failed: 2 },
    inlets: [
      {
        table: 'a',
        lsn: 20,
        behind: 5,
        findings: 12,
        evidence: 3,
        passed_over: { 'no-key': 2, removed: 1 },
      },
    ],
    lag: { changes: 12, seconds: 1.5 },
    load_seconds: { ...histogram, sum_seconds: 0.1 },
    last_success_at: 1_795_550_400.25,
    next_wake_at: 1_795_550_415,
  });
  api.stubs.pypi!.metrics = async () => ({
    ...metricsOf('pypi'),
    state: 'stalled',
    tables: ['b', 'a'].map(name => ({
      name,
      rows_accepted: 2 ** 53 - 1,
      rows_known: 0,
      rows_durable: 1e21,
      files: 0,
      bytes: 0,
    })),
    streams: ['b', 'a'].map(table => ({ table, binding: `${table}_STREAM`, last_lsn: 3, waiting: 0 })),
    requests: [{ host: 'a"b\\c\nd', status: '4xx', requests: 3 }],
    lag: { changes: 0, seconds: null },
  });
  api.known.sources.push({ id: 'silent', tables: [], settings: () => ({}) });
  const [table] = catalogStatus().tables;
  const unread = { ...table!, table: 'pypi_package', source: 'pypi', committed_lsn: null, files_waiting: 0 };
  api.catalog.status = async () => ({ ...catalogStatus(), tables: [table!, unread] });
  return api;
}

it('metrics of a full status are those of the golden file, byte for byte', async () => {
  const text = await (await fullApi().fetch('GET', '/metrics')).text();
  expectRules(text);
  if (process.env.UPDATE_GOLDEN) writeFileSync(GOLDEN, text);
  expect(text).toBe(readFileSync(GOLDEN, 'utf8'));
});
