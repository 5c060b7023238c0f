import { execFileSync } from 'node:child_process';

/** Names under which pip is installed. */
const PROGRAMS = ['pip', 'pip3'];

/**
 * The package index that pip on this machine uses, unless the environment names one. pip's setting is the address of the
 * simple index, which is one part of it. Without pip, or a setting of it, the setting stays missing.
 */
export function localSettings(env: Record<string, string | undefined>): Record<string, string> {
  if (env.PYPI_URL) return {};
  const index = env.PIP_INDEX_URL || PROGRAMS.map(askClient).find(answer => answer !== '');
  const url = index?.trim().replace(/(\/simple)?\/*$/, '');
  return url ? { PYPI_URL: url } : {};
}

function askClient(program: string): string {
  try {
    return execFileSync(program, ['config', 'get', 'global.index-url'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return '';
  }
}
