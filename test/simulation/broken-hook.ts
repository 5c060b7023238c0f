import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { BROKEN } from './broken.ts';

const root = path.resolve(import.meta.dirname, '../..');
const broken = BROKEN.find(({ name }) => name === process.env.SIM_BROKEN);
if (!broken) throw new Error(`SIM_BROKEN: expected the name of a broken engine, got ${process.env.SIM_BROKEN}`);

const texts = new Map<string, string>();
for (const { file, text, instead } of broken.edits) {
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
