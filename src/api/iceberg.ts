import { readSettings } from '../config.ts';
import type { IcebergStatus } from '../contract/iceberg.ts';
import type { CatalogStub } from '../contract/objects.ts';
import { messageOf } from '../errors.ts';
import { answer } from './answer.ts';
import type { ApiCall, ApiEnv, Known } from './env.ts';
import { withoutSecrets } from './token.ts';

/** The name of the one catalog object. */
const NAME = 'catalog';

/** Shows which rows of each table are committed to the Iceberg catalog. */
export async function showCatalog({ env }: ApiCall): Promise<Response> {
  const disabled: IcebergStatus = { enabled: false, tables: [], next_wake_at: null };
  return answer((await catalogOf(env)?.status()) ?? disabled);
}

/** Calls the watchdog of the catalog object, unless the settings name no catalog. */
export async function watchCatalog(env: ApiEnv, { log }: Known): Promise<void> {
  try {
    await catalogOf(env)?.watch();
  } catch (error) {
    log('watch_failed', { step: NAME, message: withoutSecrets(messageOf(error), env) });
  }
}

/** The catalog object; null when the settings name no catalog. Throws `SettingError`. */
export function catalogOf(env: ApiEnv): CatalogStub | null {
  return readSettings({ ...env }).catalog && env.CATALOG_NS.getByName(NAME);
}
