import { describe, expect, it } from 'vitest';
import { ChangeError } from '../../src/errors.ts';
import { listingKey } from '../../src/lake/object-keys.ts';
import { LISTING_BLOCK_KEYS, listedPage } from '../../src/loader/listing.ts';
import { PackedKeys } from '../../src/loader/packed-keys.ts';
import type { ListedKey } from '../../src/ports/change.ts';
import { CHANGE_KEY_LENGTH_MAX } from '../../src/ports/sql-guard.ts';
import type { Listing, ListingContext } from '../../src/sources/source.ts';
import { numberOf, seedOf } from '../budget.ts';
import { randomFrom } from '../parquet/rows.ts';
import { MemoryBucket } from '../simulation/world/bucket.ts';

const KEYS = numberOf('LISTED_KEYS', 5_000);
const SEED = seedOf('LISTED_SEED');
const NOW_MS = Date.UTC(2026, 10, 29, 12);
const FRESH_MS = 60_000;
const CTX = {} as ListingContext<unknown>;

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

function sorted(keys: ListedKey[]): ListedKey[] {
  const packed = new PackedKeys();
  for (const key of keys) packed.add(key);
  return [...packed.sorted()];
}

/** Keys of letters whose order by UTF-16 units, by bytes and by a collation differ, some of them several times. */
function randomKeys(count: number): ListedKey[] {
  const random = randomFrom(SEED);
  const letters = ['a', 'b', 'Z', '_', '-', '.', '\u00e9', '\ufeff', '\uffff', '\u{10000}', '\u{1f600}', '0', '9'];
  const letter = () => letters[Math.floor(random() * letters.length)]!;
  return Array.from({ length: count }, () => ({
    key: Array.from({ length: Math.floor(random() * 6) }, letter).join(''),
    revision: random() < 0.1 ? null : Math.floor(random() * 2 ** 53),
  }));
}

/** A listing of these keys, some at a time, and how often it was read. */
function listingOf(keys: ListedKey[], { fails }: { fails?: Error } = {}) {
  const counts = { readings: 0 };
  async function* read() {
    counts.readings += 1;
    for (let from = 0; from < keys.length; from += 7) yield keys.slice(from, from + 7);
    if (fails) throw fails;
  }
  return { counts, listing: { freshMs: FRESH_MS, read } satisfies Listing<unknown> };
}

function storeOf(keys: ListedKey[], { blockKeys = 10, fails }: { blockKeys?: number; fails?: Error } = {}) {
  const bucket = new MemoryBucket();
  const { counts, listing } = listingOf(keys, fails ? { fails } : {});
  const clock = { nowMs: NOW_MS };
  const options = { source: 'toy', listing, bucket, blockKeys, now: () => clock.nowMs };
  return {
    bucket,
    counts,
    clock,
    page: (after: string | null, begun: string | null = null) =>
      listedPage({ after, listing: begun }, { ...options, listing: options.listing }, CTX),
  };
}

describe('packed keys', () => {
  it(`are sorted by their bytes, each once with its highest revision (LISTED_SEED=${SEED})`, () => {
    const keys = randomKeys(KEYS);
    const highest = new Map<string, number | null>();
    for (const { key, revision } of keys) {
      const before = highest.get(key) ?? null;
      highest.set(key, revision !== null && (before === null || revision > before) ? revision : before);
    }
    const expected = [...highest].map(([key, revision]) => ({ key, revision })).sort((a, b) => byBytes(a.key, b.key));
    expect(sorted(keys)).toEqual(expected);
  });

  it('may be none, empty, or of many chunks', () => {
    expect(sorted([])).toEqual([]);
    expect(sorted([{ key: '', revision: 0 }])).toEqual([{ key: '', revision: 0 }]);
    const long = Array.from({ length: 500 }, (_, index) => ({
      key: String(index).padStart(3, '0').repeat(2_000),
      revision: index,
    }));
    expect(sorted(long.toReversed())).toEqual(long);
  });
});

