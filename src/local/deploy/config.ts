import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

/** What the deployment reads of `wrangler.jsonc`; all else is passed on as it stands. */
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

/** The worker's configuration out of the text of a `wrangler.jsonc`. Throws with what is not as expected. */
export function readConfig(text: string): WorkerConfig {
  const config = JSON.parse(withoutComments(text));
  const read = configShape.safeParse(config);
  // As it stands, so that it is shown and written in the order a person knows.
  if (read.success) return config as WorkerConfig;
  const { path: place, message } = read.error.issues[0]!;
  throw new Error(`wrangler.jsonc: expected ${place.join('.')} as the deployment reads it, got: ${message}`);
}

/** Every queue a worker sends to, takes from, or lets messages end in; each once. */
export function queuesOf({ queues: { producers, consumers } }: WorkerConfig): string[] {
  const named = [...producers, ...consumers].map(({ queue }) => queue);
  const expired = consumers.map(consumer => consumer.dead_letter_queue).filter(name => name !== undefined);
  return [...new Set([...named, ...expired])];
}

/**
 * The configuration that is deployed: with the database's id and the settings, and without what is for this machine only.
 * Paths in it are relative to its own folder, `depth` folders below that of the configuration it comes from.
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

/** Puts a configuration where wrangler is told to read it: whole, or not at all. */
export function writeConfig(file: string, config: Record<string, unknown>): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, configText(config));
  renameSync(`${file}.new`, file);
}

export function configText(config: Record<string, unknown>): string {
  return `${JSON.stringify(config, null, 2)}\n`;
}

/** JSONC as JSON: comments and commas before an end go, outside of strings. */
function withoutComments(text: string): string {
  const plain = text.replace(/("(?:\\.|[^"\\])*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, '$1');
  return plain.replace(/("(?:\\.|[^"\\])*")|,(?=\s*[}\]])/g, '$1');
}
