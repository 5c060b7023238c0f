import { execFileSync } from 'node:child_process';
import { z } from 'zod';
import { COMMON_SETTINGS, integerSetting, parseSettings, readSettings } from '../config.ts';
import { SettingError } from '../errors.ts';
import { SOURCES } from '../sources/registry.ts';
import type { Source } from '../sources/source.ts';
import { SQL_SETTINGS } from '../sql/settings.ts';

export type Environment = Record<string, string | undefined>;

const local = z.object({
  PORT: integerSetting(8787, 1, 65_535),
  STATE_DIR: z.string().min(1).default('.tributary/state').describe('a folder'),
});

/** The token that controls a worker on this machine unless the environment names another. */
const LOCAL_TOKEN = 'local';

/** The demo keeps its state apart from that of `npm start`. */
export const DEMO_STATE_DIR = '.tributary/demo';

/** Where the local programs keep their state and answer. Throws `SettingError`. */
export function readLocalSettings(env: Environment): { port: number; stateDir: string } {
  const { PORT, STATE_DIR } = parseSettings(local, env);
  return { port: PORT, stateDir: STATE_DIR };
}

/** The settings of a worker on this machine: those an environment holds, and a token that needs no keeping. */
export function workerSettings(env: Environment, sources: readonly Source[] = SOURCES): Record<string, string> {
  return { ADMIN_TOKEN: LOCAL_TOKEN, ...foundSettings(env, sources) };
}

/**
 * The worker's settings that an environment holds, and the package registry the npm client uses. Nothing else of the
 * environment is handed on.
 */
export function foundSettings(env: Environment, sources: readonly Source[] = SOURCES): Record<string, string> {
  const defaults: Environment = { NPM_REGISTRY_URL: env.npm_config_registry };
  const names = [...COMMON_SETTINGS, ...SQL_SETTINGS, ...sources.flatMap(source => source.settingNames)];
  const found = names.map(name => [name, env[name] || defaults[name]] as const);
  return Object.fromEntries(found.filter((entry): entry is [string, string] => Boolean(entry[1])));
}

/**
 * An environment that says which package registry the npm client uses. npm tells its scripts only when that is not its
 * own default, so npm is asked where neither it nor the setting says.
 */
export function withRegistry(env: Environment): Environment {
  if (env.NPM_REGISTRY_URL || env.npm_config_registry) return env;
  const [command, ...words] = env.npm_execpath ? [process.execPath, env.npm_execpath] : ['npm'];
  try {
    const stdio: ('ignore' | 'pipe')[] = ['ignore', 'pipe', 'ignore'];
    const answer = execFileSync(command, [...words, 'config', 'get', 'registry'], { encoding: 'utf8', stdio });
    return { ...env, npm_config_registry: answer.trim() };
  } catch {
    // Without npm the setting is missing, and is told as such.
    return env;
  }
}

/** The sources that settings enable, each with its settings checked. Throws `SettingError` with the first wrong one. */
export function enabledSources(settings: Record<string, string>, sources: readonly Source[] = SOURCES): Source[] {
  const { sources: ids } = readSettings(settings);
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
