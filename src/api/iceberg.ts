import { readSettings } from '../config.ts';
import type { IcebergStatus } from '../contract/iceberg.ts';
import type { CatalogStub } from '../contract/objects.ts';
import { messageOf } from '../errors.ts';
import { answer } from './answer.ts';
import type { ApiEnv, Known } from './env.ts';
import { withoutSecrets } from './token.ts';

/** The one object of the catalog. */
const NAME = 'catalog';

/** How far the Iceberg catalog is. */
export async function showCatalog(env: ApiEnv): Promise<Response> {
  const off: IcebergStatus = { enabled: false, tables: [], next_wake_at: null };
  return answer((await catalogOf(env)?.status()) ?? off);
}

/** Calls the watchdog of the catalog's object, where the settings name a catalog. */
export async function watchCatalog(env: ApiEnv, { log }: Known): Promise<void> {
  try {
    await catalogOf(env)?.watch();
  } catch (error) {
    log('watch_failed', { step: NAME, message: withoutSecrets(messageOf(error), env) });
  }
}

/** Null where the settings name no catalog. Throws `SettingError`. */
export function catalogOf(env: ApiEnv): CatalogStub | null {
  return readSettings({ ...env }).catalog && env.CATALOG_NS.getByName(NAME);
}
