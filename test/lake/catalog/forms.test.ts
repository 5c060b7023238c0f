import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { TABLES } from '../../../schemas/index.ts';
import { FORMS } from '../../../src/lake/catalog/forms.ts';
import { schemaOf } from '../../../src/lake/catalog/write.ts';
import { CatalogReader } from '../../simulation/oracle/catalog-reader.ts';
import { pages } from '../../simulation/world/sources.ts';
import { followed, startedWorld, type World } from '../../simulation/world/world.ts';

/**
 * Readers of the catalog rely on these files. UPDATE_GOLDEN=1 writes them anew. Check the difference before you commit
 * it: a change that readers of the present form would misread needs another format version.
 */
const update = process.env.UPDATE_GOLDEN === '1';
const folder = path.resolve(import.meta.dirname, '../../../schemas/catalog');
type Name = keyof typeof FORMS;
const NAMES = Object.keys(FORMS) as Name[];

/** Readers accept unknown fields (`io: 'input'`), so a field can be added without another format version. */
function derived(name: Name): unknown {
  return z.toJSONSchema(FORMS[name], { target: 'draft-2020-12', io: 'input' });
}

function published(name: Name): z.core.JSONSchema.JSONSchema {
  return JSON.parse(fs.readFileSync(path.join(folder, `${name}.schema.json`), 'utf8'));
}

function formOf(key: string): Name | null {
  if (/^catalog\/schemas\/\w+\.json$/.test(key)) return 'schema';
  if (/^catalog\/partitions\/\w+\.json$/.test(key)) return 'root';
  if (/^catalog\/partitions\/\w+\/\d{16}-\d{16}-\d+\.json$/.test(key)) return 'segment';
  return /^catalog\/indexes\/\w+\/\d{16}-\d{16}-\d+\.json$/.test(key) ? 'index' : null;
}

/** Every object that is put into the world's catalog. */
function catalogued(world: World): { key: string; text: string }[] {
  const texts: { key: string; text: string }[] = [];
  world.bucket.onPut = ({ key, bytes }) => {
    if (key.startsWith('catalog/')) texts.push({ key, text: Buffer.from(bytes).toString() });
  };
  return texts;
}

describe('the published JSON Schemas', () => {
  it.each(NAMES)('of a %s is the one of the code', name => {
    const file = path.join(folder, `${name}.schema.json`);
    if (update) fs.writeFileSync(file, `${JSON.stringify(derived(name), null, 2)}\n`);
    expect(published(name)).toEqual(derived(name));
    expect(published(name).$schema).toBe('https://json-schema.org/draft/2020-12/schema');
  });

  it('are the only files in their folder', () => {
    expect(fs.readdirSync(folder).sort()).toEqual(NAMES.map(name => `${name}.schema.json`).sort());
  });

  it('accept the schema of every table', () => {
    for (const table of TABLES) expect(z.fromJSONSchema(published('schema')).parse(schemaOf(table))).toBeTruthy();
  });

  it.each([{}, { kind: pages }])('accept every file that an engine writes: %#', async options => {
    const world = await startedWorld(options);
    const texts = catalogued(world);
    const reader = new CatalogReader(world);
    const keys = ['plain', 'ü'.repeat(100), '😀'.repeat(40), 'with "quotes"', 'x'.repeat(900)];
    for (const key of keys) {
      world.upstream.publish([key, `${key}+`]);
      if (options.kind) world.upstream.pages.push([key, `${key}+`]);
      await followed(world);
    }
    reader.check();
    const counts = Object.fromEntries(NAMES.map(name => [name, 0]));
    for (const { key, text } of texts) {
      const name = formOf(key)!;
      expect(name, key).not.toBeNull();
      const json = JSON.parse(text);
      expect(() => z.fromJSONSchema(published(name)).parse(json), key).not.toThrow();
      // zod removes fields that the form does not name.
      expect(FORMS[name].parse(json), key).toEqual(json);
      counts[name]! += 1;
    }
    const tables = world.engine.source.tables.length;
    const each = keys.length * tables;
    expect(counts).toEqual({ schema: tables, root: each, segment: each, index: each });
  });

  it('refuse other JSON', () => {
    const root = z.fromJSONSchema(published('root'));
    expect(root.safeParse({}).success).toBe(false);
    expect(root.safeParse({ format_version: 2 }).success).toBe(false);
  });
});
