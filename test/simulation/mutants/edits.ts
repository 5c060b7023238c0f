import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** A text that is exactly once in a source file, and its replacement. */
export interface Edit {
  /** Path from the root of the repository. */
  file: string;
  text: string;
  instead: string;
}

const ROOT = path.resolve(import.meta.dirname, '../../..');

/** The edited source texts by path. Throws when a text is not exactly once in its file. */
export function applyEdits(edits: Edit[]): Map<string, string> {
  const sources = new Map<string, string>();
  for (const { file, text, instead } of edits) {
    const location = path.join(ROOT, file);
    const source = sources.get(location) ?? readFileSync(location, 'utf8');
    const count = source.split(text).length - 1;
    if (count !== 1) throw new Error(`${file}: expected this text once, got it ${count} times: ${text}`);
    sources.set(
      location,
      source.replace(text, () => instead),
    );
  }
  return sources;
}

/** Applies edits to every module that this process imports from now on. */
export function importEdited(edits: Edit[]): void {
  const sources = applyEdits(edits);
  registerHooks({
    load(url, context, nextLoad) {
      const source = url.startsWith('file:') ? sources.get(fileURLToPath(url)) : undefined;
      return source === undefined
        ? nextLoad(url, context)
        : { format: 'module-typescript', source, shortCircuit: true };
    },
  });
}
