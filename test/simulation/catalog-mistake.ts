import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { MISTAKES } from './catalog-mistakes.ts';

/** Plays the catalog's scenario, with the mistake that is named, until a reader sees it; `seen: <what>` or `nothing seen`. */
const root = path.resolve(import.meta.dirname, '../..');
const mistake = MISTAKES.find(({ name }) => name === process.argv[2]);
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
    return source === undefined ? nextLoad(url, context) : { format: 'module-typescript', source, shortCircuit: true };
  },
});
const { DEATHS, playCatalog } = await import('./catalog-scenario.ts');
try {
  for (const death of DEATHS) for (let nth = 0; await playCatalog(nth, death); ) nth += 1;
  console.log('nothing seen');
} catch (error) {
  console.log(`seen: ${(error as Error).message.split('\n')[0]}`);
}
