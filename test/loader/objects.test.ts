import { expect, it } from 'vitest';
import { npmPackage } from '../../schemas/npm_package.ts';
import { StepError } from '../../src/errors.ts';
import { type NewObject, ObjectWriter } from '../../src/loader/objects.ts';
import { runStep } from '../../src/loader/steps.ts';
import type { Change, Loaded } from '../../src/ports/change.ts';
import { MemoryBucket } from '../simulation/world/bucket.ts';
import { coalescing, DEFAULT_SETTINGS, rowOf } from '../simulation/world/sources.ts';
import { World } from '../simulation/world/world.ts';

const NOW_MS = Date.UTC(2026, 10, 23, 12);
const DATED = 'npm/metadata/2026/11/23/a.json';

const objectOf = (key: string, revision: number | null = null): NewObject => ({
  key,
  bytes: Buffer.from(`revision ${revision}`),
  fetchedAtMs: NOW_MS,
  revision,
  immutable: false,
});

/** A bucket whose calls take a turn of the event loop, and which counts those under way. */
class SlowBucket extends MemoryBucket {
  underWay = 0;
  mostUnderWay = 0;

  override head(key: string) {
    return this.#slowly(() => super.head(key));
  }

  override put(...args: Parameters<MemoryBucket['put']>) {
    return this.#slowly(() => super.put(...args));
  }

  async #slowly<T>(call: () => Promise<T>): Promise<T> {
    this.underWay += 1;
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
    await new Promise(resolve => setImmediate(resolve));
    this.underWay -= 1;
    return call();
  }
}

/** Loads changes with `load` in place of the source's own, in one call. */
async function loadAll(keys: string[], { load, dated = true }: { load: (change: Change) => Loaded; dated?: boolean }) {
  const bucket = new SlowBucket();
  const visit = { permits: [], deadlineAtMs: 0, tallies: new Map(), slotsUsed: new Map() };
  const own = coalescing(new World().upstream, visit);
  const source = { ...own, ...(dated && { datedRows: true as const }), load: async (change: Change) => load(change) };
  const changes = keys.map((key, index) => ({
    key,
    cursor: String(index + 1),
    deleted: false,
    revision: index + 1,
    skip: null,
  }));
  const loading = { source, settings: DEFAULT_SETTINGS, contact: 'test', bucket, now: () => NOW_MS };
  const answer = await runStep(loading, 'load', {
    changes,
    knownBytes: changes.map(() => 1),
    prepared: null,
    afresh: false,
    large: false,
    budgetBytes: 1_000_000,
    rowBytesMax: 1_000_000,
    permits: [],
    deadlineAtMs: NOW_MS + 60_000,
  });
  if (!answer.ok) throw new Error(answer.failure.message);
  return { bucket, outcomes: answer.value };
}

function loadedOf({ key: name, revision }: Change, document: string = name): Loaded {
  const row = rowOf(npmPackage, { name, version: String(revision) });
  return {
    documents: [{ name: document, bytes: Buffer.from(`document ${revision}`), revision }],
    rows: [{ table: npmPackage.name, op: 'upsert', row }],
    revision,
  };
}

const versionAt = ({ objects }: MemoryBucket, key: string) =>
  (JSON.parse(Buffer.from(objects.get(key)!.bytes).toString()) as { version: string }).version;

it('only a source that declares dated rows gives them', async () => {
  const { bucket } = await loadAll(['a'], { load: change => loadedOf(change) });
  expect(bucket.keys()).toEqual([DATED, 'npm/raw/a/latest.json']);
  const other = await loadAll(['a'], { load: change => loadedOf(change), dated: false });
  expect(other.bucket.keys()).toEqual(['npm/raw/a/latest.json']);
});

it('several changes of a key in one call put its dated row once, the last one', async () => {
  const { bucket, outcomes } = await loadAll(['a', 'b', 'a', 'a'], { load: change => loadedOf(change) });
  expect(outcomes.map(({ kind }) => kind)).toEqual(['rows', 'rows', 'rows', 'rows']);
  expect(bucket.puts.filter(key => key === DATED)).toHaveLength(1);
  expect(versionAt(bucket, DATED)).toBe('4');
});

it('the dated row of a change is put although a later change of its key fails', async () => {
  const { bucket, outcomes } = await loadAll(['a', 'a'], {
    load: change => {
      const loaded = loadedOf(change);
      if (change.revision === 2) loaded.rows[0]!.row.version = 7;
      return loaded;
    },
  });
  expect(outcomes.map(({ kind }) => kind)).toEqual(['rows', 'park']);
  expect(versionAt(bucket, DATED)).toBe('1');
});

it('changes of one call that give the same document never put it over each other', async () => {
  const keys = Array.from({ length: 40 }, (_, index) => `key-${index}`);
  const { bucket, outcomes } = await loadAll(keys, { load: change => loadedOf(change, 'shared') });
  expect(outcomes.every(({ kind }) => kind === 'rows')).toBe(true);
  // A put that met another one of its key would be refused, and tried again.
  expect(bucket.puts.filter(key => key === 'npm/raw/shared/latest.json')).toHaveLength(40);
  expect(Buffer.from(bucket.objects.get('npm/raw/shared/latest.json')!.bytes).toString()).toBe('document 40');
});

it('a call has at most six puts under way, and as many as that', async () => {
  const bucket = new SlowBucket();
  await new ObjectWriter(bucket).put(Array.from({ length: 50 }, (_, index) => objectOf(`key-${index}`)));
  expect(bucket.keys()).toHaveLength(50);
  expect(bucket.mostUnderWay).toBe(6);
});

it('a put that fails does not keep later ones of its key from being put', async () => {
  const bucket = new MemoryBucket();
  const writer = new ObjectWriter({
    head: key => bucket.head(key),
    put: (key, chunks, options) =>
      Buffer.concat(chunks).toString() === 'revision 1'
        ? Promise.reject(new StepError('bucket-failed', 'bucket put: expected an answer, got none'))
        : bucket.put(key, chunks, options),
    tail: async () => null,
    range: async () => null,
    list: async () => [],
    remove: async () => undefined,
  });
  const puts = [1, 2, 3].map(revision => writer.put([objectOf('a', revision)]));
  await expect(puts[0]).rejects.toMatchObject({ kind: 'bucket-failed' });
  await Promise.all(puts.slice(1));
  expect(Buffer.from(bucket.objects.get('a')!.bytes).toString()).toBe('revision 3');
});

it('of several held objects with one key the one of the highest revision is kept', () => {
  const writer = new ObjectWriter(new MemoryBucket());
  for (const revision of [2, 3, 1]) writer.hold('item', objectOf('a', revision));
  expect(writer.held('item').map(({ revision }) => revision)).toEqual([3]);
  expect(writer.held()).toEqual([]);
});
