import { expect, it } from 'vitest';
import { watchCatalog } from '../../src/api/iceberg.ts';
import { parse, sampleOf } from './exposition.ts';
import { CATALOG_SETTINGS, catalogStatus, fakeApi } from './fake-sources.ts';

it('the catalog is not enabled without its settings, and its object is not called', async () => {
  const api = fakeApi();
  api.catalog.status = () => expect.fail('expected no call of the catalog object');
  const response = await api.fetch('GET', '/v1/catalog');
  expect(await response.json()).toEqual({ enabled: false, tables: [], next_wake_at: null });
  await watchCatalog(api.env, api.known);
  expect(api.calls).toEqual([]);
  expect(await (await api.fetch('GET', '/metrics')).text()).not.toContain('tributary_catalog');
});

it('the catalog shows its status and its metrics without the token', async () => {
  const api = fakeApi(CATALOG_SETTINGS);
  expect(await (await api.fetch('GET', '/v1/catalog')).json()).toEqual(catalogStatus());
  const families = await parse(await (await api.fetch('GET', '/metrics')).text());
  const labels = { source: 'npm', table: 'npm_package' };
  expect(sampleOf(families, 'tributary_catalog_committed_lsn', labels)).toBe(64);
  expect(sampleOf(families, 'tributary_catalog_files_waiting', labels)).toBe(2);
  await watchCatalog(api.env, api.known);
  expect(api.calls).toEqual(['catalog.watch']);
});

it('a catalog that does not answer does not fail the metrics, and the log holds no token', async () => {
  const api = fakeApi(CATALOG_SETTINGS);
  api.catalog.status = async () => {
    throw new Error(`no object for ${CATALOG_SETTINGS.CATALOG_TOKEN}`);
  };
  expect(await (await api.fetch('GET', '/metrics')).text()).toContain('tributary_source_up');
  expect(api.logged).toEqual([{ event: 'metrics_failed', step: 'catalog', message: 'no object for ***' }]);
});
