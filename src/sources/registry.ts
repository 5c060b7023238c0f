import { github } from './github/github.ts';
import { npm } from './npm/npm.ts';
import { pypi } from './pypi/pypi.ts';
import type { Source } from './source.ts';
import { whois } from './whois/whois.ts';
import { zones } from './zones/zones.ts';

/** Every source that Tributary follows. */
export const SOURCES: readonly Source[] = [npm, pypi, github, whois, zones];

/** The source with this id. Throws when there is none. */
export function sourceNamed(id: string): Source {
  const source = SOURCES.find(candidate => candidate.id === id);
  if (!source) throw new Error(`source: expected one of ${SOURCES.map(known => known.id).join(', ')}, got "${id}"`);
  return source;
}
