import { describe, expect, it, vi } from 'vitest';
import { parse, sampleOf } from './exposition.ts';
import { expectRules } from './exposition-rules.ts';
import { type FakeApi, fakeApi, metricsOf } from './fake-sources.ts';

async function textOf(api: FakeApi): Promise<string> {
  const response = await api.fetch('GET', '/metrics');
  expect(response.status).toBe(200);
  return response.text();
}

describe('the metrics', () => {
  it('are text of the format’s version, never cached, and need no token', async () => {
    const response = await fakeApi().fetch('GET', '/metrics');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  it('are read by an independent parser', async () => {
    const families = await parse(await textOf(fakeApi()));
    for (const source of ['npm', 'pypi']) {
      const value = (name: string, labels = {}) => sampleOf(families, `tributary_${name}`, { source, ...labels });
      expect(value('source_up')).toBe(1);
      expect(value('source_state', { state: 'following' })).toBe(1);
      expect(value('source_state', { state: 'stalled' })).toBe(0);
      expect(value('changes_accepted_total')).toBe(7);
      expect(value('changes', { outcome: 'rows' })).toBe(3);
      expect(value('changes', { outcome: 'skipped:superseded' })).toBe(1);
      expect(value('parked_changes')).toBe(1);
      expect(value('dead_letters')).toBe(1);
      expect(value('retries_total')).toBe(4);
      expect(value('rows_accepted_total', { table: `${source}_package` })).toBe(40);
      expect(value('rows_durable_total', { table: `${source}_package` })).toBe(30);
      expect(value('data_files_total', { table: `${source}_package` })).toBe(3);
      expect(value('data_file_bytes_total', { table: `${source}_package` })).toBe(300);
      expect(value('requests_total', { host: 'feed.test', status: '2xx' })).toBe(9);
      expect(value('requests_total', { host: 'feed.test', status: 'none' })).toBe(2);
      expect(value('readings_total', { server: 'whois.test', reading: 'part' })).toBe(2);
      expect(value('buffer_rows')).toBe(10);
      expect(value('buffer_bytes')).toBe(1_000);
      expect(value('oldest_row_age_seconds')).toBe(2.5);
    }
    expect(families.tributary_flush_duration_seconds).toMatchObject({
      type: 'histogram',
      data: ['npm', 'pypi'].map(source => ({
        labels: { source },
        buckets: { '0.5': 1, '1': 3, '+Inf': 4 },
        count: 4,
        sum: 6.125,
      })),
    });
    expect(families.tributary_load_duration_seconds!.data[0]).toMatchObject({ count: 0, sum: 0 });
  });

  it('have the types that their names say', async () => {
    const families = await parse(await textOf(fakeApi()));
    const types = Object.entries(families).map(([name, { type, help }]) => {
      expect(help, name).toMatch(/\.$/);
      return [name, type];
    });
    const gauges = types.filter(([, type]) => type === 'gauge').map(([name]) => name);
    expect(types.filter(([name]) => name!.endsWith('_total')).every(([, type]) => type === 'counter')).toBe(true);
    expect(gauges).toEqual([
      'tributary_source_up',
      'tributary_source_state',
      'tributary_changes',
      'tributary_parked_changes',
      'tributary_dead_letters',
      'tributary_stream_lsn',
      'tributary_stream_waiting_rows',
      'tributary_database_bytes',
      'tributary_buffer_rows',
      'tributary_buffer_bytes',
      'tributary_oldest_row_age_seconds',
    ]);
  });

  it('keep the rules of the format', async () => {
    const families = expectRules(await textOf(fakeApi()));
    expect(Object.keys(families)).toHaveLength(22);
    for (const { samples } of Object.values(families)) {
      // The series of a source come together, in the order of the registry.
      const sources = samples.map(({ labels }) => labels.source);
      expect(sources).toEqual(sources.toSorted());
    }
  });

  it('leave out values that are unknown, until they are known', async () => {
    const api = fakeApi();
    const unknown = ['lag_changes', 'lag_seconds', 'last_success_timestamp_seconds', 'next_wake_timestamp_seconds'];
    const before = await parse(await textOf(api));
    for (const name of unknown) expect(before).not.toHaveProperty(`tributary_${name}`);
    api.stubs.npm!.metrics = async () => ({
      ...metricsOf('npm'),
      lag: { changes: 0, seconds: 1.5 },
      last_success_at: 1_795_550_400.25,
      next_wake_at: 1_795_550_415,
    });
    const text = await textOf(api);
    expectRules(text);
    const after = await parse(text);
    const values = unknown.map(name => sampleOf(after, `tributary_${name}`, { source: 'npm' }));
    expect(values).toEqual([0, 1.5, 1_795_550_400.25, 1_795_550_415]);
    for (const name of unknown) expect(sampleOf(after, `tributary_${name}`, { source: 'pypi' })).toBeUndefined();
  });

  it('have a label’s quotes, backslashes and line feeds escaped', async () => {
    const api = fakeApi();
    const host = 'a"b\\c\nd\\n';
    api.stubs.npm!.metrics = async () => ({ ...metricsOf('npm'), requests: [{ host, status: '2xx', requests: 1 }] });
    const text = await textOf(api);
    const line = String.raw`tributary_requests_total{source="npm",host="a\"b\\c\nd\\n",status="2xx"} 1`;
    expect(text.split('\n')).toContain(line);
    const [sample] = expectRules(text).tributary_requests_total!.samples;
    expect(sample!.labels).toEqual({ source: 'npm', host, status: '2xx' });
  });

  it('of a source that fails say only that it is down, and do not affect other sources', async () => {
    const api = fakeApi();
    api.stubs.npm!.metrics = async () => {
      throw new Error(`no storage for ${api.env.ADMIN_TOKEN}`);
    };
    const text = await textOf(api);
    expectRules(text);
    const families = await parse(text);
    expect(sampleOf(families, 'tributary_source_up', { source: 'npm' })).toBe(0);
    expect(sampleOf(families, 'tributary_source_up', { source: 'pypi' })).toBe(1);
    expect(text.match(/source="npm"/g)).toHaveLength(1);
    expect(api.logged).toEqual([{ event: 'metrics_failed', source: 'npm', message: 'no storage for ***' }]);
  });

  it('of sources that do not answer in time say only that they are down', async () => {
    vi.useFakeTimers();
    try {
      const api = fakeApi();
      for (const stub of Object.values(api.stubs)) stub.metrics = () => new Promise(() => undefined);
      const text = textOf(api);
      await vi.advanceTimersByTimeAsync(10_000);
      expect(Object.keys(expectRules(await text))).toEqual(['tributary_source_up']);
    } finally {
      vi.useRealTimers();
    }
  });

  it('of an agenda say how much is due, and are absent without an agenda', async () => {
    const api = fakeApi();
    api.stubs.pypi!.metrics = async () => ({
      ...metricsOf('pypi'),
      agenda: { keys: 9, due: 4, overdue: 0, stretch: 1.5 },
    });
    const text = await textOf(api);
    const families = expectRules(text);
    for (const [name, value] of Object.entries({ keys: 9, due: 4, overdue: 0, stretch: 1.5 }))
      expect(families[`tributary_agenda_${name}`]).toMatchObject({
        type: 'gauge',
        samples: [{ labels: { source: 'pypi' }, value }],
      });
    expect(expectRules(await textOf(fakeApi()))).not.toHaveProperty('tributary_agenda_keys');
  });

  it('allow GET only', async () => {
    const response = await fakeApi().fetch('POST', '/metrics');
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('GET');
  });
});
