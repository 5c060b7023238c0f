import { z } from 'zod';
import { integerSetting, parseSettings, urlSetting } from '../config.ts';
import { MiB } from '../limits.ts';
import { NAMESPACE } from './names.ts';

/** The settings of R2 SQL: where it is, and the limits of one query. */
export interface SqlSettings {
  /** Null until both account and token are set. */
  service: { url: string; token: string } | null;
  bucket: string;
  namespace: string;
  rowsMax: number;
  bytesMax: number;
  timeoutMs: number;
}

const shape = z.object({
  R2_SQL_URL: urlSetting('https://api.sql.cloudflarestorage.com'),
  R2_SQL_ACCOUNT_ID: z
    .string()
    .regex(/^[\w-]+$/)
    .optional()
    .describe('the id of a Cloudflare account'),
  R2_SQL_BUCKET: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{1,62}$/)
    .default('data-ingestion')
    .describe('the name of a bucket'),
  R2_SQL_TOKEN: z.string().min(1).optional().describe('an API token'),
  CATALOG_NAMESPACE: z
    .string()
    .regex(/^[a-z][a-z0-9_]*$/)
    .default(NAMESPACE)
    .describe('a name of a-z, 0-9 and _'),
  // The worker asks for one row more, to see whether the answer is cut. The service returns at most 10,000.
  SQL_ROWS_MAX: integerSetting(5_000, 1, 9_999),
  // The text and the rows of an answer are both in the memory of an isolate, which has 128 MB.
  SQL_BYTES_MAX: integerSetting(8 * MiB, 1_000, 16 * MiB),
  SQL_TIMEOUT_MS: integerSetting(60_000, 100, 300_000),
});

/** Names of the settings of R2 SQL. */
export const SQL_SETTINGS = Object.keys(shape.shape);

/** Reads the settings of R2 SQL from the worker's environment. Throws `SettingError`. */
export function readSqlSettings(env: Record<string, unknown>): SqlSettings {
  const read = parseSettings(shape, env);
  const { R2_SQL_URL: url, R2_SQL_ACCOUNT_ID: account, R2_SQL_TOKEN: token, R2_SQL_BUCKET: bucket } = read;
  const isSet = account !== undefined && token !== undefined;
  return {
    service: isSet ? { url: `${url}/api/v1/accounts/${account}/basin-sql/query/${bucket}`, token } : null,
    bucket,
    namespace: read.CATALOG_NAMESPACE,
    rowsMax: read.SQL_ROWS_MAX,
    bytesMax: read.SQL_BYTES_MAX,
    timeoutMs: read.SQL_TIMEOUT_MS,
  };
}
