import { execFileSync } from 'node:child_process';

/**
 * The package registry that the npm client on this machine uses, unless the environment names one. npm tells its scripts
 * the registry only when it is not the default, so otherwise npm is asked. Without npm the setting stays missing.
 */
export function localSettings(env: Record<string, string | undefined>): Record<string, string> {
  if (env.NPM_REGISTRY_URL) return {};
  const registry = env.npm_config_registry || askClient(env.npm_execpath);
  return registry ? { NPM_REGISTRY_URL: registry } : {};
}

function askClient(program: string | undefined): string {
  const [command, ...words] = program ? [process.execPath, program] : ['npm'];
  try {
    return execFileSync(command, [...words, 'config', 'get', 'registry'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return '';
  }
}
