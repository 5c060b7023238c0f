import { TABLES } from '../../schemas/index.ts';
import type { ApiEnv } from '../../src/api/env.ts';
import { createApi } from '../../src/api/router.ts';

export const TOKEN = 'correct horse battery';

export interface SqlApiAnswer {
  status: number;
  headers: Headers;
  columns?: { name: string; type: string | null }[];
  rows?: Record<string, unknown>[];
  row_count?: number;
  metrics?: Record<string, number | null>;
  error?: { code: string; message: string; hint: string };
}

/** Sends `POST /v1/sql` to an API with these settings; a text is sent as the whole body. */
export async function askApi(
  settings: Record<string, string>,
  body: { query: unknown } | string,
): Promise<SqlApiAnswer> {
  const api = createApi({ sources: [], tables: TABLES, log: () => {} });
  const env = { ADMIN_TOKEN: TOKEN, ...settings } as unknown as ApiEnv;
  const init = { method: 'POST', headers: { authorization: `Bearer ${TOKEN}` } };
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await api.fetch(new Request('http://worker/v1/sql', { ...init, body: text }), env);
  return { status: response.status, headers: response.headers, ...((await response.json()) as object) };
}
