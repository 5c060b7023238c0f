import { z } from 'zod';
import { COMMON_SETTINGS, integerSetting, parseSettings, readSettings } from '../config.ts';
import { SettingError } from '../errors.ts';
import { checkFeeds } from '../sources/feeds.ts';
import { SOURCES } from '../sources/registry.ts';
import type { Source } from '../sources/source.ts';
import { readSqlSettings, SQL_SETTINGS } from '../sql/settings.ts';
import { type Environment, localSettingsOf } from './source-files.ts';

export type { Environment } from './source-files.ts';

const localShape = z.object({
  PORT: integerSetting(8787, 1, 65_535),
  STATE_DIR: z.string().min(1).default('.tributary/state').describe('a folder'),
});

/** The demo's state folder, so that it never touches the one of `npm start`. */
export const DEMO_STATE_DIR = '.tributary/demo';

/** The port and the state folder of the local programs. Throws `SettingError`. */
export function readLocalSettings(env: Environment): { port: number; stateDir: string } {
  const { PORT, STATE_DIR } = parseSettings(localShape, env);
  return { port: PORT, stateDir: STATE_DIR };
}

/** The worker's settings that an environment holds. No other variable of the environment reaches the worker. */
export function workerSettings(env: Environment, sources: readonly Source[] = SOURCES): Record<string, string> {
  const names = [...COMMON_SETTINGS, ...SQL_SETTINGS, ...sources.flatMap(source => source.settingNames)];
  const found = names.map(name => [name, env[name]] as const);
  return Object.fromEntries(found.filter((entry): entry is [string, string] => Boolean(entry[1])));
}

/** An environment with the settings that its sources find in the user's own configuration of this machine. */
export async function withLocalSettings(env: Environment): Promise<Environment> {
  const { sources: ids } = readSettings(env);
  const enabled = SOURCES.filter(source => ids.includes(source.id));
  const finders = await Promise.all(enabled.map(source => localSettingsOf(source.id)));
  return Object.assign({}, env, ...finders.map(find => find?.(env)));
}

/** The sources that settings enable, each with its settings checked. Throws `SettingError` with the first wrong one. */
export function enabledSources(settings: Record<string, string>, sources: readonly Source[] = SOURCES): Source[] {
  const { sources: ids, feeds } = readSettings(settings);
  readSqlSettings(settings);
  checkFeeds(feeds, sources);
  for (const id of ids) {
    if (sources.some(source => source.id === id)) continue;
    throw new SettingError(`SOURCES: expected ids of ${sources.map(source => source.id).join(', ')}, got "${id}"`);
  }
  const enabled = sources.filter(source => ids.includes(source.id));
  for (const source of enabled) source.settings(settings);
  return enabled;
}

/** Where the upstreams of a source are: every URL among its settings. */
export function upstreamUrls(source: Source, settings: Record<string, string>): string[] {
  const values = Object.values(source.settings(settings) as object);
  return values.filter(value => typeof value === 'string' && /^https?:/.test(value));
}
