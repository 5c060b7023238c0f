import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { BROKEN } from './broken.ts';
import { MISTAKES as CATALOG_MISTAKES } from './catalog-mistakes.ts';
import { COMMIT_MISTAKES } from './commit-mistakes.ts';
import type { Mistake } from './edits.ts';
import { MISTAKES as STREAM_MISTAKES } from './stream-mistakes.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const LISTS: Record<string, Mistake[]> = {
  engine: BROKEN,
  catalog: CATALOG_MISTAKES,
  committer: COMMIT_MISTAKES,
  streams: STREAM_MISTAKES,
};

describe('mutants', () => {
  it.each(Object.entries(LISTS))('of the %s change texts that are once in their files', (_, mistakes) => {
    const missing = mistakes.flatMap(({ name, edits }) => {
      const texts = new Map<string, string>();
      return edits.flatMap(({ file, text, instead }) => {
        const source = texts.get(file) ?? readFileSync(path.join(ROOT, file), 'utf8');
        texts.set(
          file,
          source.replace(text, () => instead),
        );
        return source.split(text).length === 2 ? [] : [`${name}: ${file}: ${text}`];
      });
    });
    expect(missing).toEqual([]);
  });

  it('have names of their own', () => {
    for (const mistakes of Object.values(LISTS)) {
      const names = mistakes.map(({ name }) => name);
      expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
    }
  });
});
