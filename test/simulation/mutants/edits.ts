import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** A mistake that a step could have: exact texts of its source and what stands there instead. */
export interface Mistake {
  name: string;
  edits: { file: string; text: string; instead: string }[];
}

const root = path.resolve(import.meta.dirname, '../../..');

/** From now on, what is imported has the mistake. Throws when a text is not exactly once in its file. */
export function importWith(mistake: Mistake | undefined): void {
  const texts = new Map<string, string>();
  for (const { file, text, instead } of mistake?.edits ?? []) {
    const place = path.join(root, file);
    const source = texts.get(place) ?? readFileSync(place, 'utf8');
    if (source.split(text).length !== 2) throw new Error(`${file}: expected once in it, got otherwise: ${text}`);
    texts.set(
      place,
      source.replace(text, () => instead),
    );
  }
  registerHooks({
    load(url, context, nextLoad) {
      const source = url.startsWith('file:') ? texts.get(fileURLToPath(url)) : undefined;
      return source === undefined
        ? nextLoad(url, context)
        : { format: 'module-typescript', source, shortCircuit: true };
    },
  });
}
