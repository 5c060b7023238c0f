import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { npmPackage } from '../../schemas/npm_package.ts';
import type { Row } from '../../schemas/table.ts';
import { openDataFile } from '../../src/parquet/encode.ts';
import { type Bench, digits, type Figure, mebibytes, median, type Size } from './report.ts';
import { NpmRows } from './rows.ts';

const ROUNDS: Record<Size, number> = { full: 7, tiny: 1 };
const DUCKDB_TYPES = { utf8: 'VARCHAR', int32: 'INTEGER', int64: 'BIGINT', float: 'FLOAT', boolean: 'BOOLEAN' };
const SHAPES: { about: string; rows: Record<Size, number>; dataLengthMax: number }[] = [
  { about: 'rows of 1.2 KB', rows: { full: 60_000, tiny: 50 }, dataLengthMax: 300 },
  { about: 'whole rows', rows: { full: 12_000, tiny: 10 }, dataLengthMax: Number.POSITIVE_INFINITY },
];

interface Round {
  seconds: number;
  cpuSeconds: number;
  bytes: number;
}

/** Our encoder and DuckDB on one thread: the same rows, JSON lines in, a zstd Parquet file out. */
export const encoder: Bench = { name: 'encoder', run };

async function* run(size: Size): AsyncGenerator<Figure> {
  const folder = mkdtempSync(path.join(tmpdir(), 'bench-encoder-'));
  const connection = await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect();
  try {
    for (const { about, rows, dataLengthMax } of SHAPES)
      yield* measure({ about, rows: rows[size], dataLengthMax, rounds: ROUNDS[size] }, { folder, connection });
  } finally {
    connection.closeSync();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function* measure(
  shape: { about: string; rows: number; dataLengthMax: number; rounds: number },
  { folder, connection }: { folder: string; connection: DuckDBConnection },
): AsyncGenerator<Figure> {
  const { about, rows, dataLengthMax, rounds } = shape;
  const lines = path.join(folder, 'rows.jsonl');
  writeLines(lines, { rows, dataLengthMax });
  const ours: Round[] = [];
  const theirs: Round[] = [];
  // The two take turns, so that whatever else the machine does meets both; the first pair is for warming up.
  for (let round = 0; round <= rounds; round++) {
    ours.push(await timed(path.join(folder, 'ours.parquet'), async file => encodeFile(lines, file)));
    theirs.push(
      await timed(path.join(folder, 'duckdb.parquet'), async file => {
        await connection.run(duckdbCopy(lines, file));
      }),
    );
  }
  const [warm, duckdb] = [ours.slice(1), theirs.slice(1)];
  const ratios = warm.map(({ seconds }, i) => duckdb[i]!.seconds / seconds);
  const cpuRatios = warm.map(({ cpuSeconds }, i) => duckdb[i]!.cpuSeconds / cpuSeconds);
  const rate = (rounds: Round[]) => digits(rows / median(rounds.map(({ cpuSeconds }) => cpuSeconds)));
  const perRow = digits(statSync(lines).size / rows);
  const basis = `${digits(rows)} rows of ${perRow} B of JSON, median of ${rounds} rounds, in turns`;
  yield {
    what: `encoder, ${about}: rows a second over DuckDB's`,
    figure: `${digits(median(ratios), 2)}; by CPU time ${digits(median(cpuRatios), 2)}, ${rate(warm)} to ${rate(duckdb)}`,
    basis,
  };
  yield {
    what: `encoder, ${about}: file bytes over DuckDB's`,
    figure: `${digits(warm[0]!.bytes / duckdb[0]!.bytes, 2)}; ${mebibytes(warm[0]!.bytes)} to ${mebibytes(duckdb[0]!.bytes)}`,
    basis: 'zstd, level 3 both',
  };
}

async function timed(file: string, work: (file: string) => Promise<void>): Promise<Round> {
  rmSync(file, { force: true });
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  await work(file);
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { seconds, cpuSeconds: (user + system) / 1e6, bytes: statSync(file).size };
}

function writeLines(file: string, { rows, dataLengthMax }: { rows: number; dataLengthMax: number }): void {
  const source = new NpmRows({ dataLengthMax });
  const updated_at = new Date(Date.UTC(2026, 10, 10)).toISOString();
  const lines = Array.from({ length: rows }, (_, i) => {
    const lineage = { _lsn: i + 1, _op: 'upsert', _cursor: String(1000 + 3 * i) };
    return `${JSON.stringify({ ...source.row(i), updated_at, ...lineage })}\n`;
  });
  writeFileSync(file, lines.join(''));
}

function encodeFile(lines: string, file: string): void {
  const names = npmPackage.columns.map(({ name }) => name);
  const encoder = openDataFile({ source: 'npm', table: npmPackage, firstLsn: 1 });
  for (const line of readFileSync(lines, 'utf8').split('\n')) {
    if (line === '') continue;
    const row = JSON.parse(line) as Row;
    encoder.append(names.map(name => row[name] ?? null));
  }
  writeFileSync(file, Buffer.concat(encoder.finish({ lastLsn: encoder.rows, cursor: '1' })));
}

function duckdbCopy(lines: string, file: string): string {
  const types = npmPackage.columns.map(({ name, type }) => `'${name}': '${DUCKDB_TYPES[type]}'`);
  const rows = `read_json('${lines}', format = 'newline_delimited', columns = {${types.join(', ')}})`;
  return `COPY (SELECT * FROM ${rows}) TO '${file}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3)`;
}
