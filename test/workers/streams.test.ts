import { env } from 'cloudflare:workers';
import { beforeAll, expect, it } from 'vitest';
import { npmPackage } from '../../schemas/npm_package.ts';
import type { StreamRecord } from '../../schemas/stream.ts';
import type { Value } from '../../schemas/table.ts';
import { openRows } from '../../src/parquet/read.ts';
import type { ByteRange } from '../../src/ports/bucket.ts';
import { bucketPort } from '../../src/worker/r2.ts';
import { encode, rowsOf, sparseRow } from '../parquet/rows.ts';
import { api, flushed, lakeRows, prepare, restart, source, until, untilAccepted } from './source.ts';
import { openUpstream, type Upstream } from './upstream.ts';

// Rows go to a stream over a real binding, which copies records and errors.

interface TestStream {
  refuse(properties: { status: number } | null): Promise<void>;
  records(): Promise<StreamRecord[]>;
}

const stream = (env as unknown as { TEST_STREAM: TestStream }).TEST_STREAM;
let upstream: Upstream;

beforeAll(async () => {
  upstream = await openUpstream();
  await prepare(upstream, { STREAMS: 'npm_package=TEST_STREAM' });
  await source().control('start');
  await untilAccepted(upstream);
});

it('a stream that refuses records waits, and the status says so', async () => {
  await stream.refuse({ status: 400 });
  await flushed();
  const { last_error, streams, tables } = await until(({ last_error: { kind } }) => kind === 'stream-refused');
  expect(last_error.reason).toMatch(/^npm_package LSN 1: TEST_STREAM: .* got Error with status 400$/);
  expect(streams).toEqual({
    npm_package: { binding: 'TEST_STREAM', last_lsn: 0, waiting: tables.npm_package!.last_lsn },
  });
  expect(await stream.records()).toEqual([]);
});

it('a stream that accepts records gets every row of the lake, in order', async () => {
  await stream.refuse(null);
  // Without the setting the source forgets the stream's failure, so no back-off is left.
  await restart({ STREAMS: '' });
  await source().watch();
  await restart({ STREAMS: 'npm_package=TEST_STREAM' });
  await source().watch();
  const { streams, tables } = await until(({ streams: { npm_package: one } }) => one?.waiting === 0);
  expect(streams.npm_package!.last_lsn).toBe(tables.npm_package!.rows);
  const rows = await lakeRows();
  const expected = rows.map(row => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)));
  expect(await stream.records()).toEqual(expected);
});

it('an absent binding is an error with the name of the setting', async () => {
  await restart({ STREAMS: 'npm_package=NO_STREAM' });
  expect(await api('/v1/sources/npm')).toMatchObject({
    error: {
      code: 'invalid_setting',
      message: expect.stringContaining('STREAMS: expected bindings of streams, got '),
    },
  });
});

it('a data file is read back row by row, whatever the size of its pages', async () => {
  const bucket = bucketPort(env.LAKE);
  const sizes = Array.from({ length: 40 }, (_, index) => 40_960 * (1 + (index % 12)) - (index % 3));
  const texts = sizes.map((size, at) =>
    sparseRow(npmPackage, 301 + at, { description: 'tributary '.repeat(size / 10) }),
  );
  const rows: Value[][] = [...rowsOf(npmPackage, 300), ...texts];
  const bytes = encode(npmPackage, rows);
  const head = await bucket.put('test/file', [bytes], { onlyIf: { absent: true }, metadata: {}, contentType: 'x/y' });
  const read = async (range: ByteRange) => (await bucket.range('test/file', { ...range, etag: head!.etag }))!;
  const reader = await openRows({ table: npmPackage, bytes: bytes.length, read });
  const found: Value[][] = [];
  while (found.length < rows.length) found.push(...(await reader.rowsOf(found.length + 1)));
  expect(found).toEqual(rows);
  expect(await bucket.range('test/file', { offset: 0, bytes: 4, etag: 'another' })).toBeNull();
  expect(await bucket.range('test/nothing', { offset: 0, bytes: 4, etag: head!.etag })).toBeNull();
});
