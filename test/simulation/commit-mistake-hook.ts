import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { COMMIT_MISTAKES } from './commit-mistakes.ts';

/** Imported before a program: it then runs with the mistake of the committer that `COMMIT_MISTAKE` names. */
const root = path.resolve(import.meta.dirname, '../..');
const mistake = COMMIT_MISTAKES.find(({ name }) => name === process.env.COMMIT_MISTAKE);
if (!mistake) throw new Error(`COMMIT_MISTAKE: expected the name of a mistake, got ${process.env.COMMIT_MISTAKE}`);
const texts = new Map<string, string>();
for (const { file, text, instead } of mistake.edits) {
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
    return source === undefined ? nextLoad(url, context) : { format: 'module-typescript', source, shortCircuit: true };
  },
});
