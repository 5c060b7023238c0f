import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

/** The fields of `wrangler.jsonc` that the deployment reads; all others are passed on unchanged. */
const configShape = z.looseObject({
  name: z.string(),
  main: z.string(),
  account_id: z.string().optional(),
  vars: z.record(z.string(), z.unknown()).optional(),
  r2_buckets: z.tuple([z.looseObject({ bucket_name: z.string() })]),
  d1_databases: z.tuple([
    z.looseObject({ binding: z.string(), database_name: z.string(), migrations_dir: z.string() }),
  ]),
  queues: z.looseObject({
    producers: z.array(z.looseObject({ queue: z.string() })),
    consumers: z.array(z.looseObject({ queue: z.string(), dead_letter_queue: z.string().optional() })),
  }),
});

export type WorkerConfig = z.output<typeof configShape>;

/** The worker's configuration from the text of a `wrangler.jsonc`. Throws with the first field that is wrong. */
export function readConfig(text: string): WorkerConfig {
  const config = JSON.parse(withoutComments(text));
  const read = configShape.safeParse(config);
  // Give the text's own object, because the schema's would have its fields in another order.
  if (read.success) return config as WorkerConfig;
  const { path: field, message } = read.error.issues[0]!;
  throw new Error(`wrangler.jsonc: expected ${field.join('.')} in the form of a deployment, got ${message}`);
}

/** Every queue that a worker sends to or reads from, and each of their dead-letter queues; each once. */
export function queuesOf({ queues: { producers, consumers } }: WorkerConfig): string[] {
  const named = [...producers, ...consumers].map(({ queue }) => queue);
  const expired = consumers.map(consumer => consumer.dead_letter_queue).filter(name => name !== undefined);
  return [...new Set([...named, ...expired])];
}

/**
 * The configuration to deploy: with the database's id and the settings, without the fields for local runs. Its paths
 * are relative to its own folder, `depth` folders below that of `config`.
 */
export function deployedConfig(
  config: WorkerConfig,
  { databaseId, vars, depth }: { databaseId: string; vars: Record<string, string>; depth: number },
): Record<string, unknown> {
  const up = '../'.repeat(depth);
  const [database] = config.d1_databases;
  const { $schema: _, ...rest } = config;
  return {
    ...rest,
    main: up + config.main,
    vars: { ...config.vars, ...vars },
    r2_buckets: config.r2_buckets.map(({ local_dev: _local, ...bucket }) => bucket),
    d1_databases: [{ ...database, database_id: databaseId, migrations_dir: up + database.migrations_dir }],
  };
}

/** Writes a configuration file: whole, or not at all. */
export function writeConfig(file: string, config: Record<string, unknown>): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, configText(config));
  renameSync(`${file}.new`, file);
}

export function configText(config: Record<string, unknown>): string {
  return `${JSON.stringify(config, null, 2)}\n`;
}

/** JSONC as JSON: removes comments, and commas before a closing bracket, outside of strings. */
function withoutComments(text: string): string {
  const plain = text.replace(/("(?:\\.|[^"\\])*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, '$1');
  return plain.replace(/("(?:\\.|[^"\\])*")|,(?=\s*[}\]])/g, '$1');
}
