import { SettingError } from '../errors.ts';
import type { Source } from './source.ts';

/**
 * Checks that each pair of the setting FEEDS names inlets that exist. `feeds`: by source with an agenda, the sources
 * that feed it. Throws `SettingError`.
 */
export function checkFeeds(
  feeds: Readonly<Record<string, string[]>>,
  sources: readonly Pick<Source, 'id' | 'agenda'>[],
): void {
  const known = new Set(
    sources.flatMap(({ id, agenda }) => (agenda?.inlets ?? []).map(({ source }) => `${source}>${id}`)),
  );
  for (const [target, feeding] of Object.entries(feeds))
    for (const source of feeding)
      if (!known.has(`${source}>${target}`))
        throw new SettingError(
          `FEEDS: expected pairs out of ${[...known].sort().join(', ')}, got "${source}>${target}"`,
        );
}