describe('a page of a stored listing', () => {
  const keys = Array.from({ length: 35 }, (_, index) => ({
    key: `key-${String(index).padStart(2, '0')}`,
    revision: index,
  }));

  it('after each key, listed or not, begins with the next one', async () => {
    const { page, counts } = storeOf(keys.toReversed());
    const { listing } = (await page(null))!;
    for (const after of [null, '', ...keys.flatMap(({ key }) => [key, `${key}x`]), 'z']) {
      const rest = keys.filter(({ key }) => after === null || key > after);
      const found = (await page(after, listing))!;
      expect(found.listing).toBe(listing);
      expect(found.keys).toEqual(rest.slice(0, found.keys.length).map(({ key }) => key));
      expect(found.revisions).toEqual(rest.slice(0, found.keys.length).map(({ revision }) => revision));
      expect(found.keys.length > 0).toBe(rest.length > 0);
      expect(found.next).toBe(found.keys.length === rest.length ? null : found.keys.at(-1));
    }
    expect(counts.readings).toBe(1);
  });

  it('has up to 8,000 keys, and is found by one head and two reads of ranges', async () => {
    const many = Array.from({ length: 20_000 }, (_, index) => ({
      key: String(index).padStart(6, '0'),
      revision: null,
    }));
    const { page, bucket } = storeOf(many, { blockKeys: LISTING_BLOCK_KEYS });
    const first = (await page(null))!;
    expect(first.keys).toHaveLength(8_000);
    const calls: string[] = [];
    const [head, range] = [bucket.head.bind(bucket), bucket.range.bind(bucket)];
    bucket.head = key => {
      calls.push('head');
      return head(key);
    };
    bucket.range = (key, asked) => {
      calls.push('range');
      return range(key, asked);
    };
    const second = (await page(first.next, first.listing))!;
    expect(second.keys[0]).toBe('008000');
    expect(calls).toEqual(['head', 'range', 'range']);
  });

  it('of an upstream without keys is empty', async () => {
    const { page } = storeOf([]);
    expect(await page(null)).toMatchObject({ keys: [], next: null });
  });

  it('has keys as SQLite takes them', async () => {
    const { page } = storeOf([
      { key: 'half \ud800', revision: 1 },
      { key: 'x'.repeat(CHANGE_KEY_LENGTH_MAX + 5), revision: 2 },
    ]);
    expect((await page(null))!.keys).toEqual(['half \ufffd', 'x'.repeat(CHANGE_KEY_LENGTH_MAX)]);
  });

  it.each([
    ['cut', new ChangeError('truncated', 'list: expected its end, got a part')],
    ['malformed', new ChangeError('malformed-json', 'list: expected JSON, got a syntax error')],
  ])('is not there when the listing is %s, and what was stored before stays', async (_how, fails) => {
    const { page, bucket } = storeOf(keys, { fails });
    await expect(page(null)).rejects.toThrow(fails);
    expect(bucket.objects.size).toBe(0);
    const stored = storeOf(keys);
    await stored.page(null);
    const key = listingKey('toy');
    bucket.objects.set(key, stored.bucket.objects.get(key)!);
    const before = await bucket.head(key);
    const later = storeOf(keys, { fails });
    later.clock.nowMs += FRESH_MS;
    later.bucket.objects.set(key, bucket.objects.get(key)!);
    await expect(later.page(null)).rejects.toThrow(fails);
    expect(await later.bucket.head(key)).toEqual(before);
  });

  it('is null when its listing is gone, or another one', async () => {
    const { page, bucket } = storeOf(keys);
    const { listing, next } = (await page(null))!;
    expect(await page(next, 'another')).toBeNull();
    bucket.objects.clear();
    expect(await page(next, listing!)).toBeNull();
  });

  it('is of a listing that is read again once it is not fresh, or its time is ahead, or it is no listing', async () => {
    const { page, counts, clock, bucket } = storeOf(keys);
    await page(null);
    clock.nowMs += FRESH_MS - 1;
    await page(null);
    expect(counts.readings).toBe(1);
    clock.nowMs += 1;
    await page(null);
    expect(counts.readings).toBe(2);
    clock.nowMs -= 1;
    await page(null);
    expect(counts.readings).toBe(3);
    const stored = (await bucket.head(listingKey('toy')))!;
    const onlyIf = { etag: stored.etag };
    await bucket.put(listingKey('toy'), [Buffer.from('other')], { onlyIf, metadata: {}, contentType: 'text/plain' });
    await page(null);
    expect(counts.readings).toBe(4);
  });

  it('is no page of what another writer put at the same time', async () => {
    const { page, bucket } = storeOf(keys);
    const put = bucket.put.bind(bucket);
    bucket.put = async (key, chunks, options) => {
      await put(key, [Buffer.from('other')], { ...options, metadata: {} });
      return put(key, chunks, options);
    };
    await expect(page(null)).rejects.toMatchObject({ kind: 'bucket-failed' });
  });
});
