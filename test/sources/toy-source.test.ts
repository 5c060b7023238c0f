import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../..');
const PAGE = readFileSync(path.join(ROOT, 'src/sources/README.md'), 'utf8');
/** What a source adds to the two indexes: a line each, and its import. */
const LINES: [file: string, before: string, added: string][] = [
  ['schemas/index.ts', 'import type { Table }', "import { toyItem } from './toy_item.ts';\n"],
  ['schemas/index.ts', '  whoisRecord,\n];', '  toyItem,\n'],
  ['src/sources/registry.ts', 'import type { Source }', "import { toy } from './toy/toy.ts';\n"],
  ['src/sources/registry.ts', 'zones]', 'toy, '],
];

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'toy-source-'));
  for (const name of ['src', 'schemas', 'test', 'migrations', 'package.json', 'package-lock.json', 'tsconfig.json'])
    cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true });
  for (const name of [
    '.gitignore',
    '.npmrc',
    '.biome.json',
    'wrangler.jsonc',
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
    '.ci',
  ])
    cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true });
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
  followThePage();
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  rmSync(`${folder}.json`, { force: true });
});

/** Writes the files that the page shows, its recordings, and the lines of the two indexes. */
function followThePage(): void {
  for (const [, file, text] of PAGE.matchAll(/^```\w+ (\S+)\n([\s\S]*?)^```$/gm)) {
    mkdirSync(path.dirname(path.join(folder, file!)), { recursive: true });
    writeFileSync(path.join(folder, file!), text!);
  }
  const items = Array.from({ length: 30 }, (_, i) => ({ name: `item-${i}`, size: i, deleted: i % 10 === 9 }));
  mkdirSync(path.join(folder, 'test/fixtures/toy'));
  writeFileSync(path.join(folder, 'test/fixtures/toy/items.json'), JSON.stringify(items));
  for (const [file, before, added] of LINES) {
    const text = readFileSync(path.join(folder, file), 'utf8');
    expect(text.split(before)).toHaveLength(2);
    writeFileSync(
      path.join(folder, file),
      text.replace(before, () => `${added}${before}`),
    );
  }
}

async function run(program: string, args: string[], env: Record<string, string> = {}): Promise<string> {
  const bin = path.join(folder, 'node_modules/.bin', program);
  const options = { cwd: folder, env: { ...process.env, CI: '', ...env }, maxBuffer: 64 * 1024 * 1024 };
  const ended = promisify(execFile)(bin, args, options);
  const { stdout, stderr } = await ended.catch((error: { stdout: string; stderr: string }) => error);
  return `${stdout}${stderr}`;
}

interface Result {
  status: string;
  fullName: string;
  failureMessages: string[];
}

/** The results of the tests that were run; those that the pattern leaves out are `skipped`. */
async function report(args: string[]): Promise<Result[]> {
  const file = `${folder}.json`;
  rmSync(file, { force: true });
  const output = await run('vitest', args);
  if (!existsSync(file)) throw new Error(`expected a report of the tests, got ${output}`);
  const { testResults } = JSON.parse(readFileSync(file, 'utf8')) as { testResults: { assertionResults: Result[] }[] };
  return testResults.flatMap(({ assertionResults }) => assertionResults).filter(({ status }) => status !== 'skipped');
}

it('a source that follows the page passes the registry walk, the layout and the documents', async () => {
  expect(await run('tsc', ['--noEmit'])).toBe('');
  const vitest = [
    'run',
    '--config',
    'test/vitest.config.ts',
    '--project',
    'node',
    '--reporter',
    'json',
    '--outputFile',
    `${folder}.json`,
  ];
  const walk = ['--testNamePattern', 'toy', 'test/sources/registry'];
  // The first run writes the expected rows; a person reads them then.
  await run('vitest', [...vitest, ...walk], { WRITE_ROWS: '1' });
  // The walk of the other sources is not repeated here, because it takes long and the toy does not touch it.
  const results = [
    ...(await report([...vitest, ...walk])),
    ...(await report([...vitest, 'test/layout', 'test/documents', 'test/local/source-files'])),
  ];
  const failed = results.filter(({ status }) => status === 'failed');
  expect(failed.map(({ fullName, failureMessages }) => `${fullName}: ${failureMessages[0]}`)).toEqual([]);
  expect(results.filter(({ fullName }) => /\btoy\b/.test(fullName)).length).toBeGreaterThan(10);
});
